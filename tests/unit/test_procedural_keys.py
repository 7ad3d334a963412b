"""Typing and clock: how their moving parts keep time."""

import numpy as np
import pytest

from foley.datasets.procedural.classes import clock, typing_


def test_a_pressed_key_is_at_its_bottom_at_the_event_and_up_before_it() -> None:
    assert typing_._sunk(0.0, 0.08) == 1.0
    assert typing_._sunk(0.04, 0.08) > 0.9
    assert typing_._sunk(-0.05, 0.08) == 0.0
    assert typing_._sunk(0.3, 0.08) == 0.0


def test_fingertips_touch_at_presses_and_hover_at_feints() -> None:
    presses = typing_._plan(np.random.default_rng(4), 8.0, (0.12, 0.16))
    assert {press.depth == 1 for press in presses} == {True, False}
    for press in presses:
        mine = [p for p in presses if p.finger == press.finger]
        column, row, height = typing_._tip(mine, press.finger, press.time_s, 0.08)
        assert (column, row) == (pytest.approx(press.column), pytest.approx(press.row))
        assert height == pytest.approx(1 - press.depth, abs=1e-6)


def test_a_second_hand_arrives_at_its_mark_at_the_step_and_rests_between() -> None:
    times = np.array([1.0, 2.0, 3.0])
    for k, time_s in enumerate(times):
        assert clock._hand_turn(times, 0.1, time_s - 0.1) == pytest.approx(0.1 * k, abs=1e-3)
        assert clock._hand_turn(times, 0.1, time_s) == pytest.approx(0.1 * (k + 1), abs=1e-3)
        assert clock._hand_turn(times, 0.1, time_s + 0.02) > 0.1 * (k + 1.05)


def test_a_pendulum_crosses_the_middle_at_events_only() -> None:
    times = np.array([0.6, 1.2, 1.8, 3.4, 4.0])
    t = np.arange(0.0, 6.0, 0.01) + 0.005
    side = np.sign([clock._swing(times, at) for at in t])
    crossed = t[1:][side[1:] != side[:-1]] - 0.005
    np.testing.assert_allclose(crossed, times, atol=1e-9)

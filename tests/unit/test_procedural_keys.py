"""Typing and clock: events, picture and sound of each agree."""

from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas
from foley.datasets.procedural.classes import clock, typing_
from foley.datasets.procedural.performance import Performance, Stage

MODULES = [typing_, clock]
HEIGHT_PX, ASPECT, DURATION_S = 120, 4 / 3, 6.0

each_class = pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rsplit(".", 1)[1])


def perform(
    module: ModuleType, seed: int, held_out: bool = False, duration_s: float = DURATION_S
) -> Performance:
    return module.stage(np.random.default_rng(seed), Stage(duration_s, ASPECT, held_out))


def film(performance: Performance, t_s: float) -> NDArray[np.int16]:
    image = np.full((HEIGHT_PX, round(HEIGHT_PX * ASPECT), 3), 128, dtype=np.uint8)
    performance.draw(Canvas(image, np.array([[HEIGHT_PX, 0, 0], [0, HEIGHT_PX, 0]], dtype=np.float64)), t_s)
    return image.astype(np.int16)


def change(performance: Performance, t_s: float, step_s: float = 0.04) -> float:
    """Mean change of the picture over `step_s` that ends at `t_s`."""
    return float(np.abs(film(performance, t_s) - film(performance, t_s - step_s)).mean())


@each_class
@pytest.mark.parametrize("held_out", [False, True])
def test_events_are_sorted_apart_and_inside_the_clip(module: ModuleType, held_out: bool) -> None:
    for seed in range(8):
        for duration_s in (4.0, 8.0):
            times = [e.time_s for e in perform(module, seed, held_out, duration_s).events]
            assert times
            assert 0 <= times[0] <= times[-1] < duration_s
            assert np.diff(times).min(initial=1.0) >= 0.08


@each_class
def test_forces_and_positions_are_in_range(module: ModuleType) -> None:
    for seed in range(8):
        for event in perform(module, seed, bool(seed % 2)).events:
            assert 0 < event.force <= 1
            assert -0.4 < event.x < ASPECT + 0.4
            assert -0.2 < event.y < 1.2


@each_class
def test_most_windows_of_three_seconds_hold_an_event(module: ModuleType) -> None:
    held = []
    for seed in range(12):
        times = np.array([e.time_s for e in perform(module, seed, bool(seed % 2)).events])
        held += [bool(((times >= start) & (times < start + 3)).any()) for start in (0.0, 1.5, 3.0)]
    assert np.mean(held) > 0.9


@each_class
def test_the_same_seed_gives_the_same_clip_and_another_seed_another(module: ModuleType) -> None:
    first, again, other = perform(module, 5), perform(module, 5), perform(module, 6)
    assert first.events == again.events
    assert first.traits == again.traits
    np.testing.assert_array_equal(film(first, 2.0), film(again, 2.0))
    assert np.abs(film(first, 2.0) - film(other, 2.0)).mean() > 2


@each_class
def test_drawing_does_not_depend_on_what_was_drawn_before(module: ModuleType) -> None:
    performance = perform(module, 3)
    before = film(performance, 1.3)
    film(performance, 4.0)
    np.testing.assert_array_equal(film(performance, 1.3), before)


@each_class
def test_the_picture_changes_most_at_events(module: ModuleType) -> None:
    ratios = []
    for seed in range(4):
        performance = perform(module, seed, bool(seed % 2))
        strong = [e for e in performance.events]
        times = np.array([e.time_s for e in strong])
        at = [change(performance, t + 0.015) for t in times[:6]]
        calm = [t for t in np.arange(0.1, DURATION_S, 0.13) if np.abs(times - t).min() > 0.25]
        away = [change(performance, t) for t in calm[:12]]
        ratios.append(np.mean(at) / (np.mean(away) + 0.1))
    assert min(ratios) > 1.2
    assert np.median(ratios) > 2


@each_class
def test_a_hit_is_loud_within_a_millisecond(module: ModuleType) -> None:
    for seed in range(3):
        performance = perform(module, seed, bool(seed % 2))
        for k, event in enumerate(performance.events[:4]):
            wave = performance.hit(event, np.random.default_rng(k))
            assert wave.dtype == np.float32
            assert np.isfinite(wave).all()
            assert np.abs(wave).max() == pytest.approx(event.force, abs=1e-4)
            assert np.abs(wave[:48]).max() > 0.3 * event.force


@each_class
def test_a_hit_fades_and_ends_in_silence(module: ModuleType) -> None:
    performance = perform(module, 1)
    wave = performance.hit(performance.events[0], np.random.default_rng(0))
    ends = np.array_split(wave.astype(np.float64), 10)
    assert np.sqrt((ends[-1] ** 2).mean()) < 0.1 * np.sqrt((ends[0] ** 2).mean())
    assert abs(float(wave[-1])) < 0.01


@each_class
def test_training_and_held_out_traits_share_nothing(module: ModuleType) -> None:
    seen: dict[bool, dict[str, set[str]]] = {False: {}, True: {}}
    for held_out, traits in seen.items():
        for seed in range(18):
            for trait, value in perform(module, seed, held_out).traits.items():
                traits.setdefault(trait, set()).add(value)
    assert seen[False].keys() == seen[True].keys()
    for trait, values in seen[False].items():
        assert len(values) >= 2
        assert not values & seen[True][trait]


@each_class
def test_a_room_is_left_around_the_set(module: ModuleType) -> None:
    assert not perform(module, 0).paints_background


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

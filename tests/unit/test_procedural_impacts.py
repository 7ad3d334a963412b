"""What every class of impacts must do: its events, its picture and its sound agree."""

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest

from foley.datasets.procedural.classes import (
    break_,
    clock,
    cutting,
    footstep,
    gunshot,
    horse,
    thunder,
    typing_,
)
from tests.staging import ASPECT, DURATION_S, change, film, perform


@dataclass(frozen=True)
class Demand:
    """What is asked of one class."""

    module: ModuleType
    min_gap_s: float
    picture_ratio: float = 2.0
    """Change of the picture at events against elsewhere: median over scenes. Walkers never rest."""
    onset_share: float = 0.3
    """Share of a hit's peak that its first millisecond reaches."""


DEMANDS = [
    Demand(typing_, 0.08),
    Demand(clock, 0.08),
    Demand(cutting, 0.119),
    Demand(break_, 0.119),
    Demand(gunshot, 0.119),
    Demand(thunder, 0.119),
    Demand(footstep, 0.12, picture_ratio=1.4, onset_share=0.15),
    Demand(horse, 0.12, picture_ratio=1.4, onset_share=0.15),
]
each_class = pytest.mark.parametrize("demand", DEMANDS, ids=lambda d: d.module.__name__.rsplit(".", 1)[1])


@each_class
@pytest.mark.parametrize("held_out", [False, True])
def test_events_are_sorted_apart_and_inside_the_clip(demand: Demand, held_out: bool) -> None:
    for seed in range(8):
        for duration_s in (4.0, 8.0):
            times = [e.time_s for e in perform(demand.module, seed, held_out, duration_s).events]
            assert times
            assert 0 <= times[0] <= times[-1] < duration_s
            assert np.diff(times).min(initial=1.0) >= demand.min_gap_s


@each_class
def test_forces_and_positions_are_in_range(demand: Demand) -> None:
    for seed in range(8):
        for event in perform(demand.module, seed, bool(seed % 2)).events:
            assert 0 < event.force <= 1
            assert -0.4 < event.x < ASPECT + 0.4
            assert -0.2 < event.y < 1.2


@each_class
def test_most_windows_of_three_seconds_hold_an_event(demand: Demand) -> None:
    held = []
    for seed in range(12):
        times = np.array([e.time_s for e in perform(demand.module, seed, bool(seed % 2)).events])
        held += [bool(((times >= start) & (times < start + 3)).any()) for start in (0.0, 1.5, 3.0)]
    assert np.mean(held) > 0.9


@each_class
def test_the_same_seed_gives_the_same_clip_and_another_seed_another(demand: Demand) -> None:
    first, again, other = (perform(demand.module, seed) for seed in (5, 5, 6))
    assert first.events == again.events
    assert first.traits == again.traits
    np.testing.assert_array_equal(film(first, 2.0), film(again, 2.0))
    assert np.abs(film(first, 2.0) - film(other, 2.0)).mean() > 2


@each_class
def test_drawing_does_not_depend_on_what_was_drawn_before(demand: Demand) -> None:
    performance = perform(demand.module, 3)
    before = film(performance, 1.3)
    film(performance, 4.0)
    np.testing.assert_array_equal(film(performance, 1.3), before)


@each_class
def test_the_picture_changes_most_at_events(demand: Demand) -> None:
    ratios = []
    for seed in range(5):
        performance = perform(demand.module, seed, bool(seed % 2))
        times = np.array([e.time_s for e in performance.events if e.kind != "bounce"])
        at = [change(performance, t + 0.012) for t in times[:6]]
        calm = [t for t in np.arange(0.1, DURATION_S, 0.11) if np.abs(times - t).min() > 0.12]
        away = [change(performance, t) for t in calm[:14]]
        ratios.append(np.mean(at) / (np.mean(away) + 0.05))
    assert np.mean(np.array(ratios) > 1.1) >= 0.75
    assert np.median(ratios) > demand.picture_ratio


@each_class
def test_a_hit_is_loud_within_a_millisecond(demand: Demand) -> None:
    for seed in range(3):
        performance = perform(demand.module, seed, bool(seed % 2))
        for k, event in enumerate(performance.events[:4]):
            wave = performance.hit(event, np.random.default_rng(k))
            assert wave.dtype == np.float32
            assert np.isfinite(wave).all()
            assert np.abs(wave).max() == pytest.approx(event.force, abs=1e-4)
            assert np.abs(wave[:48]).max() > demand.onset_share * event.force


@each_class
def test_a_hit_fades_and_ends_in_silence(demand: Demand) -> None:
    performance = perform(demand.module, 1)
    wave = performance.hit(performance.events[0], np.random.default_rng(0))
    ends = np.array_split(wave.astype(np.float64), 10)
    assert np.sqrt((ends[-1] ** 2).mean()) < 0.1 * np.sqrt((ends[0] ** 2).mean())
    assert abs(float(wave[-1])) < 0.01


@each_class
def test_training_and_held_out_traits_share_nothing(demand: Demand) -> None:
    seen: dict[bool, dict[str, set[str]]] = {False: {}, True: {}}
    for held_out, traits in seen.items():
        for seed in range(24):
            for trait, value in perform(demand.module, seed, held_out).traits.items():
                traits.setdefault(trait, set()).add(value)
    assert seen[False].keys() == seen[True].keys()
    for trait, values in seen[False].items():
        assert len(values) >= 2
        assert not values & seen[True][trait]


@each_class
def test_only_thunder_paints_its_own_background(demand: Demand) -> None:
    assert perform(demand.module, 0).paints_background == (demand.module is thunder)

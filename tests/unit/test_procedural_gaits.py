"""Footsteps and horses: events, picture and sound of each agree."""

from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas
from foley.datasets.procedural.classes import footstep, horse
from foley.datasets.procedural.figure import FootTrack, apart, make_ground, paced_times, two_bone
from foley.datasets.procedural.performance import Performance, Stage

MODULES = [footstep, horse]
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


def change(performance: Performance, t_s: float) -> float:
    """Mean change of the picture over the 40 ms that end at `t_s`."""
    return float(np.abs(film(performance, t_s) - film(performance, t_s - 0.04)).mean())


@each_class
@pytest.mark.parametrize("held_out", [False, True])
def test_events_are_sorted_apart_and_inside_the_clip(module: ModuleType, held_out: bool) -> None:
    for seed in range(12):
        for duration_s in (4.0, 8.0):
            events = perform(module, seed, held_out, duration_s).events
            times = [e.time_s for e in events]
            assert times
            assert 0.2 < times[0] <= times[-1] < duration_s - 0.1
            assert np.diff(times).min(initial=1.0) >= 0.12
            assert all(0 < e.force <= 1 for e in events)
            assert all(-0.4 < e.x < ASPECT + 0.4 and 0.5 < e.y < 1.2 for e in events)


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
def test_the_picture_changes_more_at_events_than_elsewhere(module: ModuleType) -> None:
    ratios = []
    for seed in range(6):
        performance = perform(module, seed, bool(seed % 2))
        times = np.array([e.time_s for e in performance.events])
        at = [change(performance, t + 0.01) for t in times[:6]]
        calm = [t for t in np.arange(0.1, DURATION_S, 0.11) if np.abs(times - t).min() > 0.12]
        ratios.append(np.mean(at) / (np.mean([change(performance, t) for t in calm[:14]]) + 0.05))
    assert np.mean(np.array(ratios) > 1.1) >= 0.75
    assert np.median(ratios) > 1.4


@each_class
def test_a_hit_is_loud_within_a_millisecond_and_fades(module: ModuleType) -> None:
    for seed in range(4):
        performance = perform(module, seed, bool(seed % 2))
        for k, event in enumerate(performance.events[:3]):
            wave = performance.hit(event, np.random.default_rng(k))
            assert wave.dtype == np.float32
            assert np.isfinite(wave).all()
            assert np.abs(wave).max() == pytest.approx(event.force, abs=1e-4)
            assert np.abs(wave[:48]).max() > 0.15 * event.force
            assert np.abs(wave[-480:]).max() < 0.05 * event.force


@each_class
def test_training_and_held_out_traits_share_nothing(module: ModuleType) -> None:
    seen: dict[bool, dict[str, set[str]]] = {False: {}, True: {}}
    for held_out, traits in seen.items():
        for seed in range(24):
            for trait, value in perform(module, seed, held_out).traits.items():
                traits.setdefault(trait, set()).add(value)
    assert seen[False].keys() == seen[True].keys()
    for trait, values in seen[False].items():
        assert len(values) >= 2
        assert not values & seen[True][trait]


def test_a_horse_lands_its_hooves_in_the_order_of_its_gait() -> None:
    found = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for gait, (offsets, _) in horse._GAITS.items():
            for run in horse._runs(rng, 8.0, 1.0, offsets):
                order = [leg for _, leg in run[:4]]
                if len(order) == 4:
                    found.add((gait, tuple(order)))
    assert found == {("walk", (0, 1, 2, 3)), ("trot", (0, 3, 1, 2)), ("gallop", (0, 2, 1, 3))}


@each_class
def test_a_foot_is_on_the_ground_at_each_event_and_in_the_air_before(module: ModuleType) -> None:
    landed, at_s, seen = np.array([1.0, 3.0]), np.array([1.0, 2.0]), module.FootTrack
    track: FootTrack = seen(at_s - 0.4, at_s, landed, 0.0, 0.2)
    for time_s, x in zip(at_s, landed, strict=True):
        assert track.at(time_s).z == 0.0
        assert track.at(time_s).x == x
        assert track.at(time_s - 0.05).z > 0.02
    assert track.at(1.3).x == 1.0
    assert track.at(9.0).x == 3.0


def test_a_feint_hovers_and_then_lands_once() -> None:
    track = FootTrack(np.array([1.0]), np.array([3.0]), np.array([1.0]), 0.0, 0.2)
    heights = np.array([track.at(t).z for t in np.arange(1.25, 2.9, 0.02)])
    assert heights.min() > 0.02
    assert np.ptp(heights) > 0.02
    assert track.at(3.0).z == 0.0


def test_paced_times_keep_their_gap_and_their_budget_of_pauses() -> None:
    for seed in range(20):
        times = paced_times(np.random.default_rng(seed), 6.0, 0.5, 0.05, min_gap_s=0.3)
        gaps = np.diff(times)
        assert gaps.min() >= 0.3
        assert gaps[gaps > 0.65].sum() <= 3.0 + 0.6 * (gaps > 0.65).sum()


def test_two_bones_keep_their_lengths_and_stop_at_full_reach() -> None:
    joints = two_bone([0.0, 0.0], [0.1, 0.8], 0.5, 0.5, 1.0)
    np.testing.assert_allclose(np.hypot(*np.diff(joints, axis=0).T), [0.5, 0.5], atol=1e-9)
    assert joints[1, 0] > 0.1
    far = two_bone([0.0, 0.0], [0.0, 3.0], 0.5, 0.5, 1.0)
    assert far[2, 1] == pytest.approx(0.999)


def test_apart_gives_disjoint_ranges() -> None:
    rng = np.random.default_rng(0)
    train = np.array([apart(rng, 0.0, 3.0, False) for _ in range(200)])
    test = np.array([apart(rng, 0.0, 3.0, True) for _ in range(200)])
    assert ((train <= 1) | (train >= 2)).all()
    assert ((test >= 1) & (test <= 2)).all()
    assert (train > 2).any()
    assert (train < 1).any()


@pytest.mark.parametrize("material", ["wood", "metal", "gravel", "snow", "dirt", "cobble", "turf"])
def test_a_ground_scrolls_with_the_figure(material: str) -> None:
    ground = make_ground(np.random.default_rng(1), material, False, 0.9, 0.67, False)
    pictures = []
    for across in (0.0, 0.07, ground.HALF * 2):
        image = np.zeros((HEIGHT_PX, 160, 3), dtype=np.uint8)
        ground.paint(
            Canvas(image, np.array([[HEIGHT_PX, 0, 0], [0, HEIGHT_PX, 0]], dtype=np.float64)), across
        )
        pictures.append(image.astype(np.int16))
    assert (pictures[0][:60] == 0).all()
    assert (pictures[0][100:] > 0).any()
    assert np.abs(pictures[0] - pictures[1]).mean() > 0.1
    assert np.abs(pictures[0] - pictures[2]).mean() < 0.05

"""Footsteps and horses: feet, gaits and grounds."""

from types import ModuleType

import numpy as np
import pytest

from foley.datasets.procedural.canvas import Canvas
from foley.datasets.procedural.classes import footstep, horse
from foley.datasets.procedural.figure import FootTrack, apart, make_ground, paced_times, two_bone
from tests.staging import CAMERA, HEIGHT_PX


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


@pytest.mark.parametrize("module", [footstep, horse], ids=["footstep", "horse"])
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
        ground.paint(Canvas(image, CAMERA), across)
        pictures.append(image.astype(np.int16))
    assert (pictures[0][:60] == 0).all()
    assert (pictures[0][100:] > 0).any()
    assert np.abs(pictures[0] - pictures[1]).mean() > 0.1
    assert np.abs(pictures[0] - pictures[2]).mean() < 0.05

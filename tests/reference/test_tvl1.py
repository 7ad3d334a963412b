"""Our TV-L1 against OpenCV's, and both against motion that is known."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from foley.datasets.procedural.audit import small_shot
from foley.datasets.procedural.config import ProceduralConfig
from foley.datasets.procedural.film import picture_at
from foley.datasets.procedural.make import list_recordings, stage_take
from foley.preprocess.flow_config import TvL1Config
from foley.preprocess.tvl1 import _median, _median_by_exchanges, tvl1, tvl1_opencv

WIDTH, HEIGHT = 120, 90
MARGIN = 12
"""Near the edge neither picture shows where things went."""
Points = tuple[NDArray[np.float32], NDArray[np.float32]]


def shift(dx: float, dy: float) -> Callable[[Points], Points]:
    return lambda at: (at[0] + np.float32(dx), at[1] + np.float32(dy))


def turn(degrees: float, zoom: float) -> Callable[[Points], Points]:
    cosine, sine = zoom * np.cos(np.radians(degrees)), zoom * np.sin(np.radians(degrees))

    def moved(at: Points) -> Points:
        x, y = at[0] - WIDTH / 2, at[1] - HEIGHT / 2
        return (
            (cosine * x - sine * y + WIDTH / 2).astype(np.float32),
            (sine * x + cosine * y + HEIGHT / 2).astype(np.float32),
        )

    return moved


MOTIONS = {
    "less than a pixel": shift(0.4, -0.3),
    "a few pixels": shift(3.3, -1.7),
    "rotation": turn(2.0, 1.0),
    "zoom and rotation": turn(-1.0, 1.03),
}


def texture(seed: int) -> NDArray[np.float32]:
    """Smooth noise that fills the grey scale, with a border of 40 pixels around the picture."""
    rng = np.random.default_rng(seed)
    rough = rng.standard_normal((HEIGHT + 80, WIDTH + 80)).astype(np.float32)
    smooth = cv2.GaussianBlur(rough, (0, 0), 2.5)
    return np.asarray((smooth - smooth.min()) / np.ptp(smooth) * 255, dtype=np.float32)


def pair(motion: Callable[[Points], Points], seed: int = 0) -> tuple[NDArray, NDArray, NDArray]:
    """First and second picture, and the true flow (2, h, w)."""
    at = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    there = motion((at[0], at[1]))
    canvas = texture(seed)
    # The second picture is the texture; the first shows at each place what is at its target there.
    first = cv2.remap(canvas, there[0] + 40, there[1] + 40, cv2.INTER_CUBIC)
    second = canvas[40 : 40 + HEIGHT, 40 : 40 + WIDTH]
    pictures = [np.rint(np.clip(picture, 0, 255)).astype(np.uint8) for picture in (first, second)]
    return pictures[0], pictures[1], np.stack([there[0] - at[0], there[1] - at[1]])


def ours(first: NDArray, second: NDArray, config: TvL1Config | None = None) -> NDArray:
    return tvl1(torch.from_numpy(first)[None], torch.from_numpy(second)[None], config)[0].numpy()


def theirs(first: NDArray, second: NDArray, config: TvL1Config | None = None) -> NDArray:
    return tvl1_opencv(config or TvL1Config()).calc(first, second, None).transpose(2, 0, 1)


def mean_error_px(flow: NDArray, other: NDArray) -> float:
    """Mean end-point error away from the edges."""
    inside = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    return float(np.linalg.norm((flow - other)[inside], axis=0).mean())


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS.keys())
def test_both_find_known_motion_and_agree(motion: Callable[[Points], Points]) -> None:
    first, second, truth = pair(motion)
    flow, reference = ours(first, second), theirs(first, second)
    assert mean_error_px(reference, truth) < 0.08
    assert mean_error_px(flow, truth) < mean_error_px(reference, truth) + 0.01
    assert mean_error_px(flow, reference) < 0.02


def test_they_agree_on_a_rendered_film() -> None:
    config = ProceduralConfig(recordings_per_class=1, held_out_fraction=0.0, seed=3)
    rows = [row for row in list_recordings(config) if "horse" in str(row) or "clock" in str(row)]
    assert len(rows) == 2
    for row in rows:
        take = stage_take(*row, config)
        shot = small_shot(take, 128)
        first, second = (
            cv2.cvtColor(picture_at(take.performance, take.nuisances, shot, time_s, 0), cv2.COLOR_RGB2GRAY)
            for time_s in (1.0, 1.0 + 1 / 21.5)
        )
        apart = np.linalg.norm(ours(first, second) - theirs(first, second), axis=0)
        # Where something is hidden or nothing has texture, many flows are as good as one another.
        assert np.median(apart) < 0.05
        assert apart.mean() < 0.2


def test_the_parameters_are_those_that_opencv_has() -> None:
    default, ours_set = cv2.optflow.DualTVL1OpticalFlow_create(), tvl1_opencv(TvL1Config())
    getters = [name for name in dir(default) if name.startswith("get") and name != "getDefaultName"]
    assert len(getters) > 8
    assert {name: getattr(default, name)() for name in getters} == {
        name: getattr(ours_set, name)() for name in getters
    }


def test_other_parameters_reach_both() -> None:
    first, second, _ = pair(MOTIONS["a few pixels"])
    config = TvL1Config(lambda_=0.05, n_scales=3, n_warps=2, n_outer=2, median_px=3, epsilon_px=0.0)
    assert mean_error_px(ours(first, second, config), theirs(first, second, config)) < 0.05
    assert mean_error_px(ours(first, second, config), ours(first, second)) > 0.004


def test_a_pair_does_not_feel_its_neighbours_in_the_batch() -> None:
    pairs = [pair(motion, seed) for seed, motion in enumerate(MOTIONS.values())]
    first, second = (torch.from_numpy(np.stack([entry[k] for entry in pairs])) for k in (0, 1))
    together = tvl1(first, second).numpy()
    for index, entry in enumerate(pairs):
        np.testing.assert_allclose(together[index], ours(entry[0], entry[1]), atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_gpu_agrees_with_the_cpu() -> None:
    pairs = [pair(motion, seed) for seed, motion in enumerate(MOTIONS.values())]
    first, second = (torch.from_numpy(np.stack([entry[k] for entry in pairs])) for k in (0, 1))
    there = tvl1(first.cuda(), second.cuda()).cpu().numpy()
    assert mean_error_px(np.hstack(there), np.hstack(tvl1(first, second).numpy())) < 0.01


@pytest.mark.parametrize("side_px", [3, 5])
def test_the_median_of_a_gpu_is_that_of_the_cpu(side_px: int) -> None:
    flow = torch.randn(2, 2, 17, 23, generator=torch.Generator().manual_seed(side_px))
    assert torch.equal(_median_by_exchanges(flow, side_px), _median(flow, side_px))

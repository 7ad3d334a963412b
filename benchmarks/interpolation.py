"""Interpolation to 190 pictures a second, ours beside FFmpeg's ``minterpolate``.

``python -m benchmarks.interpolation FOLDER`` takes clips of 3 s from the middle of films in FOLDER
(every k-th film of at least 3 s, by name; nobody picks them); without FOLDER the procedural data set
is rendered. Two things are measured, on the same clips in the same run:

- cost: CPU-seconds from the file to 570 pictures of 224 px. ``minterpolate`` works at the size of the
  film, as the papers' tool chains do; our methods resize first.
- quality: every other picture is dropped and rebuilt; PSNR and SSIM against the dropped one, RGB at
  224 px. ``minterpolate`` again works at the size of the film, and its pictures are resized after.
"""

import argparse
import itertools
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import ffmpeg
import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import machine, measure, table
from foley.datasets.procedural.config import ProceduralConfig
from foley.datasets.procedural.make import list_recordings, make_recording
from foley.errors import FoleyError
from foley.media.ffmpeg import file_url, probe, run_ffmpeg
from foley.preprocess.flow import one_thread
from foley.preprocess.interpolation import InterpolationConfig, clip_frames, interpolate_clip
from foley.store.manifests import encode_path

Picture = NDArray[np.uint8]

OURS = ("repeat", "blend", "flow")
DURATION_S = 3.0
FPS = 190.0
SAME_DB = 60.0
"""What identical pictures count; rounding to 8 bits alone costs 58.9 dB."""


@dataclass(frozen=True)
class Clip:
    """Part of a film that is measured."""

    path: Path
    start_s: float
    width_px: int
    height_px: int


def find_clips(folder: Path) -> list[Clip]:
    """Middle 3 s of every film of a folder that lasts long enough, by name."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".mp4", ".mkv", ".mov", ".webm")):
        try:
            facts = probe(path)
        except FoleyError:
            continue
        if facts.has_video and facts.duration_s >= DURATION_S:
            found.append(Clip(path, (facts.duration_s - DURATION_S) / 2, facts.width_px, facts.height_px))
    return found


def spread(clips: Sequence[Clip], n_clips: int) -> list[Clip]:
    """So many clips, evenly spaced from the first to the last."""
    steps = np.linspace(0, len(clips) - 1, min(n_clips, len(clips))).round().astype(int)
    return [clips[step] for step in np.unique(steps)]


def decode(clip: Clip) -> Picture:
    """Pictures of a clip at the film's size, shape (n, height * 3 / 2, width), planes of 4:2:0."""
    width, height = clip.width_px // 2 * 2, clip.height_px // 2 * 2
    stream = ffmpeg.input(file_url(clip.path), ss=clip.start_s, t=DURATION_S)
    stream = stream.filter("scale", width, height).output(
        "pipe:", format="rawvideo", pix_fmt="yuv420p", fps_mode="passthrough", threads=1
    )
    raw = run_ffmpeg(stream, str(clip.path))
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, height * 3 // 2, width)


def small(planes: Picture, size_px: int) -> Picture:
    """Pictures from :func:`decode` as squares of RGB, the way the pipeline makes them."""
    made = np.empty((len(planes), size_px, size_px, 3), dtype=np.uint8)
    for picture, square in zip(planes, made, strict=True):
        rgb = av.VideoFrame.from_ndarray(picture, format="yuv420p").to_ndarray(format="rgb24")
        method = cv2.INTER_AREA if min(rgb.shape[:2]) >= size_px else cv2.INTER_LINEAR
        cv2.resize(rgb, (size_px, size_px), dst=square, interpolation=method)
    return made


def rebuild_at_source_size(planes: Picture) -> Picture:
    """Let ``minterpolate`` double the rate; shape (2 n, height * 3 / 2, width)."""
    n_pictures, height, width = len(planes), planes.shape[1] * 2 // 3, planes.shape[2]
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "planes.yuv"
        raw.write_bytes(np.ascontiguousarray(planes).tobytes())
        stream = ffmpeg.input(
            file_url(raw), format="rawvideo", pix_fmt="yuv420p", s=f"{width}x{height}", framerate=15
        )
        stream = stream.filter("tpad", stop_mode="clone", stop=4).filter(
            "minterpolate", fps=30, mi_mode="mci"
        )
        output = run_ffmpeg(
            stream.output("pipe:", format="rawvideo", pix_fmt="yuv420p", threads=1), "doubled clip"
        )
    return np.frombuffer(output, dtype=np.uint8).reshape(-1, *planes.shape[1:])[: 2 * n_pictures]


def rebuild(pictures: Picture, config: InterpolationConfig) -> Picture:
    """Double the rate of small pictures by one of our methods."""
    return interpolate_clip(
        pictures,
        np.arange(len(pictures)) / 15,
        duration_s=len(pictures) / 15,
        config=config.model_copy(update={"fps": 30.0}),
    )


def psnr_db(a: Picture, b: Picture) -> float:
    """Peak signal-to-noise ratio of two pictures, at most :data:`SAME_DB`."""
    error = float(np.mean((a.astype(np.float32) - b) ** 2))
    return SAME_DB if error == 0 else min(SAME_DB, 10 * float(np.log10(255**2 / error)))


def ssim(a: Picture, b: Picture) -> float:
    """Structural similarity of two pictures' grey values (Wang et al. 2004: Gaussian of 1.5 pixels)."""
    x, y = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64) for picture in (a, b))

    def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5))[5:-5, 5:-5]

    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2
    both = smooth(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    return float(np.mean(similar / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))))


def quality(truth: Picture, made: Picture) -> tuple[float, float]:
    """Mean PSNR in dB and mean SSIM over the pictures that were dropped (the odd ones)."""
    n_pictures = (len(truth) - 1) // 2 * 2  # the last one dropped needs a kept one after it
    odd = range(1, n_pictures, 2)
    return (
        float(np.mean([psnr_db(truth[i], made[i]) for i in odd])),
        float(np.mean([ssim(truth[i], made[i]) for i in odd])),
    )


def minterpolate_file(clip: Clip, size_px: int) -> int:
    """From the film to 570 small pictures as the papers' tool chains do it; number of pictures."""
    stream = ffmpeg.input(file_url(clip.path), ss=clip.start_s, t=DURATION_S, threads=1)
    stream = (
        stream.filter("tpad", stop_mode="clone", stop=4)
        .filter("minterpolate", fps=FPS, mi_mode="mci")
        .filter("trim", end_frame=round(FPS * DURATION_S))
        .filter("scale", size_px, size_px)
    )
    output = stream.output("pipe:", format="rawvideo", pix_fmt="rgb24", fps_mode="passthrough", threads=1)
    return len(run_ffmpeg(output, str(clip.path))) // (3 * size_px**2)


def interpolate_file(clip: Clip, size_px: int, config: InterpolationConfig) -> int:
    """From the film to 570 small pictures, our way; number of pictures."""
    attributes = {"path": encode_path(clip.path), "start_s": clip.start_s, "duration_s": DURATION_S}
    with one_thread():
        return len(clip_frames(attributes, data_dir="", size_px=size_px, config=config))


def cost_rows(clips: Sequence[Clip], size_px: int) -> list[list[str | float | int]]:
    """CPU-seconds of every method for each clip, and how many times less than ``minterpolate`` flow takes."""
    rows: list[list[str | float | int]] = []
    for number, clip in enumerate(clips):
        n_theirs, theirs = measure(minterpolate_file, clip, size_px)
        ours = []
        for method in OURS:
            n_ours, cost = measure(interpolate_file, clip, size_px, InterpolationConfig(method=method))
            ours.append(cost.cpu_s)
        size = f"{clip.width_px}x{clip.height_px}"
        rows.append([number, size, n_theirs, n_ours, theirs.cpu_s, *ours, theirs.cpu_s / ours[-1]])
        _report(f"cost of {clip.path.name}: {rows[-1]}")
    return rows


def quality_rows(clips: Sequence[Clip], size_px: int) -> list[list[str | float | int]]:
    """Mean absolute difference of neighbours, then PSNR and SSIM of every method, for each clip."""
    rows: list[list[str | float | int]] = []
    for number, clip in enumerate(clips):
        planes = decode(clip)
        truth = small(planes, size_px)
        kept = truth[: len(truth) // 2 * 2 + 1 : 2]
        motion = float(np.mean([cv2.norm(a, b, cv2.NORM_L1) / a.size for a, b in itertools.pairwise(truth)]))
        made = [small(rebuild_at_source_size(planes[::2]), size_px)]
        made += [rebuild(kept, InterpolationConfig(method=method)) for method in OURS]
        both = [quality(truth, pictures) for pictures in made]
        rows.append([number, len(truth), motion, *(psnr for psnr, _ in both), *(value for _, value in both)])
        _report(f"quality of {clip.path.name}: {rows[-1]}")
    return rows


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _with_mean(rows: list[list[str | float | int]], n_labels: int) -> list[list[str | float | int]]:
    columns = list(zip(*rows, strict=True))[n_labels:]
    means = [float(np.mean([float(value) for value in column])) for column in columns]
    return [*rows, ["mean", *[""] * (n_labels - 1), *means]]


def render_films(folder: Path) -> None:
    """One film of each class of the procedural data set."""
    config = ProceduralConfig(recordings_per_class=1, min_duration_s=3.2, max_duration_s=3.6)
    for recording in list_recordings(config):
        make_recording(*recording, config, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interpolation", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="films; without it some are rendered")
    parser.add_argument("--clips", type=int, default=24, help="clips whose quality is measured")
    parser.add_argument("--cost-clips", type=int, default=6, help="clips, small to large, whose cost is")
    parser.add_argument("--size-px", type=int, default=224, help="side of the pictures that are made")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as rendered:
        if options.folder is None:
            render_films(Path(rendered))
        films = find_clips(options.folder or Path(rendered))
        if not films:
            parser.error(f"{options.folder}: holds no film of {DURATION_S:.0f} s or more")
        by_size = sorted(films, key=lambda clip: clip.width_px * clip.height_px)
        costs = cost_rows(spread(by_size, options.cost_clips), options.size_px)
        qualities = quality_rows(spread(films, options.clips), options.size_px)
    print(f"{machine()}; {options.size_px} px\n")
    header = ["clip", "size", "pictures of minterpolate", "ours", "minterpolate, CPU s"]
    print(
        table([*header, *(f"{method}, CPU s" for method in OURS), "minterpolate / flow"], costs), end="\n\n"
    )
    methods = ["minterpolate", *OURS]
    header = ["clip", "frames", "motion", *(f"{m}, dB" for m in methods), *(f"{m}, SSIM" for m in methods)]
    print(table(header, _with_mean(qualities, 2)))
    n_better = sum(float(row[6]) >= float(row[3]) for row in qualities)
    print(f"\nflow is at least as good as minterpolate (PSNR) on {n_better} of {len(qualities)} clips")


if __name__ == "__main__":
    main()

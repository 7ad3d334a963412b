"""From films to cached features, the papers' way and ours: ``python -m benchmarks.picture_path [FOLDER]``.

The same clips of 3 s go both ways in one run:

- the papers' way: ``minterpolate`` to 190 fps at the film's size, written with x264; every frame
  dumped as PNG; three grey frames at a time loaded, stacked and resized to 224 px; ResNet-50 in eager
  PyTorch, one image after the other; the features of a clip pickled;
- ours: :func:`foley.features.streaming.extract_streamed`, as the workflow calls it.

Clips are taken from films in FOLDER (evenly by name; nobody picks them) and brought to one size; without
FOLDER procedural films are rendered. ResNet-50 has random weights, which cost as much as any others.
The papers' network is slow: it is timed on a sample of its 570 images and extrapolated, and the table
says so. All times are CPU-seconds for one clip, of the process and its children, on one thread; the
start of either network, once for many clips, is left out.
"""

import argparse
import pickle
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import ffmpeg
import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Cost, machine, matmul_flops, measure, measure_alone, table
from benchmarks.roofline import network_flops
from foley import registry
from foley.datasets.procedural.config import ProceduralConfig
from foley.datasets.procedural.make import list_recordings, make_recording
from foley.errors import FoleyError
from foley.features.streaming import extract_streamed
from foley.features.visual import BackboneConfig, load_backbone
from foley.media.ffmpeg import file_url, probe, run_ffmpeg
from foley.preprocess.flow import one_thread
from foley.preprocess.interpolation import InterpolationConfig, interpolate_clip, read_clip
from foley.preprocess.spacetime import SpacetimeConfig, make_images
from foley.store.manifests import encode_path
from foley.store.shards import ShardWriter

DURATION_S = 3.0
FPS = 190.0
N_IMAGES = 570
SIZE_PX = 224
INTERPOLATION = InterpolationConfig(method="flow", fps=FPS)
SPACETIME = SpacetimeConfig(step=1, every=1)

Costs = dict[str, Cost]


def choose_films(folder: Path, n_films: int) -> list[Path]:
    """Films of a folder that last 3 s or more, evenly spaced by name."""
    found = []
    for path in sorted(folder.rglob("*.mp4")):
        try:
            facts = probe(path)
        except FoleyError:
            continue
        if facts.has_video and facts.duration_s >= DURATION_S:
            found.append(path)
    steps = np.linspace(0, len(found) - 1, min(n_films, len(found))).round().astype(int)
    return [found[step] for step in np.unique(steps)]


def procedural_films(folder: Path, n_films: int) -> list[Path]:
    """Render films of the procedural data set."""
    config = ProceduralConfig(recordings_per_class=1)
    rows = list_recordings(config)[:n_films]
    return [folder / str(make_recording(*row, config, folder)["path"]) for row in rows]


def transcode(path: Path, size: tuple[int, int], target: Path) -> None:
    """Cut 3 s of a film and bring it to a size, as an ordinary H.264 file with a picture every 1/25 s."""
    stream = ffmpeg.input(file_url(path), t=DURATION_S + 0.3)
    stream = stream.filter("scale", *size).filter("fps", 25).filter("tpad", stop_mode="clone", stop=10)
    output = stream.output(file_url(target), vcodec="libx264", pix_fmt="yuv420p", crf=20, t=DURATION_S + 0.3)
    run_ffmpeg(output, path)


def minterpolated(film: Path, target: Path) -> None:
    """Interpolate at the film's size and encode; padded, because the filter loses the tail."""
    stream = (
        ffmpeg.input(file_url(film), t=DURATION_S)
        .filter("tpad", stop_mode="clone", stop=4)
        .filter("minterpolate", fps=FPS, mi_mode="mci")
        .filter("trim", end_frame=N_IMAGES)
    )
    run_ffmpeg(stream.output(file_url(target), vcodec="libx264", threads=1), film)


def dumped(film: Path, folder: Path) -> None:
    """Write every frame as a PNG file."""
    run_ffmpeg(ffmpeg.input(file_url(film)).output(file_url(folder / "%05d.png"), threads=1), film)


def loaded(folder: Path) -> list[NDArray[np.uint8]]:
    """Load the PNG files and stack three grey frames at a time; each file is read once."""
    grey = [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) for path in sorted(folder.glob("*.png"))]
    last = len(grey) - 1
    stacks = (np.dstack([grey[max(0, k - 1)], grey[k], grey[min(last, k + 1)]]) for k in range(len(grey)))
    return [cv2.resize(stack, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA) for stack in stacks]


def eager(images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    """Run ResNet-50 in eager PyTorch, image by image."""
    import torch

    torch.set_num_threads(1)
    network = registry.load("backbones", "resnet50").build(backbone_config("float32", "torch"))
    with torch.no_grad():
        return [network(torch.from_numpy(image[None]))[0].numpy() for image in images]


def backbone_config(precision: str, engine: str = "auto", batch_size: int = 8) -> BackboneConfig:
    """ResNet-50 at its own size."""
    return BackboneConfig.model_validate(
        {
            "network": "resnet50",
            "weights": "random",
            "batch_size": batch_size,
            "precision": precision,
            "engine": engine,
        }
    )


def papers_way(films: Sequence[Path], n_sampled: int) -> tuple[Costs, int]:
    """Take films the papers' way; cost of each stage a clip, and bytes that lie between the stages."""
    total: Costs = {}
    n_bytes = 0
    for film in films:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            frames = folder / "frames"
            frames.mkdir()
            _, cost = measure(minterpolated, film, folder / "fast.mp4")
            _add(total, "minterpolate, x264", cost)
            _, cost = measure(dumped, folder / "fast.mp4", frames)
            _add(total, "dump PNG", cost)
            n_bytes += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            images, cost = measure(loaded, frames)
            if len(images) != N_IMAGES:
                raise SystemExit(f"{film}: {len(images)} frames, not {N_IMAGES}")
            _add(total, "load, stack", cost)
            eager(images[:2])  # memory and kernels are ready
            _, start = measure(eager, [])
            made, cost = measure(eager, images[:n_sampled])
            each = Cost(cost.wall_s - start.wall_s, cost.cpu_s - start.cpu_s, cost.peak_mib)
            _add(total, "network", each.times(N_IMAGES / n_sampled))
            rows = [made[0]] * N_IMAGES
            _, cost = measure(lambda: (folder / "clip.pkl").write_bytes(pickle.dumps(rows)))  # noqa: B023
            _add(total, "store", cost)
    return {stage: cost.times(1 / len(films)) for stage, cost in total.items()}, n_bytes // len(films)


def our_stages(films: Sequence[Path], n_sampled: int, precision: str) -> Costs:
    """Take films our way, stage after stage; cost of each a clip, the network's from a sample.

    ``start`` is what preparing the network takes, once a shard.
    """
    total: Costs = {}
    backbone, start = measure(load_backbone, backbone_config(precision))
    backbone(np.zeros((backbone.batch_size, SIZE_PX, SIZE_PX, 3), np.uint8))
    n_sampled = max(1, n_sampled // backbone.batch_size) * backbone.batch_size
    with one_thread(), tempfile.TemporaryDirectory() as name, ShardWriter(Path(name) / "a.h5", {}) as shard:
        for number, film in enumerate(films):
            (frames, times_s), cost = measure(
                read_clip,
                path=film,
                start_s=0.0,
                duration_s=DURATION_S,
                size_px=SIZE_PX,
                config=INTERPOLATION,
            )
            _add(total, "decode, resize", cost)
            made, cost = measure(
                interpolate_clip, frames, times_s, duration_s=DURATION_S, config=INTERPOLATION
            )
            _add(total, "interpolate", cost)
            images, cost = measure(make_images, made, SPACETIME)
            _add(total, "stack", cost)
            _, cost = measure(backbone, images[:n_sampled])
            _add(total, "network", cost.times(N_IMAGES / n_sampled))
            features = np.zeros((N_IMAGES, backbone.dim), dtype=np.float16)
            _, cost = measure(shard.write, f"a_{number:02d}", {"features": features}, {})
            _add(total, "store", cost)
    return {"start": start} | {stage: cost.times(1 / len(films)) for stage, cost in total.items()}


def our_way(films: Sequence[Path], precision: str, n_threads: int, device: str) -> int:
    """Take films our way, as the workflow does; bytes of the features."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ShardWriter(folder / "clips.h5", {}) as shard:
            for number, film in enumerate(films):
                clip = {"path": encode_path(film), "start_s": 0.0, "duration_s": DURATION_S}
                shard.write(f"a_{number:02d}", {"audio": np.zeros(1)}, clip)
        extract_streamed(
            clips_path=folder / "clips.h5",
            data_dir=folder,
            kind="spacetime",
            interpolation=INTERPOLATION,
            spacetime=SPACETIME,
            size_px=SIZE_PX,
            config=backbone_config(precision),
            features_path=folder / "features.h5",
            n_threads=n_threads,
            device=device,
        )
        return (folder / "features.h5").stat().st_size


def _add(total: Costs, stage: str, cost: Cost) -> None:
    total[stage] = total.get(stage, Cost()) + cost


def report(films: Sequence[Path], size: tuple[int, int], options: argparse.Namespace) -> None:
    """Measure one size and print its table."""
    (papers, n_between), papers_peak = measure_alone(papers_way, films, options.images)
    before = ("minterpolate, x264", "dump PNG", "load, stack")
    ours_before = ("decode, resize", "interpolate", "stack")
    papers_before_s = sum(papers[stage].cpu_s for stage in before)
    papers_s = sum(cost.cpu_s for cost in papers.values())
    print(f"\n{size[0]}x{size[1]}, {len(films)} clips\n")
    rows: list[list[str | float]] = [[f"papers: {stage}", papers[stage].cpu_s, ""] for stage in before]
    rows.append(["papers: all before the network", papers_before_s, ""])
    timed = f"{options.images} of {N_IMAGES} images timed"
    rows.append([f"papers: network ({timed})", papers["network"].cpu_s, ""])
    rows.append(["papers: pickle", papers["store"].cpu_s, ""])
    rows.append(["papers: whole", papers_s, "1"])
    lines = [f"Papers: {n_between / 1e6:.0f} MB between stages a clip, peak {papers_peak.peak_mib:.0f} MiB."]
    for number, precision in enumerate(options.precisions):
        stages, _ = measure_alone(our_stages, films, options.images, precision)
        if number == 0:
            rows += [[f"ours: {stage}", stages[stage].cpu_s, ""] for stage in ours_before]
            ours_before_s = sum(stages[stage].cpu_s for stage in ours_before)
            rows.append(
                ["ours: all before the network", ours_before_s, _ratio(papers_before_s, ours_before_s)]
            )
            rows.append(["ours: HDF5", stages["store"].cpu_s, ""])
        network_s = stages["network"].cpu_s
        shown = f"ours: network, {precision} ({timed})"
        rows.append([shown, network_s, _ratio(papers["network"].cpu_s, network_s)])
        n_bytes, whole = measure_alone(our_way, films, precision, options.threads, options.device)
        start_s = stages["start"].cpu_s
        each_s = (whole.cpu_s - start_s) / len(films)
        rows.append([f"ours: whole, {precision}, streamed in one run", each_s, _ratio(papers_s, each_s)])
        rows.append([f"ours: start of the network, {precision}, once a shard, not in the whole", start_s, ""])
        lines.append(
            f"Ours, {precision}: {n_bytes / len(films) / 1e6:.1f} MB of features a clip, nothing between; "
            f"peak {whole.peak_mib:.0f} MiB; {whole.wall_s / len(films):.1f} s of clock a clip on "
            f"{options.device}, {options.threads} threads, the network's start in it."
        )
    print(table(["stage", "CPU-s a clip", "papers / ours"], rows))
    print("\n" + "\n".join(lines), flush=True)


def _ratio(papers_s: float, ours_s: float) -> str:
    return f"{papers_s / ours_s:.1f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="films; without it procedural ones")
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--images", type=int, default=24, help="images that the papers' network is timed on")
    parser.add_argument("--sizes", nargs="+", default=["640x360"], help="width x height of the films")
    parser.add_argument("--precisions", nargs="+", default=["auto"], help="of our network")
    parser.add_argument("--threads", type=int, default=1, help="of our whole run")
    parser.add_argument("--device", default="cpu", help="of our whole run: cpu or cuda")
    options = parser.parse_args(arguments)

    start_s = time.perf_counter()
    print(machine())
    roof = matmul_flops()
    network = registry.load("backbones", "resnet50").build(backbone_config("float32"))
    ideal = roof / network_flops(network, SIZE_PX)
    print(
        f"Matrix product {roof / 1e9:.0f} GFLOP/s in float32 on one thread: at most {ideal:.1f} ResNet-50 "
        f"images/s, {N_IMAGES / ideal:.0f} CPU-s a clip."
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        choose = choose_films if options.folder else procedural_films
        chosen = choose(options.folder or folder, options.clips)
        for text in options.sizes:
            size = (int(text.split("x")[0]), int(text.split("x")[1]))
            films = [folder / f"{text}-{number}.mp4" for number in range(len(chosen))]
            for path, film in zip(chosen, films, strict=True):
                transcode(path, size, film)
            report(films, size, options)
    print(f"\nThis run took {(time.perf_counter() - start_s) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()

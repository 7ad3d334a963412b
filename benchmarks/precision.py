"""What a precision costs: ``python -m benchmarks.precision [--network efficientnet_lite0]``.

Recordings of the procedural data set are rendered, every precision that the CPU has makes features of
the same pictures, and a linear classifier of the twelve classes is fitted to each (leave out whole
recordings, five folds). Printed are speed, agreement with float32 and class accuracy.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.measure import fastest, machine, table
from benchmarks.roofline import NETWORKS
from foley.datasets.procedural.config import ProceduralConfig
from foley.datasets.procedural.make import list_recordings, make_recording
from foley.features.engines import by_openvino
from foley.features.visual import BackboneConfig, load_backbone
from foley.media.video import read_frames
from foley.preprocess.interpolation import InterpolationConfig, interpolate_clip
from foley.preprocess.spacetime import SpacetimeConfig, make_images

_DURATION_S = 3.0
_N_FOLDS = 5


def pictures_of(
    n_recordings: int, side_px: int, n_pictures: int
) -> tuple[NDArray[np.uint8], list[str], list[str]]:
    """Space-time images of rendered films, with the class and the recording of each.

    Returns
    -------
    images : ndarray of uint8, shape (n, side_px, side_px, 3)
    labels, recordings : list of str
        One for each image.
    """
    config = ProceduralConfig(recordings_per_class=n_recordings, min_duration_s=3.0, max_duration_s=3.4)
    interpolation = InterpolationConfig(fps=n_pictures / _DURATION_S)
    images, labels, recordings = [], [], []
    with tempfile.TemporaryDirectory() as name:
        for row in list_recordings(config):
            facts = make_recording(*row, config, Path(name))
            frames, times_s = read_frames(Path(name) / facts["path"], end_s=_DURATION_S, size_px=side_px)
            made = interpolate_clip(frames, times_s, duration_s=_DURATION_S, config=interpolation)
            images.append(make_images(made, SpacetimeConfig()))
            labels += [str(facts["label"])] * len(made)
            recordings += [str(row[0])] * len(made)
    return np.concatenate(images), labels, recordings


def class_accuracy(features: NDArray[np.float64], labels: list[str], recordings: list[str]) -> float:
    """Share of pictures whose class a linear classifier names, on recordings that it never saw."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    folds = GroupKFold(_N_FOLDS)
    return float(np.mean(cross_val_score(probe, features, labels, groups=recordings, cv=folds)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print speed, agreement and accuracy of each precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="efficientnet_lite0", choices=NETWORKS)
    parser.add_argument("--weights", help="weights file; without one the packaged or random ones")
    parser.add_argument("--sha256", help="of that file")
    parser.add_argument("--side", type=int, default=96, help="side of the pictures, pixels")
    parser.add_argument("--recordings", type=int, default=10, help="of each class")
    parser.add_argument("--pictures", type=int, default=8, help="of each recording")
    options = parser.parse_args(arguments)

    images, labels, recordings = pictures_of(options.recordings, options.side, options.pictures)
    best = by_openvino.best_precision()
    precisions = ["float32", *([best] if best != "float32" else []), "int8"]
    made: dict[str, NDArray[np.float64]] = {}
    rows: list[list[str | float]] = []
    for precision in precisions:
        config = BackboneConfig(
            network=options.network,
            weights=options.weights or NETWORKS[options.network],
            sha256=options.sha256,
            input_px=options.side,
            batch_size=16,
            engine="openvino",
            precision=precision,
        )
        backbone = load_backbone(config)
        made[precision] = backbone(images).astype(np.float64)
        rate = 16 / fastest(lambda: backbone.run(images[:16]), 5)  # noqa: B023
        accuracy = class_accuracy(made[precision], labels, recordings)
        alike = _cosine(made[precision], made["float32"])
        rows.append([precision, rate, rate / float(rows[0][1]) if rows else 1.0, alike.min(), accuracy])
    print(machine())
    print(
        f"{options.network}, {options.side} px, {len(images)} pictures of {len(set(recordings))} recordings\n"
    )
    header = ["precision", "pictures per CPU-s", "speed-up", "lowest cosine to float32", "class accuracy"]
    shown = [[*row[:3], f"{row[3]:.4f}", f"{row[4]:.3f}"] for row in rows]
    print(table(header, shown))


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / np.maximum(lengths, 1e-12))


if __name__ == "__main__":
    main()

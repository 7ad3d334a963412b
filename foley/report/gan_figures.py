"""Figures of generators of sound: rainbowgrams, loss curves, sample sheets.

The generators are the experiments in the rows of FoleyGAN's Table I (``report.rows.foleygan_table1``), in
that order; the row whose name begins with ``Real`` is recorded sound.
"""

import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from foley.report.run_paths import Curve, RunPaths, blank, held_out_clips, read_curve
from foley.store.shards import ShardReader

_TABLE = "foleygan_table1"
_GUIDED = "FoleyGAN"
_RANGE_DB = 60.0
_LOWEST_HZ = 65.4
_NOTES_PER_OCTAVE = 24
_N_OCTAVES = 8
_HOP = 256
_NOT_LOSSES = ("epoch", "step", "seed", "iteration", "lr")


def generators(paths: RunPaths) -> dict[str, str]:
    """Experiments of Table I's rows that made sound, by the row's name; not the recorded sound."""
    rows = paths.report.rows.get(_TABLE, {})
    return {
        title: experiment
        for title, experiment in rows.items()
        if not title.startswith("Real") and experiment in paths.experiments
    }


def rainbowgram(waveform: NDArray[Any], sample_rate_hz: int) -> NDArray[np.float64]:
    """Picture of a constant-Q transform: magnitude as brightness, instantaneous frequency as colour.

    After Engel et al. (2017), whose rainbowgrams FoleyGAN's Fig. 6 shows. The instantaneous frequency is the
    step of a note's phase from frame to frame, less what the note itself turns; a steady partial keeps its
    colour, noise changes it.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Mono.
    sample_rate_hz : int
        Its rate; 44,100 shows all notes, of a lower one those that it can hold.

    Returns
    -------
    ndarray of float64, shape (n_notes, n_frames, 3)
        Red, green and blue in [0, 1]; black where it is 60 dB under the loudest. All black for silence.
    """
    # Here and not above: no other figure needs librosa, which takes a second to load.
    from foley.features.librosa_shim import librosa

    n_notes = _NOTES_PER_OCTAVE * _N_OCTAVES
    highest_hz = 0.45 * sample_rate_hz
    n_notes = min(n_notes, int(_NOTES_PER_OCTAVE * np.log2(highest_hz / _LOWEST_HZ)))
    transform = librosa.cqt(
        np.asarray(waveform, dtype=np.float32),
        sr=sample_rate_hz,
        hop_length=_HOP,
        fmin=_LOWEST_HZ,
        n_bins=n_notes,
        bins_per_octave=_NOTES_PER_OCTAVE,
    )
    magnitude = np.abs(transform)
    loudest = max(float(magnitude.max()), 1e-6)
    level_db = 20 * np.log10(np.maximum(magnitude / loudest, 1e-12))
    brightness = np.clip(1 + level_db / _RANGE_DB, 0, 1)
    notes_hz = _LOWEST_HZ * 2 ** (np.arange(n_notes) / _NOTES_PER_OCTAVE)
    expected = 2 * np.pi * notes_hz[:, None] * _HOP / sample_rate_hz
    steps = np.diff(np.angle(transform), axis=1, prepend=0) - expected
    turning = (steps / np.pi + 1) % 2 - 1
    colours = colormaps["hsv"]((turning + 1) / 2)[..., :3]
    return np.asarray(colours * brightness[..., None], dtype=np.float64)


def rainbowgrams(paths: RunPaths) -> Figure:
    """Rainbowgrams of recorded and generated sound, a row a class (FoleyGAN, Fig. 6)."""
    by_label = held_out_clips(paths)
    made = generators(paths)
    title = _GUIDED if _GUIDED in made else next(iter(made), None)
    if title is None or not by_label:
        return blank(f"needs test clips and a generator in report.rows.{_TABLE}")
    experiment = made[title]
    shard = ShardReader(paths.run(experiment, paths.experiments[experiment][0]) / "sound.h5")
    sounds = paths.sounds()
    shown = {
        label: chosen
        for label, clips in by_label.items()
        if (chosen := next((clip.clip_id for clip in clips if clip.clip_id in shard), None)) is not None
    }
    if not shown:
        return blank(f"{experiment} made no sound of a test clip")
    figure = Figure(figsize=(7, 1.5 * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), 2, squeeze=False, sharex=True)
    for row, (label, clip_id) in zip(grid, shown.items(), strict=True):
        rate_hz = int(sounds.item_attributes(clip_id)["sample_rate_hz"])
        pair = (sounds.read(clip_id, "audio"), shard.read(clip_id, "waveform"))
        for axes, waveform in zip(row, pair, strict=True):
            picture = rainbowgram(waveform, rate_hz)
            extent = (0, len(waveform) / rate_hz, 0, len(picture) / _NOTES_PER_OCTAVE)
            axes.imshow(picture, origin="lower", aspect="auto", extent=extent, interpolation="nearest")
            axes.tick_params(labelsize=6)
        row[0].set_ylabel(label, fontsize=8)
    grid[0][0].set_title("recorded", fontsize=9)
    grid[0][1].set_title(title, fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("time (s)", fontsize=8)
    figure.supylabel(f"octaves above {_LOWEST_HZ:.0f} Hz", fontsize=8)
    return figure


def gan_losses(paths: RunPaths) -> Figure:
    """What each generator's training logged, a panel an experiment, all seeds."""
    curves = {
        title: found
        for title, experiment in generators(paths).items()
        if (found := _curves(paths, experiment))
    }
    if not curves:
        return blank(f"no experiment in report.rows.{_TABLE} has a training curve")
    n_columns = min(3, len(curves))
    n_rows = -(-len(curves) // n_columns)
    figure = Figure(figsize=(4.2 * n_columns, 2.8 * n_rows), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes in grid[len(curves) :]:
        axes.axis("off")
    for axes, (title, seeds) in zip(grid, curves.items(), strict=False):
        keys = list(dict.fromkeys(key for curve in seeds for key in curve))
        for number, key in enumerate(keys):
            for place, curve in enumerate(seeds):
                label = key.replace("_", " ") if place == 0 else None
                axes.plot(*curve.get(key, ([], [])), color=f"C{number % 10}", linewidth=0.8, label=label)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("epoch", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=6)
    return figure


def _curves(paths: RunPaths, experiment: str) -> list[dict[str, Curve]]:
    """What each seed logged: numbers but counters, rates, times and accuracies."""
    found = []
    for seed in paths.experiments[experiment]:
        path = paths.run(experiment, seed) / "curve.jsonl"
        logged = read_curve(path) if path.is_file() else {}
        kept = {
            key: values
            for key, values in logged.items()
            if key not in _NOT_LOSSES and not key.endswith(("_s", "accuracy"))
        }
        if kept:
            found.append(kept)
    return found


def sample_sheet(paths: RunPaths) -> Figure:
    """Spectrograms of recorded and generated sound of one test clip a class, a column a generator."""
    by_label = held_out_clips(paths)
    made = generators(paths)
    if not by_label or not made:
        return blank(f"needs test clips and a generator in report.rows.{_TABLE}")
    sounds = paths.sounds()
    runs = {title: paths.run(one, paths.experiments[one][0]) for title, one in made.items()}
    shards = {title: ShardReader(run / "sound.h5") for title, run in runs.items()}
    n_columns = 1 + len(shards)
    figure = Figure(figsize=(1.6 * n_columns + 0.6, 1.1 * len(by_label) + 0.4), layout="constrained")
    grid = figure.subplots(len(by_label), n_columns, squeeze=False, sharex=True, sharey=True)
    for row, (label, clips) in zip(grid, by_label.items(), strict=True):
        clip_id = clips[0].clip_id
        rate_hz = int(sounds.item_attributes(clip_id)["sample_rate_hz"])
        waves: list[NDArray[Any] | None] = [
            sounds.read(clip_id, "audio"),
            *(one.read(clip_id, "waveform") if clip_id in one else None for one in shards.values()),
        ]
        for axes, waveform in zip(row, waves, strict=True):
            axes.tick_params(labelsize=6)
            if waveform is None:
                axes.text(0.5, 0.5, "not learned", transform=axes.transAxes, ha="center", fontsize=7)
                continue
            axes.specgram(
                np.asarray(waveform, dtype=np.float64) + 1e-9,
                NFFT=512,
                Fs=rate_hz / 1000,
                noverlap=256,
                cmap="magma",
                vmin=-110,
                vmax=-20,
                xextent=(0, len(waveform) / rate_hz),
            )
        row[0].set_ylabel(label, fontsize=8)
    for axes, title in zip(grid[0], ("recorded", *shards), strict=True):
        axes.set_title(textwrap.fill(title, 20), fontsize=7)
    for axes in grid[-1]:
        axes.set_xlabel("s", fontsize=7)
    return figure


GAN_FIGURES: dict[str, Callable[[RunPaths], Figure]] = {
    "rainbowgrams": rainbowgrams,
    "gan_losses": gan_losses,
    "sample_sheet": sample_sheet,
}

GAN_CAPTIONS: dict[str, str] = {
    "rainbowgrams": "Constant-Q level as brightness, instantaneous frequency as colour (FoleyGAN, Fig. 6).",
    "gan_losses": "What the training of each generator logged, all seeds.",
    "sample_sheet": "Spectrograms (kHz) of a test clip of each class: recorded, and by each generator.",
}

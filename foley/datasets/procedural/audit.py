"""Look at the data set and measure whether it is worth learning from.

The measures answer: can the class be told from colours alone (it must not), can event times be
told without the picture (they must not), is the sound where the truth says, does the picture
change when an event happens, do training and held-out recordings share what they must not share.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import mir_eval
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from foley.datasets.procedural.film import Frame, Shot, film
from foley.datasets.procedural.make import Take, read_intensity, read_truth
from foley.features.librosa_shim import librosa
from foley.media.audio import read_audio
from foley.media.video import read_frames
from foley.store.files import atomic_path

Facts = Mapping[str, Any]
"""What :func:`foley.datasets.procedural.make.make_recording` returns."""

_TIME_WINDOW_S = 0.05


def colour_histogram(frame: Frame, n_bins: int = 6) -> NDArray[np.float32]:
    """Joint RGB histogram and one-dimensional hue, saturation and value histograms of a frame.

    Parameters
    ----------
    frame : ndarray of uint8, shape (height, width, 3)
        RGB.
    n_bins : int
        Bins to a channel of the joint histogram.

    Returns
    -------
    ndarray of float32, shape (n_bins ** 3 + 48,)
        Parts of the picture's area; sums to 4.
    """
    joint = cv2.calcHist([frame], [0, 1, 2], None, [n_bins] * 3, [0, 256] * 3).ravel()
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
    single = [cv2.calcHist([hsv], [k], None, [16], [0, top]).ravel() for k, top in enumerate((180, 256, 256))]
    n_pixels = frame.shape[0] * frame.shape[1]
    return np.asarray(np.concatenate([joint, *single]) / n_pixels, dtype=np.float32)


def histogram_accuracy(
    train: Sequence[tuple[str, Frame]], test: Sequence[tuple[str, Frame]], seed: int = 0
) -> float:
    """Accuracy, in [0, 1], of telling the class of a frame from its colours alone.

    A random forest on :func:`colour_histogram` of frames (label, RGB picture) learns from `train`
    and is scored on `test`, frame by frame.
    """
    forest = RandomForestClassifier(n_estimators=200, min_samples_leaf=2, random_state=seed)
    forest.fit([colour_histogram(frame) for _, frame in train], [label for label, _ in train])
    guesses = forest.predict([colour_histogram(frame) for _, frame in test])
    return float(np.mean(guesses == np.array([label for label, _ in test])))


def onset_times(wave: NDArray[np.float32], sample_rate_hz: int) -> NDArray[np.float64]:
    """Find onsets by the rise of high-passed level, to about a millisecond.

    Parameters
    ----------
    wave : ndarray of float32, shape (n_samples,)
        Sound.
    sample_rate_hz : int
        Its rate.

    Returns
    -------
    ndarray of float64, shape (n_onsets,)
        Times in seconds, rising.
    """
    hop = sample_rate_hz // 1000
    edge = np.diff(wave, prepend=wave[:1]).astype(np.float64)
    n = edge.size // hop
    level = 10 * np.log10((edge[: n * hop].reshape(n, hop) ** 2).mean(axis=1) + 1e-11)
    if n < 50:
        return np.zeros(0)
    padded = np.pad(level, (30, 4), mode="edge")
    past = np.lib.stride_tricks.sliding_window_view(padded, 27)[:n].max(axis=1)
    soon = np.lib.stride_tricks.sliding_window_view(padded[30:], 5)[:n].mean(axis=1)
    rise = np.where(soon > level.max() - 40, soon - past, 0.0)
    picks = librosa.util.peak_pick(
        rise, pre_max=40, post_max=40, pre_avg=1, post_avg=1, delta=0.0, wait=40, sparse=True
    )
    picks = picks[rise[picks] > 6.0]
    starts = []
    for frame in picks:
        window = np.abs(edge[frame * hop : (frame + 6) * hop])
        starts.append((frame * hop + int(np.argmax(window > 0.25 * window.max()))) / sample_rate_hz)
    return np.array(starts)


def onset_errors(facts: Facts, folder: Path, apart_s: float = 0.12) -> NDArray[np.float64]:
    """Signed differences between audio onsets and the truth, for one written recording.

    The file is decoded as the pipeline does. Only events that stand alone count: no other event is
    heard in the `apart_s` seconds before, and their force is at least 0.15. An event with no onset
    within 50 ms counts as an error of 50 ms.

    Returns
    -------
    ndarray of float64, shape (n_events,)
        Onset minus truth in seconds.
    """
    wave = read_audio(folder / facts["path"], 48_000)
    found = onset_times(wave, 48_000)
    heard = np.array(sorted((row.heard_s, row.force) for row in read_truth(folder, facts["recording_id"])))
    errors = []
    for k, (time_s, force) in enumerate(heard):
        if force < 0.15 or (k > 0 and time_s - heard[k - 1, 0] < apart_s):
            continue
        gaps = found - time_s
        nearest = gaps[np.abs(gaps).argmin()] if gaps.size else np.inf
        errors.append(float(nearest) if abs(nearest) < _TIME_WINDOW_S else _TIME_WINDOW_S)
    return np.array(errors)


def change_at_events(
    take: Take, reach: float = 0.16, span_s: float = 0.2, size: int = 96, within_s: float = 4.0
) -> tuple[float, float]:
    """How much the picture changes at the events of a take, and away from them.

    Changes are mean absolute grey differences between pictures 40 ms apart, inside a box of
    `reach` picture heights around the position of each event; away from events means more than
    `span_s` from each, at the same boxes. Only the first `within_s` seconds are filmed.

    Returns
    -------
    at, away : float
        Grey levels; NaN where there is nothing to measure.
    """
    times = np.array([event.time_s for event in take.performance.events])
    grid = np.arange(0.0, min(take.stage.duration_s, within_s), 0.04)
    shot = replace(small_shot(take, size), times_s=grid, n_samples=1)
    frames = film(take.performance, take.nuisances, shot, np.random.default_rng(0))
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for _, frame in frames]
    change = [np.abs(b - a) for a, b in pairwise(grey)]
    middle = (grid[1:] + grid[:-1]) / 2
    at, away = [], []
    for event in take.performance.events:
        camera = take.nuisances.camera.matrix(event.time_s, size)
        x, y = camera @ np.array([event.x, event.y, 1.0])
        r = reach * size
        box = np.s_[max(0, int(y - r)) : int(y + r) + 1, max(0, int(x - r)) : int(x + r) + 1]
        if event.time_s > within_s or not change[0][box].size:
            continue
        for difference, time_s in zip(change, middle, strict=True):
            if abs(time_s - event.time_s) < 0.06:
                at.append(float(difference[box].mean()))
            elif np.abs(times - time_s).min() > span_s:
                away.append(float(difference[box].mean()))
    return (float(np.mean(at)) if at else float("nan")), (float(np.mean(away)) if away else float("nan"))


def blind_timing(
    train: Sequence[tuple[str, Sequence[float]]],
    test: Sequence[tuple[str, Sequence[float], float]],
    rng: np.random.Generator,
    n_draws: int = 40,
) -> tuple[float, float]:
    """Score event times predicted from training statistics alone, beside the same times misplaced.

    For each class the blind model places the training mean number of events at the fullest 50 ms
    bins of the training recordings, at least 100 ms apart: the best that is known without looking.

    Parameters
    ----------
    train : sequence of (label, event times)
        Training recordings.
    test : sequence of (label, event times, duration_s)
        Held-out recordings.
    rng : numpy.random.Generator
        Draws the misplacements: the blind model's times, turned round the recording by a random
        amount, so that chance has the same number of guesses with the same spacing.
    n_draws : int
        Misplacements averaged for each recording.

    Returns
    -------
    blind, chance : float
        Mean F1 within 50 ms, one-to-one matching.
    """
    by_label = defaultdict(list)
    for label, times in train:
        by_label[label].append(np.asarray(times))
    guesses = {label: _fullest_bins(rows) for label, rows in by_label.items()}
    blind, chance = [], []
    for label, times, duration_s in test:
        truth = np.sort(np.asarray(times, dtype=np.float64))
        guess = guesses[label][guesses[label] < duration_s]
        if truth.size == 0 or guess.size == 0:
            continue
        blind.append(_f1(truth, guess))
        for _ in range(n_draws):
            chance.append(_f1(truth, np.sort((guess + rng.uniform(0, duration_s)) % duration_s)))
    return float(np.mean(blind)), float(np.mean(chance))


def _fullest_bins(rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    n_events = max(1, round(float(np.mean([row.size for row in rows]))))
    counts = np.histogram(np.concatenate(rows), bins=np.arange(0, 8.05, 0.05))[0].astype(np.float64)
    smooth = np.convolve(counts, [0.5, 1, 0.5], "same")
    chosen: list[float] = []
    for k in np.argsort(-smooth, kind="stable"):
        time_s = 0.025 + 0.05 * float(k)
        if all(abs(time_s - other) > 0.1 for other in chosen):
            chosen.append(time_s)
        if len(chosen) == n_events:
            break
    return np.sort(chosen)


def _f1(truth: NDArray[np.float64], guess: NDArray[np.float64]) -> float:
    return float(mir_eval.onset.f_measure(truth, guess, window=_TIME_WINDOW_S)[0])


def shared_traits(rows: Iterable[Facts]) -> dict[str, dict[str, set[str]]]:
    """Find trait values that occur in training and in held-out recordings of a class.

    Returns
    -------
    dict of label to dict of trait to set of values
        Only traits that share at least one value; the value ``none`` is not counted.
    """
    seen: dict[tuple[str, str], tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for row in rows:
        for trait, value in row["traits"].items():
            seen[row["label"], trait][bool(row["held_out"])].add(str(value))
    shared: dict[str, dict[str, set[str]]] = defaultdict(dict)
    for (label, trait), (train, test) in sorted(seen.items()):
        both = (train & test) - {"none"}
        if both:
            shared[label][trait] = both
    return dict(shared)


def small_shot(take: Take, height_px: int) -> Shot:
    """Camera settings of a take at another picture height (width follows, even)."""
    width = round(height_px * take.stage.aspect / 2) * 2
    return replace(take.shot, width_px=width, height_px=height_px)


def frames_at_events(facts: Facts, folder: Path, n_frames: int = 4) -> list[Frame]:
    """Pick frames of a written recording: right after some events, and evenly spread for want of them."""
    frames, times_s = read_frames(folder / facts["path"])
    events = [row.time_s for row in read_truth(folder, facts["recording_id"])]
    if len(events) >= n_frames:
        events = [events[k] for k in np.linspace(0, len(events) - 1, n_frames).round().astype(int)]
    spread = list(np.linspace(0.1, 0.9, n_frames - len(events)) * facts["duration_s"])
    wanted = np.sort([*events, *spread])
    # The first picture that was taken once the event had happened; Matroska rounds to milliseconds.
    places = np.searchsorted(times_s, wanted - 0.0006)
    return [frames[min(int(place), len(frames) - 1)] for place in places]


def contact_sheet(
    rows: Sequence[Facts],
    folder: Path,
    path: Path,
    labelled: bool = True,
    n_frames: int = 4,
    height_px: int = 112,
    n_columns: int = 2,
) -> None:
    """Write a PNG with a strip of frames for each recording.

    Parameters
    ----------
    rows : sequence of dict
        Facts of written recordings.
    folder : Path
        Where they are.
    path : Path
        PNG to write.
    labelled : bool
        Print class and number on each strip; without, a person can be asked what it shows.
    n_frames : int
        Frames of a strip.
    height_px : int
        Height of a frame; all are squeezed to 4:3.
    n_columns : int
        Strips side by side.
    """
    width = height_px * 4 // 3
    strips = []
    for row in rows:
        frames = [
            cv2.resize(frame, (width, height_px), interpolation=cv2.INTER_AREA)
            for frame in frames_at_events(row, folder, n_frames)
        ]
        strip = np.concatenate(frames, axis=1)
        if labelled:
            name = f"{row['label']} {row['recording_id'][-4:]}{' held out' if row['held_out'] else ''}"
            for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
                cv2.putText(strip, name, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thick, cv2.LINE_AA)
        strips.append(cv2.copyMakeBorder(strip, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(255, 255, 255)))
    while len(strips) % n_columns:
        strips.append(np.full_like(strips[0], 255))
    lines = [np.concatenate(strips[k : k + n_columns], axis=1) for k in range(0, len(strips), n_columns)]
    _write_png(path, np.concatenate(lines, axis=0))


def spectrogram_panels(rows: Sequence[Facts], folder: Path, path: Path, n_columns: int = 3) -> None:
    """Write a PNG with a mel spectrogram of each recording, its events and its intensity curve."""
    n_lines = -(-len(rows) // n_columns)
    figure = Figure(figsize=(5 * n_columns, 2.4 * n_lines), layout="constrained")
    for k, row in enumerate(rows):
        axes = figure.add_subplot(n_lines, n_columns, k + 1)
        wave = read_audio(folder / row["path"], 32_000)
        mel = librosa.feature.melspectrogram(y=wave, sr=32_000, n_fft=1024, hop_length=160, n_mels=80)
        end_s = wave.size / 32_000
        axes.imshow(
            librosa.power_to_db(mel, ref=np.max, top_db=70),
            origin="lower",
            aspect="auto",
            extent=(0, end_s, 0, 1),
            cmap="magma",
        )
        for event in read_truth(folder, row["recording_id"]):
            axes.axvline(event.heard_s, ymin=0.9, color="cyan", linewidth=0.9)
        curve = read_intensity(folder, row["recording_id"])
        if curve:
            axes.plot([p.time_s for p in curve], [p.intensity for p in curve], color="white", linewidth=1)
        axes.set(title=f"{row['label']} {row['recording_id'][-4:]}", yticks=[], xlim=(0, end_s), ylim=(0, 1))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=90, metadata={"Software": None})


def _write_png(path: Path, picture: Frame) -> None:
    with atomic_path(path) as temporary:
        cv2.imwrite(str(temporary), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

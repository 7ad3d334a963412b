"""Figures: the paper's own and what a reader wants to see. Equal inputs give equal bytes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from foley.errors import ConfigError, MediaError
from foley.media.paths import media_path
from foley.media.video import read_frames
from foley.report.autofoley import PAPER_PATH, ROWS
from foley.report.config import ReportConfig
from foley.report.gan_figures import GAN_CAPTIONS, GAN_FIGURES
from foley.report.measured import Measured
from foley.report.run_paths import RunPaths, blank, held_out_clips, one_of_each_recording_first, read_curve
from foley.report.tables import read_paper
from foley.store.files import atomic_path, read_json
from foley.store.manifests import Clip
from foley.store.shards import ShardReader

_DPI = 100
_BLUE, _ORANGE, _GREY = "#3b6ea5", "#d9822b", "#9a9a9a"
_FLOOR_DB = -90.0
_N_FFT = 512
_TIMED_FIRST = ("break", "clock", "cutting", "gunshot", "horse", "rain")
"""Classes of Fig. 12, in this order where the data has them."""


# --- contact sheet ---------------------------------------------------------------------------------


def contact_sheet(paths: RunPaths, n_clips: int = 2, frames_per_clip: int = 3, size_px: int = 112) -> Figure:
    """Frames of test clips, one row a class: the middle frame is at an event, where there is one."""
    by_label = held_out_clips(paths)
    if not by_label:
        return blank("no test clip")
    first_event: dict[str, float] = {}
    for event in sorted(paths.events(), key=lambda one: (one.clip_id, -one.force, one.time_s)):
        first_event.setdefault(event.clip_id, event.time_s)
    n_columns = n_clips * frames_per_clip
    figure = Figure(figsize=(1.15 * n_columns + 0.9, 1.17 * len(by_label)), layout="constrained")
    grid = figure.subplots(len(by_label), n_columns, squeeze=False)
    for row, (label, clips) in zip(grid, by_label.items(), strict=True):
        for axes in row:
            axes.axis("off")
        row[0].text(-0.06, 0.5, label, transform=row[0].transAxes, ha="right", va="center", fontsize=10)
        for number, clip in enumerate(clips[:n_clips]):
            middle_s = first_event.get(clip.clip_id, clip.duration_s / 2)
            places = row[number * frames_per_clip : (number + 1) * frames_per_clip]
            _show_frames(places, clip, middle_s, paths.data_dir, size_px)
    return figure


def _show_frames(places: Sequence[Axes], clip: Clip, middle_s: float, data_dir: Path, size_px: int) -> None:
    try:
        path = media_path(data_dir, clip.path)
        frames, times_s = read_frames(
            path,
            start_s=clip.start_s,
            end_s=clip.start_s + clip.duration_s,
            size_px=size_px,
            period_s=clip.period_s,
        )
    except MediaError as error:
        places[0].text(0.5, 0.5, error.reason, ha="center", va="center", fontsize=8)
        return
    wanted_s = sorted([*np.linspace(0.1, 0.9, len(places) - 1) * clip.duration_s, middle_s])
    for axes, time_s in zip(places, wanted_s, strict=True):
        nearest = int(np.argmin(np.abs(times_s - clip.start_s - time_s)))
        axes.imshow(frames[nearest])
        axes.set_title(f"{times_s[nearest] - clip.start_s:.2f} s", fontsize=7, pad=2)


# --- sound -----------------------------------------------------------------------------------------


def spectrogram_db(waveform: NDArray[np.floating], n_fft: int = _N_FFT) -> NDArray[np.float64]:
    """Power spectrogram for looking at.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Sound in [-1, 1].
    n_fft : int
        Window length in samples (Hann); the step is half of it.

    Returns
    -------
    ndarray of float64, shape (n_fft // 2 + 1, n_frames)
        In dB relative to a full-scale sine, not below -90.
    """
    padded = np.pad(np.asarray(waveform, dtype=np.float64), (0, max(0, n_fft - len(waveform))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[:: n_fft // 2]
    taper = np.hanning(n_fft)
    magnitude = np.abs(np.fft.rfft(windows * taper, axis=1)).T * 2 / taper.sum()
    return np.asarray(np.maximum(20 * np.log10(np.maximum(magnitude, 1e-12)), _FLOOR_DB))


def _draw_wave(axes: Axes, waveform: NDArray[Any], rate_hz: int, colour: str) -> None:
    """Draw the least and the greatest sample of each of 600 slices: what a full plot would show."""
    slices = np.array_split(np.asarray(waveform), min(600, len(waveform)))
    times_s = (np.arange(len(slices)) + 0.5) * len(waveform) / rate_hz / len(slices)
    axes.fill_between(
        times_s, [one.min() for one in slices], [one.max() for one in slices], color=colour, linewidth=0.4
    )
    axes.set_xlim(0, len(waveform) / rate_hz)
    peak = max(float(np.abs(waveform).max()), 1e-3)
    axes.set_ylim(-1.05 * peak, 1.05 * peak)


def _draw_spectrogram(axes: Axes, waveform: NDArray[Any], rate_hz: int) -> Any:
    return axes.imshow(
        spectrogram_db(waveform),
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=_FLOOR_DB,
        vmax=0,
        extent=(0, len(waveform) / rate_hz, 0, rate_hz / 2000),
    )


def fig5(paths: RunPaths) -> Figure:
    """Oscillogram and spectrogram of a horse clip (AutoFoley, Fig. 5), or of the first class."""
    by_label = held_out_clips(paths)
    if not by_label:
        return blank("no test clip")
    label = "horse" if "horse" in by_label else next(iter(by_label))
    clip = by_label[label][0]
    sounds = paths.sounds()
    waveform = sounds.read(clip.clip_id, "audio")
    rate_hz = int(sounds.item_attributes(clip.clip_id)["sample_rate_hz"])
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    _draw_wave(upper, waveform, rate_hz, _BLUE)
    upper.set_ylabel("amplitude")
    upper.set_title(f"{label}: {clip.clip_id}", fontsize=10)
    image = _draw_spectrogram(lower, waveform, rate_hz)
    lower.set_ylabel("frequency (kHz)")
    lower.set_xlabel("time (s)")
    figure.colorbar(image, ax=lower, label="dB")
    return figure


def fig12(paths: RunPaths, n_classes: int = 6) -> Figure:
    """Recorded sound beside the sounds of models 1 and 2 (AutoFoley, Fig. 12)."""
    by_label = held_out_clips(paths)
    models = paths.models()
    if not by_label or not models:
        return blank("needs test clips and both models in report.rows.autofoley_table4")
    preferred = [label for label in _TIMED_FIRST if label in by_label]
    labels = (preferred + [label for label in by_label if label not in preferred])[:n_classes]
    sounds = paths.sounds()
    made = {
        title: ShardReader(paths.run(one, paths.experiments[one][0]) / "sound.h5")
        for title, one in models.items()
    }
    figure = Figure(figsize=(3.2 * (1 + len(made)), 1.9 * len(labels)), layout="constrained")
    axes = figure.subplots(2 * len(labels), 1 + len(made), squeeze=False, sharex=True)
    for place, label in enumerate(labels):
        clip_id = by_label[label][0].clip_id
        rate_hz = int(sounds.item_attributes(clip_id)["sample_rate_hz"])
        columns = [
            ("recorded", sounds.read(clip_id, "audio"), _GREY),
            *((title, shard.read(clip_id, "waveform"), _BLUE) for title, shard in made.items()),
        ]
        for column, (title, waveform, colour) in enumerate(columns):
            upper, lower = axes[2 * place][column], axes[2 * place + 1][column]
            _draw_wave(upper, waveform, rate_hz, colour)
            _draw_spectrogram(lower, waveform, rate_hz)
            if place == 0:
                upper.set_title(title, fontsize=10)
            if column == 0:
                upper.set_ylabel(label, fontsize=9)
                lower.set_ylabel("kHz", fontsize=8)
            for one in (upper, lower):
                one.tick_params(labelsize=6)
    for one in axes[-1]:
        one.set_xlabel("time (s)", fontsize=8)
    return figure


_FIG5_PANELS = {
    "without regularizer": ("regnet_table3", "Dog-gauss / Ours-woREG"),
    "REGNET": ("regnet_table8", "S860D32"),
    "wide": ("regnet_table8", "S860D1024"),
    "narrow": ("regnet_table8", "S860D8"),
}
"""Predicted panels of REGNET's Fig. 5, and the rows of tables whose experiments fill them."""


def regnet_fig5(paths: RunPaths) -> Figure:
    """Spectrograms of one test clip: noise, clean sound, and what learned from both (REGNET, Fig. 5)."""
    chosen = {
        title: experiment
        for title, (table, row) in _FIG5_PANELS.items()
        if (experiment := paths.report.rows.get(table, {}).get(row)) is not None
    }
    if "REGNET" not in chosen:
        return blank("needs row S860D32 in report.rows.regnet_table8")
    runs = {title: paths.run(one, paths.experiments[one][0]) for title, one in chosen.items()}
    learned = read_json(runs["REGNET"] / "model.json")["config"]
    if learned["mixture"] is None:
        return blank("needs an experiment that learned from mixed sound")
    features = paths.dataset_dir / "features"
    mixed = ShardReader(features / f"mixed/{learned['mixture']}/{learned['representation']}.h5")
    clean = ShardReader(features / f"audio/{learned['representation']}.h5")
    made = {title: ShardReader(run / "sound.h5") for title, run in runs.items()}
    clips = [clip for clip in paths.clips() if clip.clip_id in made["REGNET"] and clip.split == "test"]
    clip = one_of_each_recording_first(clips)[0]
    panels = {
        "what was mixed in": mixed.read(clip.clip_id, "background"),
        "clean sound": clean.read(clip.clip_id, "features"),
        **{title: shard.read(clip.clip_id, "spectrogram") for title, shard in made.items()},
    }
    n_rows = -(-len(panels) // 2)
    figure = Figure(figsize=(8, 1.7 * n_rows + 0.6), layout="constrained")
    grid = figure.subplots(n_rows, 2, squeeze=False, sharex=True, sharey=True)
    for axes in grid.ravel()[len(panels) :]:
        axes.axis("off")
    for number, (axes, (title, spectrogram)) in enumerate(zip(grid.ravel(), panels.items(), strict=False)):
        image = axes.imshow(
            spectrogram,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=0,
            vmax=1,
            extent=(0, clip.duration_s, 0, len(spectrogram)),
        )
        axes.set_title(f"({'abcdefgh'[number]}) {title}", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("time (s)", fontsize=8)
    for axes in grid[:, 0]:
        axes.set_ylabel("mel band", fontsize=8)
    figure.suptitle(clip.clip_id, fontsize=9)
    figure.colorbar(image, ax=figure.axes, shrink=0.8)
    return figure


# --- numbers ---------------------------------------------------------------------------------------


def fig14(paths: RunPaths) -> Figure:
    """Normalised confusion matrices of both models (AutoFoley, Fig. 14), all seeds together."""
    drawn: list[tuple[str, list[str], NDArray[np.float64]]] = []
    for title, experiment in paths.models().items():
        data = [score.data for score in paths.scores(experiment, "confusion") if score.data]
        if data:
            counts = np.array([one["counts"] for one in data], dtype=np.float64).sum(axis=0)
            drawn.append((f"{title}: {experiment}", data[0]["classes"], counts))
    if not drawn:
        return blank("needs the metric confusion of both models")
    figure = Figure(figsize=(5.6 * len(drawn), 5.2), layout="constrained")
    for axes, (title, classes, counts) in zip(
        figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True
    ):
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        ticks = np.arange(len(classes))
        axes.set_xticks(ticks, classes, rotation=90, fontsize=8)
        axes.set_yticks(ticks, classes, fontsize=8)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title(title, fontsize=10)
        for row, column in np.argwhere(shares >= 0.005):
            value = shares[row, column]
            colour = "white" if value > 0.5 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=colour)
    figure.colorbar(figure.axes[0].get_images()[0], ax=figure.axes, shrink=0.8)
    return figure


def training_curves(paths: RunPaths) -> Figure:
    """Every quantity that training logged, over epochs, one line an experiment (first seed)."""
    curves = {
        experiment: curve
        for experiment, seeds in paths.experiments.items()
        if (file := paths.run(experiment, seeds[0]) / "curve.jsonl").is_file() and (curve := read_curve(file))
    }
    aside = ("epoch", "step", "seed")
    keys = [
        key
        for key in dict.fromkeys(key for curve in curves.values() for key in curve)
        if key not in aside and not key.endswith("_s")
    ]
    if not keys:
        return blank("no experiment was trained")
    n_columns = min(3, len(keys))
    n_rows = -(-len(keys) // n_columns)
    figure = Figure(figsize=(4.2 * n_columns, 3 * n_rows + 0.8), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    styles = ("-", "--", ":", "-.")
    for axes, key in zip(grid, keys, strict=False):
        for number, (experiment, curve) in enumerate(curves.items()):
            if key in curve:
                style = {"color": f"C{number % 10}", "linestyle": styles[number // 10 % 4]}
                axes.plot(*curve[key], label=experiment, linewidth=1, **style)
        axes.set_title(key.replace("_", " "), fontsize=10)
        axes.set_xlabel("epoch")
    for axes in grid[len(keys) :]:
        axes.axis("off")
    handles = {
        label: line for axes in grid for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=7)
    return figure


def _joined(lists: Iterable[Sequence[float]]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(0), *(np.asarray(one, dtype=np.float64) for one in lists)])


def sync_errors(paths: RunPaths, limit_ms: float = 250.0) -> Figure:
    """Signed onset errors of both models beside the control, each as a share of its own pairs."""
    drawn = []
    for title, experiment in paths.models().items():
        data = [score.data for score in paths.scores(experiment, "sync") if "errors_ms" in score.data]
        own = _joined(errors for one in data for errors in one["errors_ms"].values())
        control = _joined(one["shuffled_errors_ms"] for one in data)
        if own.size:
            drawn.append((f"{title}: {experiment}", own, control))
    if not drawn:
        return blank("no sync errors: needs the metric sync of both models")
    figure = Figure(figsize=(5 * len(drawn), 3.4), layout="constrained")
    bins = np.linspace(-limit_ms, limit_ms, 51)
    for axes, (title, own, control) in zip(
        figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True
    ):
        share = np.full(own.size, 1 / own.size)
        axes.hist(own, bins=bins, weights=share, color=_BLUE, alpha=0.8, label=f"own clip (n = {own.size})")
        if control.size:
            axes.hist(
                control,
                bins=bins,
                weights=np.full(control.size, 1 / control.size),
                color=_ORANGE,
                histtype="step",
                linewidth=1.5,
                label=f"shuffled (n = {control.size})",
            )
        axes.axvline(0, color="black", linewidth=0.6)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("onset error (ms), late is positive")
        axes.set_ylabel("share of matched onsets")
        axes.legend(fontsize=8)
    return figure


def printed_accuracies(report: ReportConfig) -> dict[str, float]:
    """Accuracy in percent that the paper prints for each configured experiment (Tables V to VII)."""
    found: dict[str, float] = {}
    paper = read_paper(PAPER_PATH)
    for table in ("autofoley_table5", "autofoley_table6", "autofoley_table7"):
        values = {one.row: one.value for one in paper[table]}
        for row in ROWS[table]:
            if (experiment := report.rows.get(table, {}).get(row)) is not None:
                found.setdefault(experiment, values[row])
    return found


def accuracy(paths: RunPaths) -> Figure:
    """Accuracy of every experiment beside the value that the paper prints."""
    measured = Measured.read(paths.dataset_dir / "metrics.tsv")
    values = {
        experiment: value
        for experiment in paths.experiments
        if measured.has(experiment, "accuracy")
        and (value := measured.get(experiment, "accuracy", "test/class_average", absent="")).value is not None
    }
    if not values:
        return blank("no experiment has an accuracy")
    printed = printed_accuracies(paths.report)
    figure = Figure(figsize=(7.5, 0.36 * len(values) + 1.3), layout="constrained")
    axes = figure.subplots()
    for place, (experiment, value) in enumerate(values.items()):
        shown = value.times(100, "%")
        centre = shown.value or 0.0
        axes.barh(place, centre, height=0.6, color=_BLUE, label="ours" if place == 0 else None)
        if shown.low is not None and shown.high is not None:
            spread = [[max(0.0, centre - shown.low)], [max(0.0, shown.high - centre)]]
            axes.errorbar(centre, place, xerr=spread, color="black", linewidth=1, capsize=2)
        if experiment in printed:
            axes.plot(printed[experiment], place, marker="D", color=_ORANGE, markersize=6)
    if printed:
        axes.plot([], [], marker="D", color=_ORANGE, linestyle="", label="paper")
    axes.set_yticks(range(len(values)), list(values), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy of the class predicted from the picture (%), mean over classes")
    axes.legend(fontsize=8, loc="lower right")
    return figure


FIGURES: dict[str, Callable[[RunPaths], Figure]] = {
    "contact_sheet": contact_sheet,
    "fig5": fig5,
    "fig12": fig12,
    "fig14": fig14,
    "regnet_fig5": regnet_fig5,
    "training_curves": training_curves,
    "sync_errors": sync_errors,
    "accuracy": accuracy,
    **GAN_FIGURES,
}

CAPTIONS: dict[str, str] = {
    "contact_sheet": "Frames of test clips; the time of each frame is given above it.",
    "fig5": "Oscillogram and spectrogram of a recorded clip (AutoFoley, Fig. 5).",
    "fig12": "Recorded sound and the sounds of both models for test clips (AutoFoley, Fig. 12).",
    "fig14": "Confusion of the class predicted from the picture, test clips (AutoFoley, Fig. 14).",
    "regnet_fig5": "Log-mel spectrograms of one test clip after learning from noisy sound (REGNET, Fig. 5).",
    "training_curves": "What training logged, over epochs.",
    "sync_errors": "Signed onset errors of the generated sounds, and of the same sounds put to other clips.",
    "accuracy": "Accuracy of every experiment on test recordings, and the paper's where it prints one.",
    **GAN_CAPTIONS,
}


def plot_figure(
    *,
    figure: str,
    results_dir: str | Path,
    data_dir: str | Path,
    dataset: str,
    experiments: Mapping[str, Sequence[int]],
    report: Mapping[str, Any],
    out_path: str | Path,
) -> None:
    """Draw one figure as PNG.

    Parameters
    ----------
    figure : str
        Key of ``FIGURES``.
    results_dir, data_dir, dataset, experiments, report
        See :class:`RunPaths`; `report` holds fields of :class:`foley.report.config.ReportConfig`.
    out_path : path
        PNG to write; it holds no date and no version.

    Raises
    ------
    ConfigError
        If no figure has that name.
    """
    if figure not in FIGURES:
        raise ConfigError(f"report.figures: no figure is called {figure!r}; there are {', '.join(FIGURES)}")
    paths = RunPaths(
        Path(results_dir),
        Path(data_dir),
        dataset,
        {name: list(seeds) for name, seeds in experiments.items()},
        ReportConfig(**report),
    )
    drawn = FIGURES[figure](paths)
    with atomic_path(out_path) as temporary:
        drawn.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None})

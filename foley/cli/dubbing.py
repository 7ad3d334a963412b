"""``foley dub``: a film in, the same film with a new sound out."""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from foley import registry
from foley.errors import FoleyError
from foley.media.ffmpeg import open_media, picture_stream, replace_sound, shown
from foley.store.files import atomic_path, read_json
from foley.synthesis.dubbing import Dub, dub_sound, forced_class, load_dubber, write_cues

_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
_SHOWN_RUNS = 20


def find_model(model: Path | None, system: str | None, *, default: Path, results: Path) -> Path:
    """Find the folder of the model that a person means.

    Parameters
    ----------
    model : Path or None
        Its folder.
    system : str or None
        Name of its system. Of the experiments with that system, the one that bears its name is meant,
        else the first by name of those that know the most classes, and it is said which; the first seed
        of it.
    default : Path
        What is meant where neither is said.
    results : Path
        Folder of the runs.

    Raises
    ------
    FoleyError
        If both are said, or nothing of that system was trained.
    """
    if system is None:
        return model or default
    if model is not None:
        raise FoleyError(f"{shown(model)}: --model and --system both name a model; give one of them")
    registry.module_name("systems", system)
    trained = [
        path.parent
        for path in results.glob("*/experiments/*/seed*/model.json")
        if read_json(path)["config"]["system"] == system
    ]
    folders = sorted({folder.parent for folder in trained})
    if not folders:
        raise FoleyError(
            f"{shown(results)}: no model of system {system} is there; `make tables` trains one, or name a "
            "folder with --model"
        )

    def first_seed(experiment: Path) -> Path:
        seeds = [folder for folder in trained if folder.parent == experiment]
        return min(seeds, key=lambda folder: int(folder.name.removeprefix("seed")))

    def order(experiment: Path) -> tuple[bool, int, str]:
        n_classes = len(read_json(first_seed(experiment) / "model.json")["spec"]["classes"])
        return experiment.name != system, -n_classes, experiment.name

    meant = min(folders, key=order)
    if meant.name != system and len(folders) > 1:
        others = ", ".join(folder.name for folder in folders if folder != meant)
        Console(stderr=True).print(
            f"{system}: taking {shown(meant)}; --model takes another ({others})", markup=False, soft_wrap=True
        )
    return first_seed(meant)


def dub_film(
    *,
    video: Path,
    output: Path,
    model: Path,
    label: str | None,
    seed: int,
    wav: Path | None,
    cues: Path | None,
    keep_original: bool,
    device: str,
    n_threads: int,
) -> Dub:
    """Dub a film, write what was asked for and print a summary.

    Parameters
    ----------
    video, output : Path
        The film, and the film to make; an existing one is replaced only when the new one is whole.
    model : Path
        Folder of a trained model.
    label : str or None
        Class that sounds; ``None`` lets the model see.
    seed : int
        Another seed gives another take.
    wav, cues : Path or None
        Also write the sound alone, and the cue list.
    keep_original : bool
        Keep the film's own sound as second track.
    device : str
        ``cpu`` or ``cuda``.
    n_threads : int

    Returns
    -------
    Dub

    Raises
    ------
    FoleyError
        With what to do about it.
    """
    _check_names(video, output, wav, cues)
    _check_film(video)
    if not (model / "model.json").is_file():
        raise FoleyError(
            f"{shown(model)}: there is no trained model; `make tables` trains one, or name another folder "
            "with --model"
        )
    console = Console(stderr=True)
    started = time.monotonic()
    with console.status("Loading the model"):
        dubber = load_dubber(model, device=device, n_threads=n_threads)
    forced_class(dubber, label)
    loaded = time.monotonic()
    with _writing(output), TemporaryDirectory(prefix=".foley-", dir=_folder(output)) as folder:
        fresh = Path(folder) / "sound.wav"
        with _progress(console) as progress:
            task = progress.add_task("Sound", total=None)
            dub = dub_sound(
                video,
                fresh,
                dubber,
                label=label,
                seed=seed,
                on_progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
        with console.status("Joining sound and picture"):
            replace_sound(video, fresh, output, keep_original=keep_original)
        if wav is not None:
            with _writing(wav):
                _copy(fresh, wav)
    if cues is not None:
        with _writing(cues):
            write_cues(cues, dub.cues)
    _summarise(dub, output, loaded - started, time.monotonic() - loaded)
    return dub


def _check_names(video: Path, output: Path, wav: Path | None, cues: Path | None) -> None:
    """Refuse names under which a file would be lost, and folders that cannot be written to."""
    if output.suffix.lower() not in _SUFFIXES:
        raise FoleyError(
            f"{shown(output)}: is not the name of a film that sound can be put to; end it in "
            f"{', '.join(_SUFFIXES)}"
        )
    taken = [("the film", video)]
    for what, path in (("--output", output), ("--wav", wav), ("--cues", cues)):
        if path is None:
            continue
        for other, other_path in taken:
            if _same(path, other_path):
                raise FoleyError(f"{shown(path)}: {what} would overwrite {other}; name another file")
        taken.append((what, path))
        if path.is_dir():
            raise FoleyError(f"{shown(path)}: is a folder; {what} takes the name of a file")
        with _writing(path):
            if not os.access(_folder(path), os.W_OK | os.X_OK):
                raise PermissionError(13, "the folder cannot be written to")


def _same(path: Path, other: Path) -> bool:
    if path.resolve() == other.resolve():
        return True
    return path.exists() and other.exists() and path.samefile(other)


def _folder(path: Path) -> Path:
    """Folder of a file to write; made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.parent


def _check_film(video: Path) -> None:
    """Find out early that there is nothing to dub."""
    with open_media(video) as container:
        if picture_stream(container) is None:
            raise FoleyError(f"{shown(video)}: has no picture to put sound to; give a video file")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the system says against writing `path` into an error that a person can act on."""
    try:
        yield
    except OSError as error:
        raise FoleyError(
            f"{shown(path)}: cannot be written ({error.strerror or error}); choose another folder or "
            "make room"
        ) from error


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary, source.open("rb") as read, temporary.open("wb") as write:
        while part := read.read(1 << 20):
            write.write(part)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total:.1f} s" if console.is_terminal else ""),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _summarise(dub: Dub, output: Path, loading_s: float, work_s: float) -> None:
    facts = dub.facts
    rate = f"{facts.fps:.3f}".rstrip("0").rstrip(".")
    varies = ", variable" if facts.variable_frame_rate else ""
    lines = [
        f"{shown(output)}: {facts.duration_s:.2f} s, {facts.width_px} x {facts.height_px}, "
        f"{rate} pictures a second{varies}; its picture is copied bit for bit"
    ]
    runs = [(label, list(group)) for label, group in groupby(dub.windows, key=lambda window: window.label)]
    for label, group in runs[:_SHOWN_RUNS]:
        if label:
            confidence = sum(window.confidence for window in group) / len(group)
            span = f"{group[0].start_s:8.2f} to {group[-1].end_s:8.2f} s"
            lines.append(f"  {span}  {label} ({confidence:.0%})")
    if len(runs) > _SHOWN_RUNS:
        lines.append(f"  and {len(runs) - _SHOWN_RUNS} more changes of class")
    loudness = "not measurable" if dub.loudness_lufs is None else f"{dub.loudness_lufs:.1f} LUFS"
    lowered = f", lowered by {-dub.gain_db:.1f} dB" if dub.gain_db < 0 else ""
    level = f"loudness {loudness}; true peak {dub.true_peak_dbtp:.1f} dBTP{lowered}"
    if not math.isfinite(dub.true_peak_dbtp):
        level = "the new sound is silent"
    lines += [
        f"  {len(dub.cues)} cues; {level}",
        f"  {work_s:.1f} s of work, {work_s / facts.duration_s:.2f} s for each second of film, "
        f"after {loading_s:.1f} s of loading the model",
    ]
    console = Console(soft_wrap=True, highlight=False)
    for line in lines:
        console.print(line, markup=False)

"""Make the recordings of the procedural data set: file, truth and facts."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from foley.datasets.procedural.bank import open_bank
from foley.datasets.procedural.config import VARIABLE_RATE, ProceduralConfig
from foley.datasets.procedural.encode import FileFormat, draw_format, write_film
from foley.datasets.procedural.film import Shot, film, frame_ticks, metered
from foley.datasets.procedural.nuisance import Nuisances, draw_nuisances
from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Performance, Stage, Staging, Wave
from foley.datasets.procedural.record import Room, draw_room, dry_sound, record
from foley.datasets.procedural.registry import staging_of
from foley.seeds import derive_seed, numpy_generator
from foley.store.files import atomic_path, write_json
from foley.store.manifests import Row, read_rows, write_rows

INTENSITY_STEP_S = 0.02
"""Spacing of the intensity curve in the truth."""


class Truth(Row):
    """One sounding event of a recording (``<recording_id>.events.tsv``).

    ``time_s`` is the physical event, ``heard_s`` the arrival of its sound, both in seconds of the
    recording; `x` and `y` are parts of the picture's width and height.
    """

    recording_id: str
    time_s: float
    heard_s: float
    force: float
    kind: str
    material: str
    x: float
    y: float


class IntensityPoint(Row):
    """Level of a continuous sound at one time (``<recording_id>.intensity.tsv``)."""

    recording_id: str
    time_s: float
    intensity: float


@dataclass(frozen=True)
class Take:
    """A recording before it is filmed.

    Parameters
    ----------
    recording_id, label : str
        Name and class.
    seed : int
        Seed of the recording.
    stage : Stage
        Length and shape.
    performance : Performance
        What happens.
    nuisances : Nuisances
        What lies in between.
    room : Room
        Where it sounds.
    shot : Shot
        Camera settings and time stamps.
    ticks : ndarray of int64, shape (n_frames,)
        The time stamps in units of ``layout.tick``.
    layout : FileFormat
        How it is stored.
    """

    recording_id: str
    label: str
    seed: int
    stage: Stage
    performance: Performance
    nuisances: Nuisances
    room: Room
    shot: Shot
    ticks: np.ndarray[tuple[int], np.dtype[np.int64]]
    layout: FileFormat


def list_recordings(config: ProceduralConfig) -> list[tuple[str, str, int, bool]]:
    """List what the data set holds.

    A recording's seed depends on the configured seed and its own name only, and which ones are
    held out does not change when more are asked for.

    Parameters
    ----------
    config : ProceduralConfig
        What to make.

    Returns
    -------
    list of (recording_id, label, seed, held_out)
        In the order of ``config.classes``, then by number.

    Examples
    --------
    >>> rows = list_recordings(ProceduralConfig(classes=("break",), recordings_per_class=4))
    >>> [(name, held_out) for name, _, _, held_out in rows][2:]
    [('procedural_break_0002', False), ('procedural_break_0003', True)]
    """
    share = Fraction(config.held_out_fraction).limit_denominator(1000)
    rows = []
    for label in config.classes:
        for number in range(config.recordings_per_class):
            recording_id = f"procedural_{label}_{number:04d}"
            held_out = (number + 1) * share // 1 > number * share // 1
            rows.append((recording_id, label, derive_seed(config.seed, recording_id), held_out))
    return rows


def stage_take(
    recording_id: str,
    label: str,
    seed: int,
    held_out: bool,
    config: ProceduralConfig,
    staging: Staging | None = None,
) -> Take:
    """Decide everything about a recording, without drawing a frame.

    Parameters
    ----------
    recording_id, label, seed, held_out
        A row of :func:`list_recordings`.
    config : ProceduralConfig
        Ranges to draw from.
    staging : callable, optional
        Stages the performance; by default the class module of `label`.

    Returns
    -------
    Take
    """
    rng = numpy_generator(seed, "format")
    weights = (1.0 + np.arange(len(config.frame_sizes_px))) ** -1.5
    size = config.frame_sizes_px[int(rng.choice(len(weights), p=weights / weights.sum()))]
    rate = str(rng.choice(config.frame_rates))
    if rate != VARIABLE_RATE and Fraction(rate) > 40 and size[1] > 300:
        # Fast and large together cost more than they teach.
        size = min(config.frame_sizes_px, key=lambda wh: wh[0] * wh[1])
    # Whole milliseconds are whole samples at 48 kHz, and exact in every container.
    duration_s = round(float(rng.uniform(config.min_duration_s, config.max_duration_s)), 3)
    layout = draw_format(rng, rate)
    ticks = frame_ticks(duration_s, rate, layout.tick, rng)
    nominal_s = duration_s / len(ticks)
    # Large or fast pictures stay sharp: there the blur is not worth the price of drawing twice.
    worth_it = config.motion_blur_samples > 1 and size[1] <= 300 and nominal_s > 0.025
    slow = worth_it and rng.random() < 0.35
    shot = Shot(
        width_px=size[0],
        height_px=size[1],
        times_s=ticks.astype(np.float64) * float(layout.tick),
        shutter_s=min(nominal_s, 1 / 24) * float(rng.uniform(0.35, 0.6)) if slow else 0.0,
        n_samples=config.motion_blur_samples if slow else 1,
    )
    stage = Stage(duration_s=duration_s, aspect=size[0] / size[1], held_out=held_out)
    perform = staging_of(label) if staging is None else staging
    performance = perform(numpy_generator(seed, "performance"), stage)
    nuisances = draw_nuisances(numpy_generator(seed, "nuisance"), stage, performance.events)
    return Take(
        recording_id=recording_id,
        label=label,
        seed=seed,
        stage=stage,
        performance=performance,
        nuisances=metered(performance, nuisances, shot),
        room=draw_room(numpy_generator(seed, "room")),
        shot=shot,
        ticks=ticks,
        layout=layout,
    )


def record_take(take: Take, config: ProceduralConfig) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Record the sound of a take; float32, shape (n_samples, n_channels), 48 kHz."""
    bank = None
    if config.sound_bank is not None:
        bank = open_bank(
            config.sound_bank,
            take.label,
            take.stage.held_out,
            take.performance.bed is not None,
            numpy_generator(take.seed, "bank"),
        )
    duration_s = take.stage.duration_s
    dry = dry_sound(take.performance, duration_s, numpy_generator(take.seed, "sound"), bank)
    positions = np.array([2 * event.x / take.stage.aspect - 1 for event in take.performance.events])
    return record(
        dry,
        take.room,
        np.clip(positions, -1, 1),
        _off_screen(take, config),
        config.mixture_snr_db,
        take.layout.n_channels,
        numpy_generator(take.seed, "microphone"),
    )


def truth_of(take: Take) -> tuple[list[Truth], list[IntensityPoint]]:
    """Give the events of a take in picture coordinates, and its intensity curve (may be empty)."""
    events = []
    for event in take.performance.events:
        camera = take.nuisances.camera.matrix(event.time_s, take.shot.height_px)
        x_px, y_px = camera @ np.array([event.x, event.y, 1.0])
        events.append(
            Truth(
                recording_id=take.recording_id,
                time_s=round(event.time_s, 6),
                heard_s=round(event.heard_s, 6),
                force=round(event.force, 4),
                kind=event.kind,
                material=event.material,
                x=round(float(x_px) / take.shot.width_px, 4),
                y=round(float(y_px) / take.shot.height_px, 4),
            )
        )
    if take.performance.intensity is None:
        return events, []
    times_s = np.arange(0, take.stage.duration_s, INTENSITY_STEP_S)
    curve = take.performance.intensity(times_s)
    points = [
        IntensityPoint(
            recording_id=take.recording_id, time_s=round(float(t), 3), intensity=round(float(v), 4)
        )
        for t, v in zip(times_s, curve, strict=True)
    ]
    return events, points


def make_recording(
    recording_id: str,
    label: str,
    seed: int,
    held_out: bool,
    config: ProceduralConfig,
    folder: Path,
    staging: Staging | None = None,
) -> dict[str, Any]:
    """Render, record and write one recording with its truth.

    Written are ``<recording_id>.events.tsv`` (rows of :class:`Truth`), for continuous classes
    ``<recording_id>.intensity.tsv``, ``<recording_id>.json`` (what is returned), and last the film
    itself: where it is, all of it is. Each is renamed into place. Same arguments, same bytes.

    Parameters
    ----------
    recording_id, label, seed, held_out
        A row of :func:`list_recordings`.
    config : ProceduralConfig
        Ranges to draw from.
    folder : Path
        Where to write; made when missing.
    staging : callable, optional
        Stages the performance; by default the class module of `label`.

    Returns
    -------
    dict
        Facts of the recording: names and sha256 of its files relative to `folder`, length, size,
        frame rate, sound format, and the traits that were drawn.

    Raises
    ------
    ConfigError, MediaError
        If the sound bank has nothing usable for the class.
    """
    take = stage_take(recording_id, label, seed, held_out, config, staging)
    sound = record_take(take, config)
    events, curve = truth_of(take)
    name = f"{recording_id}.{take.layout.container}"
    write_rows(folder / f"{recording_id}.events.tsv", Truth, events)
    if curve:
        write_rows(folder / f"{recording_id}.intensity.tsv", IntensityPoint, curve)
    with atomic_path(folder / name) as temporary:
        frames = film(take.performance, take.nuisances, take.shot, numpy_generator(seed, "grain"))
        size = (take.shot.width_px, take.shot.height_px)
        write_film(temporary, frames, take.ticks, size, sound, take.layout)
        facts = _facts(take, config, name, hashlib.sha256(temporary.read_bytes()).hexdigest(), bool(curve))
        write_json(folder / f"{recording_id}.json", facts)
    return facts


def read_truth(folder: Path, recording_id: str) -> list[Truth]:
    """Read the events of a recording that :func:`make_recording` wrote into `folder`."""
    return read_rows(folder / f"{recording_id}.events.tsv", Truth)


def read_intensity(folder: Path, recording_id: str) -> list[IntensityPoint]:
    """Read the intensity curve of a recording; empty for classes that have none."""
    path = folder / f"{recording_id}.intensity.tsv"
    return read_rows(path, IntensityPoint) if path.is_file() else []


def _facts(take: Take, config: ProceduralConfig, name: str, sha256: str, has_curve: bool) -> dict[str, Any]:
    layout = take.layout
    scene = {f"scene.{key}": value for key, value in take.performance.traits.items()}
    film_traits = {f"film.{key}": value for key, value in take.nuisances.traits.items()}
    return {
        "recording_id": take.recording_id,
        "label": take.label,
        "seed": take.seed,
        "held_out": take.stage.held_out,
        "path": name,
        "sha256": sha256,
        "events_path": f"{take.recording_id}.events.tsv",
        "intensity_path": f"{take.recording_id}.intensity.tsv" if has_curve else "",
        "n_events": len(take.performance.events),
        "duration_s": take.stage.duration_s,
        "width_px": take.shot.width_px,
        "height_px": take.shot.height_px,
        "frame_rate": layout.rate,
        "n_frames": len(take.ticks),
        "crf": layout.crf,
        "audio_codec": layout.audio_codec,
        "sample_rate_hz": layout.sample_rate_hz,
        "n_channels": layout.n_channels,
        "mixture": config.mixture,
        "mixture_snr_db": None if config.mixture == "clean" else config.mixture_snr_db,
        "sound": "bank" if config.sound_bank is not None else "synthetic",
        "traits": {**scene, **film_traits, "room.kind": take.room.kind},
    }


def _off_screen(take: Take, config: ProceduralConfig) -> Wave | None:
    """Sound of something that is not in the picture, or nothing."""
    if config.mixture == "clean":
        return None
    rng = numpy_generator(take.seed, "off-screen")
    if config.mixture == "gauss":
        n_samples = round(take.stage.duration_s * SAMPLE_RATE_HZ)
        return rng.standard_normal(n_samples, dtype=np.float32)
    other = staging_of(config.mixture)(rng, take.stage)
    return dry_sound(other, take.stage.duration_s, rng, None)

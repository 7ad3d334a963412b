"""Score one run by one metric, and gather the scores of all runs in one table."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from foley import registry
from foley.errors import ConfigError, ManifestError, StoreError
from foley.metrics.base import Item, Recording, Reference, Score
from foley.store.files import read_json, write_json
from foley.store.manifests import Clip, Event, Row, read_rows, write_rows
from foley.store.shards import ShardReader, ShardSet


class MetricRow(Row):
    """One number of one run (``metrics.tsv``)."""

    experiment: str
    seed: int
    metric: str
    part: str  # "" for the headline, else a path such as class/break
    value: float | None = None
    n: int
    ci_low: float | None = None
    ci_high: float | None = None
    unit: str
    note: str = ""


def load_items(
    *,
    sound_path: str | Path,
    judgements_path: str | Path | None = None,
    clips_paths: Sequence[str],
    rows_paths: Sequence[str],
    events_paths: Sequence[str],
    reference_path: str | Path | None = None,
) -> list[Item]:
    """Gather what is known of every clip of a run; sounds are read when a metric asks.

    Parameters
    ----------
    sound_path : path
        What the run made.
    judgements_path : path, optional
        What the sound classifier heard in it, for metrics that ask for it.
    clips_paths, rows_paths, events_paths : sequence of path
        Shards of clips, their tables, their events.
    reference_path : path, optional
        What is heard in the recorded sound of all clips, for metrics that ask for it.

    Returns
    -------
    list of Item
        Sorted by clip id.

    Raises
    ------
    StoreError
        If the run lacks a test clip of a class that it makes, has an unknown one, or predicts a class
        that the sound classifier does not know.
    """
    sounds = ShardReader(sound_path, keep_open=True)
    judgements = None if judgements_path is None else ShardReader(judgements_path, keep_open=True)
    clips = ShardSet(list(clips_paths), keep_open=True)
    rows = {row.clip_id: row for path in rows_paths for row in read_rows(path, Clip)}
    events: dict[str, list[Event]] = defaultdict(list)
    for path in events_paths:
        for event in read_rows(path, Event):
            events[event.clip_id].append(event)
    classes = _known_classes(rows.values(), judgements)
    columns = _columns(sounds, classes)
    if unknown := sorted(set(sounds.items) - set(rows)):
        raise StoreError(f"{sound_path}: {unknown[0]} is in no table of clips; run the experiment again")
    made = set(sounds.items)
    labels = set(sounds.attributes["labels"])
    wanted = {one for one, row in rows.items() if row.split == "test" and row.label in labels}
    lost = sorted(wanted - made)
    if lost:
        raise StoreError(f"{sound_path}: {len(lost)} test clips are missing, first {lost[0]}; make it again")
    recordings = _recordings(rows, clips)
    reference = None if reference_path is None else read_reference(reference_path)
    return [
        _item(
            rows[clip_id],
            sounds,
            judgements,
            clips,
            events[clip_id],
            classes,
            columns,
            recordings=recordings,
            reference=reference,
        )
        for clip_id in sounds.items
    ]


def _recordings(rows: Mapping[str, Clip], clips: ShardSet) -> tuple[Recording, ...]:
    """The recorded sound of every clip that has one."""
    return tuple(
        Recording(
            clip_id=row.clip_id,
            label=row.label,
            split=row.split,
            load=partial(_read_recording, clips, row.clip_id),
        )
        for row in sorted(rows.values(), key=lambda row: row.clip_id)
        if row.clip_id in clips
    )


def _read_recording(clips: ShardSet, clip_id: str) -> tuple[NDArray[np.float32], int]:
    rate_hz = int(clips.item_attributes(clip_id).get("sample_rate_hz", 44100))
    return _read(clips, clip_id, "audio"), rate_hz


def read_reference(path: str | Path) -> Reference:
    """Read what :func:`foley.training.judging.judge_recordings` wrote."""
    shard = ShardReader(path, keep_open=True)
    about = [shard.item_attributes(clip_id) for clip_id in shard.items]
    return Reference(
        clip_ids=tuple(shard.items),
        labels=tuple(one["label"] for one in about),
        splits=tuple(one["split"] for one in about),
        read=partial(_heard, shard),
    )


def _heard(shard: ShardReader, clip_id: str, name: str) -> NDArray[np.float32]:
    """One thing that was heard in a clip."""
    if name not in shard.names(clip_id):
        raise StoreError(f"{shard.path}: {clip_id} has no {name}; delete the file and run again")
    return _read(shard, clip_id, name)


def _known_classes(rows: Iterable[Clip], judgements: ShardReader | None) -> tuple[str, ...]:
    """Classes that the sound classifier knows, or, where it was not asked, those of the data set."""
    if judgements is None:
        return tuple(sorted({row.label for row in rows}))
    if known := judgements.attributes.get("classes"):
        return tuple(known)
    raise StoreError(f"{judgements.path}: does not name its classes; delete it and run again")


def _columns(sounds: ShardReader, known: tuple[str, ...]) -> list[int]:
    """Where among the classes those of the system are."""
    predicted = sounds.attributes.get("classes", [])
    if foreign := sorted(set(predicted) - set(known)):
        raise StoreError(
            f"{sounds.path}: predicts {foreign[0]}, which is none of {', '.join(known)}; train the system "
            "and the sound classifier on the same clips"
        )
    return [known.index(label) for label in predicted]


def _item(
    row: Clip,
    sounds: ShardReader,
    judgements: ShardReader | None,
    clips: ShardSet,
    events: Sequence[Event],
    classes: tuple[str, ...],
    columns: list[int],
    *,
    recordings: tuple[Recording, ...],
    reference: Reference | None,
) -> Item:
    names = sounds.names(row.clip_id)
    probabilities = None
    if "probabilities" in names:
        own = sounds.read(row.clip_id, "probabilities")
        probabilities = np.zeros(len(classes), dtype=own.dtype)
        probabilities[columns] = own
    attributes = sounds.item_attributes(row.clip_id)
    sources = sorted({event.source for event in events})
    judged = judgements if judgements is not None and row.clip_id in judgements else None
    return Item(
        clip_id=row.clip_id,
        label=row.label,
        split=row.split,
        recording_id=row.recording_id,
        classes=classes,
        sample_rate_hz=int(attributes.get("sample_rate_hz", 44100)),
        probabilities=probabilities,
        judgement=None if judged is None else judged.read(row.clip_id, "probabilities"),
        events_s=np.array(sorted(event.time_s for event in events), dtype=np.float64),
        events_source=sources[0] if len(sources) == 1 else ",".join(sources),
        load_generated=partial(_read, sounds, row.clip_id, "waveform") if "waveform" in names else None,
        load_recorded=partial(_read, clips, row.clip_id, "audio") if row.clip_id in clips else None,
        load_spectrogram=(
            partial(_read, sounds, row.clip_id, "spectrogram") if "spectrogram" in names else None
        ),
        representation=sounds.attributes.get("representation", {}),
        recordings=recordings,
        cross_entropy=(
            float(sounds.read(row.clip_id, "cross_entropy")[0]) if "cross_entropy" in names else None
        ),
        load_shifted=partial(_read, sounds, row.clip_id, "shifted") if "shifted" in names else None,
        shifted_by_s=float(attributes.get("shifted_by_s", 0.0)),
        load_heard=None if judged is None else partial(_heard, judged, row.clip_id),
        reference=reference,
    )


def _read(shard: ShardReader | ShardSet, clip_id: str, name: str) -> NDArray[np.float32]:
    return np.asarray(shard.read(clip_id, name), dtype=np.float32)


def score_run(
    *,
    settings: Mapping[str, Mapping[str, Any]],
    sound_path: str | Path,
    judgements_path: str | Path | None = None,
    clips_paths: Sequence[str],
    rows_paths: Sequence[str],
    events_paths: Sequence[str],
    reference_path: str | Path | None = None,
    seed: int,
    metrics_folder: str | Path,
) -> None:
    """Score one run by registered metrics.

    Parameters
    ----------
    settings : mapping
        For each metric (an entry of ``metrics`` in ``foley/registry.py``) the fields of its ``Config``.
    sound_path, judgements_path, clips_paths, rows_paths, events_paths, reference_path
        See :func:`load_items`.
    seed : int
        Configured seed, for resampling.
    metrics_folder : path
        Folder to make: a JSON file ``{metric}.json`` each, with ``metric``, ``settings`` and ``score``.

    Raises
    ------
    ConfigError
        If settings do not fit their metric.
    StoreError
        If something that a metric needs is missing; then no folder is made.
    """
    items = load_items(
        sound_path=sound_path,
        judgements_path=judgements_path,
        clips_paths=clips_paths,
        rows_paths=rows_paths,
        events_paths=events_paths,
        reference_path=reference_path,
    )
    scores = {name: _scored(name, fields, items, seed) for name, fields in sorted(settings.items())}
    folder = Path(metrics_folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in scores.items():
        write_json(folder / f"{name}.json", content)


def _scored(metric: str, fields: Mapping[str, Any], items: Sequence[Item], seed: int) -> dict[str, Any]:
    module = registry.load("metrics", metric)
    try:
        config = module.Config(**fields)
    except ValidationError as error:
        raise ConfigError(f"metrics.{metric}: {error}") from error
    score: Score = module.score(items, config, seed)
    return {"metric": metric, "settings": config.model_dump(mode="json"), "score": score.to_json()}


def read_score(metric_path: str | Path) -> Score:
    """Read a score that :func:`score_run` wrote; StoreError where the file is damaged."""
    try:
        return Score.from_json(read_json(metric_path)["score"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{metric_path}: is not a score ({error}); delete it and run again") from error


def collect_metrics(
    *, folders: Sequence[str | Path], probe_paths: Sequence[str | Path] = (), table_path: str | Path
) -> None:
    """Put every score of every run, with all its parts, into one table.

    Parameters
    ----------
    folders : sequence of path
        ``.../{experiment}/seed{seed}/metrics``, as :func:`score_run` makes them.
    probe_paths : sequence of path
        ``.../{experiment}/seed{seed}/probes/{metric}.json``: scores that other stages found.
    table_path : path
        ``metrics.tsv`` to write, rows :class:`MetricRow`, sorted by experiment, seed and metric.

    Raises
    ------
    ManifestError
        If a path is not in the folder of a run, or a run has a metric twice.
    """
    inside = [path for folder in map(Path, folders) for path in sorted(folder.glob("*.json"))]
    found: dict[tuple[str, int, str], Path] = {}
    for path in [*inside, *map(Path, probe_paths)]:
        run = path.parent.parent
        seed = run.name.removeprefix("seed")
        if not run.name.startswith("seed") or not seed.isdigit():
            raise ManifestError(f"{path}: is not <experiment>/seed<number>/<folder>/<metric>.json")
        key = (run.parent.name, int(seed), path.stem)
        if key in found:
            raise ManifestError(f"{path}: the same run and metric as {found[key]}")
        found[key] = path
    rows = [
        MetricRow(
            experiment=experiment,
            seed=seed,
            metric=metric,
            part=part,
            value=score.value,
            n=score.n,
            ci_low=score.ci_low,
            ci_high=score.ci_high,
            unit=score.unit,
            note=score.note,
        )
        for (experiment, seed, metric), path in sorted(found.items())
        for part, score in read_score(path).walk()
    ]
    write_rows(table_path, MetricRow, rows)

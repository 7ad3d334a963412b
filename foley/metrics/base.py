"""What a metric reads and what it returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from foley.errors import StoreError

Wave = NDArray[np.float32]
Loader = Callable[[], Wave]

NO_CLASS_OUTPUT = "this system predicts no class"
NO_CLIP = "no clip"


class MetricConfig(BaseModel):
    """Settings that every metric has.

    Parameters
    ----------
    level : float
        Confidence level of every interval, in (0, 1).
    n_resamples : int
        Bootstrap resamples; 0 leaves bootstrap intervals out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float = Field(default=0.95, gt=0, lt=1)
    n_resamples: int = Field(default=1000, ge=0)


@dataclass(frozen=True)
class Recording:
    """The recorded sound of any clip of the data set, whether or not a system made a sound for it.

    Parameters
    ----------
    clip_id, label, split : str
        Who the clip is, what it shows, ``train`` or ``test``.
    load : callable
        Gives the waveform, float32 of shape (n_samples,), and its sample rate.
    """

    clip_id: str
    label: str
    split: str
    load: Callable[[], tuple[Wave, int]]


@dataclass(frozen=True)
class Reference:
    """What networks hear in the recorded sound of a data set's clips, for metrics that compare with it.

    Parameters
    ----------
    clip_ids, labels, splits : tuple of str
        The clips, in one order.
    read : callable
        From a clip's id and the name of what was heard (``probabilities``, ``embedding``, ``sketch``,
        ``effects``) to an array of one axis.
    """

    clip_ids: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    read: Callable[[str, str], NDArray[Any]]

    def stack(self, name: str, split: str, labels: Sequence[str]) -> NDArray[np.float64]:
        """What was heard in every clip of a split and of some classes, (n_clips, dim), by clip id.

        Raises
        ------
        StoreError
            If there is no such clip.
        """
        chosen = sorted(
            clip_id
            for clip_id, label, own in zip(self.clip_ids, self.labels, self.splits, strict=True)
            if own == split and label in labels
        )
        if not chosen:
            raise StoreError(f"no {split} clip of {', '.join(labels)} has recorded sound to compare with")
        return np.array([self.read(clip_id, name) for clip_id in chosen], dtype=np.float64)


@dataclass(frozen=True)
class Item:
    """All that is known of one clip and of the sound that a system made for it.

    Parameters
    ----------
    clip_id, label, split : str
        Who the clip is, what it shows, ``train`` or ``test``.
    recording_id : str
        Recording that the clip was cut from; clips of one recording are resampled together.
    classes : tuple of str
        Class names in the order of `probabilities` and `judgement`. A system that knows some of them
        only has probability 0 for the others.
    sample_rate_hz : int
        Rate of both waveforms.
    probabilities : ndarray of float, shape (n_classes,), or None
        Class probabilities that the system predicted from the picture.
    judgement : ndarray of float, shape (n_classes,), or None
        Class probabilities that the sound classifier gave to the generated sound.
    events_s : ndarray of float64, shape (n_events,)
        Times at which the clip's events are heard, in seconds from the start of the clip.
    events_source : str
        ``annotated``, ``generated`` or ``detected``; empty where the clip has no events.
    load_generated, load_recorded : callable or None
        Give the waveforms, float32 of shape (n_samples,). They are called when a metric asks, so a
        large test set is never in memory at once.
    load_spectrogram : callable or None
        Gives the predicted spectrogram, float32 of shape (n_bins, n_frames); None where the system
        makes none.
    representation : mapping
        Settings of the representation that the system learned.
    recordings : tuple of Recording
        Those of the whole data set, sorted by clip id; the same for every item.
    cross_entropy : float or None
        How unlikely the system finds the recorded sound, nats a sample; None where it gives none.
    load_shifted : callable or None
        Gives the sound that the same system made, with equal random numbers, of a picture that comes
        `shifted_by_s` later; None where the experiment does not ask for it.
    shifted_by_s : float
        See there; in seconds.
    load_heard : callable or None
        From the name of what was heard in the generated sound (``embedding``, ``sketch``, ``effects``)
        to an array of one axis; None where the sound was not judged.
    reference : Reference or None
        What is heard in recorded sound; None where no metric of the run asks for it.
    """

    clip_id: str
    label: str
    split: str
    recording_id: str = ""
    classes: tuple[str, ...] = ()
    sample_rate_hz: int = 44100
    probabilities: NDArray[Any] | None = None
    judgement: NDArray[Any] | None = None
    events_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    events_source: str = ""
    load_generated: Loader | None = None
    load_recorded: Loader | None = None
    load_spectrogram: Loader | None = None
    representation: Mapping[str, Any] = field(default_factory=dict)
    recordings: tuple[Recording, ...] = ()
    cross_entropy: float | None = None
    load_shifted: Loader | None = None
    shifted_by_s: float = 0.0
    load_heard: Callable[[str], NDArray[Any]] | None = None
    reference: Reference | None = None

    @property
    def generated(self) -> Wave:
        """Generated waveform, float32 (n_samples,); StoreError where the system stored none."""
        return self._loaded(self.load_generated, "generated waveform", 1)

    @property
    def recorded(self) -> Wave:
        """Recorded waveform, float32 (n_samples,); StoreError where the clip has none."""
        return self._loaded(self.load_recorded, "recorded waveform", 1)

    @property
    def shifted(self) -> Wave:
        """Sound of the shifted picture, float32 (n_samples,); StoreError where none was made."""
        return self._loaded(self.load_shifted, "sound of a shifted picture", 1)

    @property
    def spectrogram(self) -> NDArray[np.float32]:
        """Predicted spectrogram, float32 (n_bins, n_frames); StoreError where the system made none."""
        return self._loaded(self.load_spectrogram, "spectrogram", 2)

    def heard(self, name: str) -> NDArray[Any]:
        """What a network heard in the generated sound, one axis; StoreError where it was not asked."""
        if self.load_heard is None:
            raise StoreError(f"{self.clip_id}: was not judged; name judgements in the NEEDS of the metric")
        return self.load_heard(name)

    def compared(self) -> Reference:
        """What is heard in recorded sound; StoreError where that was not asked for."""
        if self.reference is None:
            raise StoreError(
                f"{self.clip_id}: there is no recorded sound to compare with; give score_run a reference_path"
            )
        return self.reference

    @property
    def cluster(self) -> str:
        """What is resampled as one: the recording, or the clip itself where it is unknown."""
        return self.recording_id or self.clip_id

    def _loaded(self, load: Loader | None, what: str, n_axes: int) -> NDArray[np.float32]:
        if load is None:
            raise StoreError(f"{self.clip_id}: has no {what}; run the stage that makes it again")
        values = load()
        if values.ndim != n_axes or not np.isfinite(values).all():
            raise StoreError(
                f"{self.clip_id}: the {what} is not a finite array of {n_axes} axes; "
                "delete its shard and run again"
            )
        return values


@dataclass(frozen=True)
class Score:
    """One number, how sure it is, and the numbers that it is made of.

    Parameters
    ----------
    value : float or None
        The score; ``None`` where it is not defined, and then `note` says why.
    n : int
        How many things (clips, events) it was computed from.
    unit : str
        For example ``proportion``, ``ms``, ``nats``, ``events``.
    ci_low, ci_high : float or None
        Confidence interval; ``None`` where there is none.
    parts : mapping of str to Score
        Scores of splits, classes, windows.
    note : str
        What a reader must know.
    data : mapping
        JSON-like values that figures need (confusion counts, single errors).
    """

    value: float | None
    n: int
    unit: str
    ci_low: float | None = None
    ci_high: float | None = None
    parts: Mapping[str, "Score"] = field(default_factory=dict)
    note: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-like nested dicts; every part has the same keys as the whole."""
        return {
            "value": self.value,
            "n": self.n,
            "unit": self.unit,
            "ci_low": self.ci_low,
            "ci_high": self.ci_high,
            "note": self.note,
            "data": dict(self.data),
            "parts": {name: part.to_json() for name, part in self.parts.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Score":
        """Undo :meth:`to_json`."""
        parts = {name: cls.from_json(part) for name, part in value["parts"].items()}
        return cls(**{**value, "parts": parts})

    def walk(self, path: str = "") -> list[tuple[str, "Score"]]:
        """List ``(path, score)`` of the whole (path ``""``) and of every part, depth first.

        Examples
        --------
        >>> score = Score(0.5, 4, "proportion", parts={"test": Score(1.0, 2, "proportion")})
        >>> [path for path, _ in score.walk()]
        ['', 'test']
        """
        found = [(path, self)]
        for name, part in self.parts.items():
            found.extend(part.walk(f"{path}/{name}" if path else name))
        return found

    def with_parts(self, parts: Mapping[str, "Score"]) -> "Score":
        """Return the same score with further parts."""
        return replace(self, parts={**self.parts, **parts})


def of_split(items: Sequence[Item], split: str) -> list[Item]:
    """Items of one split, sorted by clip id."""
    return sorted((item for item in items if item.split == split), key=lambda item: item.clip_id)


def labels_of(items: Sequence[Item]) -> list[str]:
    """Labels that occur, sorted."""
    return sorted({item.label for item in items})


def class_indices(items: Sequence[Item]) -> NDArray[np.intp]:
    """Index of every item's label in its classes.

    Raises
    ------
    StoreError
        If a label is not one of the classes.
    """
    for item in items:
        if item.label not in item.classes:
            raise StoreError(f"{item.clip_id}: label {item.label!r} is not one of {', '.join(item.classes)}")
    return np.array([item.classes.index(item.label) for item in items], dtype=np.intp)


def stack_probabilities(items: Sequence[Item], which: str) -> NDArray[np.float64] | None:
    """Stack the class probabilities of all items.

    Parameters
    ----------
    items : sequence of Item
        Clips.
    which : {"probabilities", "judgement"}
        Whose probabilities.

    Returns
    -------
    ndarray of float64, shape (n_items, n_classes), or None
        ``None`` when no item has any.

    Raises
    ------
    StoreError
        If some items have them and others do not, or if a row is not a distribution.
    """
    rows = [getattr(item, which) for item in items]
    missing = [item.clip_id for item, row in zip(items, rows, strict=True) if row is None]
    if len(missing) == len(rows):
        return None
    if missing:
        raise StoreError(
            f"{len(missing)} of {len(rows)} clips have no {which}, first {missing[0]}; "
            "run the stage that makes them again"
        )
    table = np.array(rows, dtype=np.float64)
    for item, row in zip(items, table, strict=True):
        if row.shape != (len(item.classes),) or not np.isfinite(row).all() or abs(row.sum() - 1) > 1e-2:
            raise StoreError(
                f"{item.clip_id}: {which} are not a distribution over {len(item.classes)} classes"
            )
    return table

"""What is done to a sound after any system made it: de-noising, then peak-match (V2RA, section 3.3)."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foley.errors import ConfigError, StoreError
from foley.features.audio import resampled
from foley.media.audio import read_audio
from foley.media.ffmpeg import shown
from foley.provenance import file_sha256
from foley.store.manifests import Clip, read_rows
from foley.store.shards import ShardSet
from foley.synthesis.config import PeakMatchConfig, SynthesisConfig

Waveform = NDArray[np.float32]

SOUND_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".m4a"})
"""Files of a reference folder that are listened to."""


class References(ABC):
    """Clean recordings of each class, for peak-match."""

    @abstractmethod
    def draw(self, label: str, generator: np.random.Generator) -> tuple[Waveform, int]:
        """Give one recording of a class, (n_samples,), and its sample rate; names itself where it cannot."""

    @abstractmethod
    def digests(self) -> list[str]:
        """SHA-256 of every file that can be drawn from."""


class FolderReferences(References):
    """Recordings in a folder of a person's own: ``<folder>/<class>/*.wav`` or other sound.

    Parameters
    ----------
    folder : path
    sample_rate_hz : int
        Rate to read them at.
    """

    def __init__(self, folder: str | Path, sample_rate_hz: int) -> None:
        self._folder = Path(folder)
        self._sample_rate_hz = sample_rate_hz

    def draw(self, label: str, generator: np.random.Generator) -> tuple[Waveform, int]:
        """Draw one file; ConfigError where the class has none, or the one that was drawn is silent."""
        own = self._folder / label
        files = _sounds_in(own.glob("*"))
        if not files:
            kinds = " ".join(sorted(SOUND_SUFFIXES))
            raise ConfigError(
                f"{shown(own)}: synthesis.peak_match.references needs sound files there ({kinds})"
            )
        path = files[int(generator.integers(len(files)))]
        waveform = read_audio(path, self._sample_rate_hz)
        if not waveform.any():
            raise ConfigError(f"{shown(path)}: is silent; take it out of the references of peak-match")
        return waveform, self._sample_rate_hz

    def digests(self) -> list[str]:
        """SHA-256 of every sound file, in the order of their names."""
        return [file_sha256(path) for path in _sounds_in(self._folder.glob("*/*"))]


def _sounds_in(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.suffix.lower() in SOUND_SUFFIXES)


class ClipReferences(References):
    """The training clips of the data set, where no folder is configured.

    Parameters
    ----------
    rows_paths, clips_paths : sequence of path
        Tables of clips and shards of their sound.
    """

    def __init__(self, rows_paths: Sequence[str | Path], clips_paths: Sequence[str | Path]) -> None:
        self._paths = [*rows_paths, *clips_paths]
        self._clips = ShardSet([str(path) for path in clips_paths])
        rows = (row for path in rows_paths for row in read_rows(path, Clip))
        self._training = sorted(
            (row.label, row.clip_id) for row in rows if row.split == "train" and row.clip_id in self._clips
        )

    def draw(self, label: str, generator: np.random.Generator) -> tuple[Waveform, int]:
        """Draw one training clip that is not silent; StoreError where the class has none."""
        ids = [clip_id for own, clip_id in self._training if own == label]
        for place in generator.permutation(len(ids)):
            waveform = np.asarray(self._clips.read(ids[place], "audio"), dtype=np.float32)
            if waveform.any():
                return waveform, int(self._clips.item_attributes(ids[place])["sample_rate_hz"])
        raise StoreError(
            f"peak-match: no training clip of class {label!r} holds sound; set "
            "synthesis.peak_match.references to a folder of recordings"
        )

    def digests(self) -> list[str]:
        """SHA-256 of tables and shards."""
        return [file_sha256(path) for path in self._paths]


def open_references(
    config: PeakMatchConfig | None,
    sample_rate_hz: int,
    rows_paths: Sequence[str | Path],
    clips_paths: Sequence[str | Path],
) -> References | None:
    """Open what peak-match takes its stretches from; None where it is not asked for.

    Raises
    ------
    ConfigError
        If the configured folder is not there.
    """
    if config is None:
        return None
    if config.references is None:
        return ClipReferences(rows_paths, clips_paths)
    if not Path(config.references).is_dir():
        raise ConfigError(
            f"{shown(config.references)}: synthesis.peak_match.references is no folder; make one of "
            "<class>/*.wav, or leave the key out to use training clips"
        )
    return FolderReferences(config.references, sample_rate_hz)


def finish(
    waveform: Waveform,
    sample_rate_hz: int,
    synthesis: SynthesisConfig,
    references: References | None = None,
    label: str = "",
    generator: np.random.Generator | None = None,
    *,
    keep_level: bool = False,
) -> Waveform:
    """De-noise a sound and match its peaks, as far as the settings ask for it.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n_samples,)
    sample_rate_hz : int
    synthesis : SynthesisConfig
        ``denoise`` and ``peak_match``.
    references : References, optional
        What :func:`open_references` gave; needed for peak-match.
    label : str
        Class of the sound.
    generator : numpy Generator, optional
        Draws the reference.
    keep_level : bool
        Leave the peak where it was, in place of peak-match's 1: for a part of a longer sound.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
    """
    made = waveform
    if synthesis.denoise == "block_threshold":
        from foley.synthesis.block_threshold import block_threshold  # half a second: scipy.signal

        made = block_threshold(made, sample_rate_hz, synthesis.block_threshold)
    if synthesis.peak_match is None:
        return made
    if references is None or generator is None:
        raise ValueError("peak-match needs references and a generator that draws one of them")
    from foley.synthesis.peak_match import peak_match  # half a second: scipy.signal

    peak = float(np.abs(made).max(initial=0.0)) if keep_level else 1.0
    recorded, rate_hz = references.draw(label, generator)
    reference = resampled(recorded, rate_hz, sample_rate_hz)
    return np.asarray(
        peak * peak_match(made, reference, sample_rate_hz, synthesis.peak_match), dtype=np.float32
    )

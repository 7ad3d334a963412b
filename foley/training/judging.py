"""What the sound classifier hears: in the generated sound of a run, and in recorded sound.

Files: shards with an item a clip. Metrics read them and never run a network.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from foley.errors import StoreError
from foley.features.effects import EffectsEmbedding, load_effects
from foley.features.engines.devices import device_for_job
from foley.provenance import file_sha256
from foley.store.manifests import Clip, read_rows
from foley.store.shards import ShardReader, ShardSet, ShardWriter
from foley.training.sound_classifier import fixed_threads, load_sound_classifier, predicted

logger = logging.getLogger(__name__)

_CELL = (4, 8)
"""Bands and frames of a cell of a sketch."""


class _Judge:
    """All that is heard in a clip: by the sound classifier and, where asked, by the effects embedding."""

    def __init__(self, model_path: str | Path, facts_path: str | Path, device: str, *, effects: bool) -> None:
        self._network, self._log_mel, self.facts = load_sound_classifier(model_path, facts_path)
        place = device_for_job(device)
        self._where = torch.device(place)
        self._network.to(self._where)
        self._effects: EffectsEmbedding | None = load_effects(place) if effects else None

    def hear(self, waveform: NDArray[Any], rate_hz: int, clip: str) -> dict[str, NDArray[np.float32]]:
        """Arrays to store of one clip; `clip` says in errors which it is."""
        if rate_hz != self.facts["sample_rate_hz"]:
            raise StoreError(
                f"{clip} has {rate_hz} samples a second, the sound classifier was trained at "
                f"{self.facts['sample_rate_hz']}; train both on the same clips"
            )
        if not np.isfinite(waveform).all():
            raise StoreError(f"{clip} has samples that are not finite; make it again")
        spectrogram = self._log_mel(waveform)
        probabilities, embedding = predicted(self._network, spectrogram[None], self._where)
        heard = {
            "probabilities": probabilities[0].numpy(),
            "embedding": embedding[0].numpy(),
            "sketch": sketch(spectrogram).flatten().numpy(),
        }
        if self._effects is not None:
            heard["effects"] = self._effects.embed(waveform, rate_hz)
        return heard


def sketch(spectrogram: Tensor) -> Tensor:
    """Average a spectrogram (n_mels, n_frames) over cells of 4 bands and 8 frames.

    What is left over at the upper and the late end is cut off.
    """
    return functional.avg_pool2d(spectrogram[None, None], _CELL)[0, 0]


def judge_sounds(
    *,
    sound_path: str | Path,
    model_path: str | Path,
    facts_path: str | Path,
    effects: bool = False,
    n_threads: int,
    device: str,
    judgements_path: str | Path,
) -> None:
    """Let the sound classifier judge every generated sound of a run.

    Parameters
    ----------
    sound_path : path
        Shard of a run; items with a ``waveform (n_samples,)`` (the test clips) are judged.
    model_path, facts_path : path
        The sound classifier.
    effects : bool
        Ask the effects embedding, too.
    n_threads : int
        Threads to compute with.
    device : {"cpu", "cuda"}
        Where to compute.
    judgements_path : path
        Shard to write, all float32: item ``probabilities (n_classes,)``, ``embedding (8 * width,)``,
        ``sketch``, the log-mel spectrogram in cells (see :func:`sketch`), flat, and, where asked,
        ``effects (512,)``; file attribute ``classes`` names the probabilities in order.

    Raises
    ------
    StoreError
        If a waveform does not have the classifier's sample rate, or is not finite.
    ConfigError
        If the effects embedding is asked and its weights are missing.
    """
    sounds = ShardReader(sound_path)
    with fixed_threads(n_threads):
        judge = _Judge(model_path, facts_path, device, effects=effects)
        attributes = {
            "classes": judge.facts["classes"],
            "effects": effects,
            "sound_sha256": file_sha256(sound_path),
            "model_sha256": file_sha256(model_path),
        }
        with ShardWriter(judgements_path, attributes) as shard:
            for clip_id in sounds.items:
                if shard.done(clip_id) or "waveform" not in sounds.names(clip_id):
                    continue
                attrs = sounds.item_attributes(clip_id)
                arrays = judge.hear(
                    sounds.read(clip_id, "waveform"), attrs["sample_rate_hz"], f"{sound_path}: {clip_id}"
                )
                shard.write(clip_id, arrays, {key: attrs[key] for key in ("label", "split") if key in attrs})
    logger.info("%s: judged", judgements_path)


def judge_recordings(
    *,
    clips_paths: Sequence[str],
    rows_paths: Sequence[str],
    model_path: str | Path,
    facts_path: str | Path,
    effects: bool = False,
    n_threads: int,
    device: str,
    reference_path: str | Path,
) -> None:
    """Let the sound classifier judge the recorded sound of every clip, for metrics that compare with it.

    Parameters
    ----------
    clips_paths, rows_paths : sequence of path
        Shards of clips and their tables.
    model_path, facts_path, effects, n_threads, device
        As for :func:`judge_sounds`.
    reference_path : path
        Shard to write: what :func:`judge_sounds` writes of each clip, with attributes ``label``, ``split``.

    Raises
    ------
    StoreError
        If a clip is missing, or does not have the classifier's sample rate.
    ConfigError
        If the effects embedding is asked and its weights are missing.
    """
    rows = sorted((row for path in rows_paths for row in read_rows(path, Clip)), key=lambda row: row.clip_id)
    clips = ShardSet(list(clips_paths))
    with fixed_threads(n_threads):
        judge = _Judge(model_path, facts_path, device, effects=effects)
        attributes = {
            "classes": judge.facts["classes"],
            "effects": effects,
            "clips_sha256": [file_sha256(path) for path in clips_paths],
            "model_sha256": file_sha256(model_path),
        }
        with ShardWriter(reference_path, attributes) as shard:
            for row in rows:
                if shard.done(row.clip_id):
                    continue
                rate_hz = int(clips.item_attributes(row.clip_id)["sample_rate_hz"])
                arrays = judge.hear(clips.read(row.clip_id, "audio"), rate_hz, row.clip_id)
                shard.write(row.clip_id, arrays, {"label": row.label, "split": row.split})
    logger.info("%s: %d clips", reference_path, len(rows))

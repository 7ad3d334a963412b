"""Training of a vocoder, on stretches of the training clips and their spectrograms."""

import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import foley
from foley import registry
from foley.errors import FoleyError, StoreError
from foley.features.audio import RepresentationConfig, resampled
from foley.features.engines.devices import device_for_job
from foley.features.recipe import recipe
from foley.models.vocoders.base import Vocoder, build_vocoder
from foley.models.vocoders.config import VocoderConfig, VocoderTrainingConfig
from foley.provenance import code_digest, config_digest, environment, git_state
from foley.seeds import derive_seed
from foley.store.files import atomic_path, write_json
from foley.store.shards import ShardSet
from foley.training.checkpoint import Stateful, load_state, save_state, save_weights, state_folder
from foley.training.examples import read_clips
from foley.training.experiment import use_threads
from foley.training.setup import prepare_process

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sounds:
    """Clips to learn from.

    Parameters
    ----------
    spectrograms : ndarray of float32, (n_clips, n_mels, n_frames)
    waveforms : ndarray of float32, (n_clips, n_samples)
        At the rate of the spectrograms.
    hop_length : int
        Samples of a frame: frame ``k`` stands for the samples from ``k * hop_length``.
    """

    spectrograms: NDArray[np.float32]
    waveforms: NDArray[np.float32]
    hop_length: int

    def stretches(
        self, n_stretches: int, n_frames: int, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw stretches: (n_stretches, n_mels, n_frames) and (n_stretches, n_frames * hop_length)."""
        hop = self.hop_length
        n_whole = min(self.spectrograms.shape[2], self.waveforms.shape[1] // hop)
        if n_frames > n_whole:
            raise FoleyError(
                f"training.segment_frames is {n_frames}, the clips have {n_whole} frames; make it smaller"
            )
        clips = generator.integers(len(self.waveforms), size=n_stretches)
        starts = generator.integers(n_whole - n_frames + 1, size=n_stretches)
        pairs = list(zip(clips, starts, strict=True))
        shown = np.stack([self.spectrograms[clip, :, start : start + n_frames] for clip, start in pairs])
        heard = np.stack(
            [self.waveforms[clip, start * hop : (start + n_frames) * hop] for clip, start in pairs]
        )
        return torch.from_numpy(shown), torch.from_numpy(heard)


def train_vocoder(
    *,
    vocoder: str,
    config: dict[str, Any],
    representation: dict[str, Any],
    base_seed: int,
    audio_paths: Sequence[str],
    clips_paths: Sequence[str],
    rows_paths: Sequence[str],
    model_path: str,
    facts_path: str,
    curve_path: str,
    n_threads: int,
    device: str,
) -> None:
    """Train, and write ``model.safetensors``, ``model.json`` and ``curve.jsonl``.

    A training that was killed goes on to the same weights; on a CPU the same arguments give the same
    files to the byte.

    Parameters
    ----------
    vocoder : str
        Name, for the record; decides the weights at the start.
    config : dict
        Of :class:`foley.models.vocoders.config.VocoderConfig`.
    representation : dict
        Settings of the spectrogram; what it computes is written to ``model.json``.
    base_seed : int
        Seed of the configuration.
    audio_paths, clips_paths, rows_paths : sequence of str
        Shards of the spectrogram, shards of the clips, tables of the clips.
    model_path, facts_path, curve_path : str
        Files to write. The model is the part that makes sound, without discriminators.
    n_threads : int
        Threads; fixed, because their number changes the last bits.
    device : str
        ``cpu`` or ``cuda``.

    Raises
    ------
    StoreError
        If there is no training clip.
    FoleyError
        If a loss is not finite or the clips are shorter than a stretch.
    """
    started = time.monotonic()
    use_threads(n_threads)
    prepare_process()
    device = device_for_job(device)
    checked = VocoderConfig(**config)
    mel = RepresentationConfig(**representation)
    run_seed = derive_seed(base_seed, "vocoder", vocoder)
    sounds = _read_sounds(
        audio_paths, clips_paths, rows_paths, mel, n_clips=checked.training.n_clips, seed=run_seed
    )
    network = build_vocoder(checked, mel.grid, run_seed).to(device)
    digest = _state_digest(config, representation, run_seed, [*audio_paths, *clips_paths])
    with state_folder(model_path, digest) as states:
        curve = _fit(network, sounds, checked.training, seed=run_seed, device=device, states=states)
        save_weights(network.generator, model_path)
        with atomic_path(curve_path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in curve), encoding="utf-8")
        facts = {
            "vocoder": vocoder,
            "config": config,
            "representation": representation,
            "recipe": recipe(mel),
            "n_parameters": sum(value.numel() for value in network.generator.parameters()),
            "n_train_clips": len(sounds.waveforms),
            "last_step": curve[-1],
            "run": {
                "seconds": round(time.monotonic() - started, 1),
                "device": device,
                "environment": environment(),
                "git": git_state(Path(foley.__file__).parents[1]),
            },
        }
        write_json(facts_path, facts)


def _read_sounds(
    audio_paths: Sequence[str],
    clips_paths: Sequence[str],
    rows_paths: Sequence[str],
    mel: RepresentationConfig,
    *,
    n_clips: int | None,
    seed: int,
) -> Sounds:
    """Read the training clips that have both sound and spectrogram, or `n_clips` drawn from them."""
    audio, clips = ShardSet(list(audio_paths)), ShardSet(list(clips_paths))
    rows = read_clips(rows_paths)
    ids = [row.clip_id for row in rows if row.split == "train" and row.clip_id in audio]
    ids = [clip_id for clip_id in ids if clip_id in clips]
    if not ids:
        raise StoreError(f"{', '.join(rows_paths)}: no training clip has a spectrogram; see failures.tsv")
    if n_clips is not None and n_clips < len(ids):
        drawn = np.random.default_rng(seed).choice(len(ids), n_clips, replace=False)
        ids = [ids[index] for index in sorted(drawn)]
    rate_hz = mel.settings.sample_rate_hz
    waveforms = [
        resampled(
            clips.read(clip_id, "audio"), int(clips.item_attributes(clip_id)["sample_rate_hz"]), rate_hz
        )
        for clip_id in ids
    ]
    spectrograms = np.stack([audio.read(clip_id, "features") for clip_id in ids])
    return Sounds(spectrograms, np.stack(waveforms), mel.grid.hop_length)


def _fit(
    vocoder: Vocoder,
    sounds: Sounds,
    config: VocoderTrainingConfig,
    *,
    seed: int,
    device: str,
    states: Path,
) -> list[dict[str, Any]]:
    """Train in place, from the last kept state if there is one; give the curve.

    Every step draws its random numbers from generators of its own, so that where a training was
    killed cannot be told from what it became.
    """
    optimisers = vocoder.optimisers(config)
    average = _Average(vocoder.generator, config.averaging)
    state, curve = load_state(states, device)
    done, sums = 0, dict[str, float]()
    if state:
        done, sums = state["progress"]["steps"], state["progress"]["sums"]
        vocoder.load_state_dict(state["vocoder"])
        average.weights = state["average"]
        for name, optimiser in optimisers.items():
            optimiser.load_state_dict(state[name])
        logger.info("resumed after step %d", done)
    n_summed = done % config.log_every
    vocoder.train()
    for number in range(done, config.steps):
        lr = learning_rate(config, number, n_clips=len(sounds.waveforms))
        for optimiser in optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = lr
        step_seed = derive_seed(seed, "step", number)
        torch.manual_seed(step_seed)  # layers such as nn.Dropout know no other source
        shown, heard = sounds.stretches(
            config.batch_size, config.segment_frames, np.random.default_rng(step_seed)
        )
        parts = vocoder.step(
            shown.to(device),
            heard.to(device),
            optimisers,
            torch.Generator(device).manual_seed(step_seed),
            number=number,
            clip_norm=config.clip_norm,
        )
        average.follow(vocoder.generator)
        for name, value in parts.items():
            if not math.isfinite(value):
                raise FoleyError(f"loss {name} is {value} in step {number + 1}; lower training.lr")
            sums[name] = sums.get(name, 0.0) + value
        n_summed += 1
        is_last = number + 1 == config.steps
        if n_summed == config.log_every or is_last:
            line = {"step": number + 1, "lr": lr} | {name: sums[name] / n_summed for name in sorted(sums)}
            curve.append(line)
            logger.info("%s", json.dumps(line))
            sums, n_summed = {}, 0
        if (number + 1) % config.save_every == 0 or is_last:
            kept: dict[str, Stateful] = {"vocoder": vocoder, **optimisers}
            progress = {"steps": number + 1, "sums": sums}
            save_state(states, kept, curve, average=average.weights, progress=progress)
    average.put_into(vocoder.generator)
    return curve


def learning_rate(config: VocoderTrainingConfig, step: int, *, n_clips: int) -> float:
    """Learning rate of a step, counted from 0.

    ``noam`` rises linearly to ``lr`` at ``warm_up_steps`` and falls with the root of the steps after
    it (Vaswani et al. 2017, scaled as in github.com/r9y9/wavenet_vocoder).
    """
    if config.schedule == "noam":
        after, warm_up = step + 1, config.warm_up_steps
        return config.lr * min(after / warm_up, math.sqrt(warm_up / after))
    if config.schedule == "exponential":
        n_passes = step * config.batch_size // n_clips
        return float(config.lr * config.decay**n_passes)
    if config.schedule == "cosine":
        return config.lr * 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.lr


class _Average:
    """Moving average of a network's weights; without a share it holds nothing and does nothing."""

    def __init__(self, network: torch.nn.Module, share: float | None) -> None:
        self.share = share
        self.weights: dict[str, Tensor] = {}
        if share is not None:
            self.weights = {name: value.detach().clone() for name, value in network.named_parameters()}

    @torch.no_grad()
    def follow(self, network: torch.nn.Module) -> None:
        """Move towards the network's weights of now."""
        if self.share is not None:
            for name, value in network.named_parameters():
                self.weights[name].lerp_(value, 1 - self.share)

    def put_into(self, network: torch.nn.Module) -> None:
        """Give the network the average, if there is one."""
        if self.share is not None:
            network.load_state_dict(self.weights, strict=False)  # what is no parameter stays


def _state_digest(
    config: Mapping[str, Any], representation: Mapping[str, Any], run_seed: int, paths: Sequence[str]
) -> str:
    """Digest of all that a resumed training must share with the killed one."""
    root = Path(foley.__file__).parents[1]
    code = code_digest([__name__, registry.module_name("vocoders", config["kind"])], root)
    data = [(path, Path(path).stat().st_size, Path(path).stat().st_mtime_ns) for path in paths]
    return config_digest([config, representation, run_seed, code, data])

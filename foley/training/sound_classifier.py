"""The sound classifier: tells which class a sound comes from.

AutoFoley (section IV-C.3) trains a ResNet on spectrograms of the original tracks of the training
clips and lets it judge the generated ones. This is a small residual network on log-mel
spectrograms, so that it can be trained in a minute on one core. It never sees a test clip while it
learns, and nothing is selected by its test accuracy, which is only reported.

Files: ``model.safetensors`` (weights), ``model.json`` (settings, classes, accuracies) and
``curve.jsonl`` (one line an epoch).
"""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from foley.errors import ManifestError, StoreError
from foley.features.engines.devices import device_for_job
from foley.models.layers.sound_net import SoundNet
from foley.seeds import derive_seed
from foley.store.files import atomic_path, read_json, write_json
from foley.store.manifests import Clip, read_rows
from foley.store.shards import ShardSet
from foley.training.setup import prepare_process
from foley.training.sound_classifier_config import SoundClassifierConfig

logger = logging.getLogger(__name__)

_LOWEST_HZ = 30.0
_BATCH_AT_TEST = 64
_BASIS = "log_mel.basis"
"""Name of the filters among the stored weights."""


class LogMel:
    """Log-mel spectrogram of a waveform, between 0 (silence) and 1 (the top).

    Parameters
    ----------
    config : SoundClassifierConfig
        Window, step, bands, range.
    sample_rate_hz : int
        Of the waveforms.
    basis : Tensor of float32, shape (n_mels, n_fft // 2 + 1), or None
        Filters of the bands; ``None`` computes them.
    """

    def __init__(
        self, config: SoundClassifierConfig, sample_rate_hz: int, basis: Tensor | None = None
    ) -> None:
        self._config = config
        self._hop = max(1, round(config.hop_s * sample_rate_hz))
        self._window = torch.hann_window(config.n_fft)
        self.basis = _mel_basis(config, sample_rate_hz) if basis is None else basis

    def __call__(self, waveform: NDArray[Any]) -> Tensor:
        """Spectrogram of one clip.

        Parameters
        ----------
        waveform : ndarray of float, shape (n_samples,)
            Mono.

        Returns
        -------
        Tensor of float32, shape (n_mels, n_frames)
            In [0, 1]: decibels over the floor, as a share of ``range_db``. All 0 for silence.
        """
        config = self._config
        sound = torch.from_numpy(np.array(waveform, dtype=np.float32))
        spectrum = torch.stft(
            sound,
            config.n_fft,
            self._hop,
            window=self._window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        # A full-scale sine has magnitude 1; the bands keep their own area normalisation.
        power = self.basis @ (spectrum.abs() / (config.n_fft / 4)).square()
        top = power.max() if config.level_normalised else self.basis.max()
        if not top > 1e-20:
            return torch.zeros_like(power)
        level_db = 10 * torch.log10(torch.clamp(power / top, min=1e-20))
        return torch.clamp(1 + level_db / config.range_db, 0, 1)


def _mel_basis(config: SoundClassifierConfig, sample_rate_hz: int) -> Tensor:
    # Here and not above: loading librosa takes longer than judging the sounds of a run.
    from foley.features.librosa_shim import librosa

    return torch.from_numpy(
        librosa.filters.mel(sr=sample_rate_hz, n_fft=config.n_fft, n_mels=config.n_mels, fmin=_LOWEST_HZ)
    )


@contextmanager
def fixed_threads(n_threads: int) -> Iterator[None]:
    """Compute with a fixed number of threads: another number gives other last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _augmented(
    batch: Tensor, n_kept: int, config: SoundClassifierConfig, generator: torch.Generator
) -> Tensor:
    """Crop, turn in time, tilt, and lay noise under spectrograms (batch, n_mels, n_frames)."""
    n_clips, n_mels, n_frames = batch.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    # A turned clip, cut to a stretch: shift and crop in one.
    starts = torch.randint(n_frames, (n_clips, 1), generator=generator)
    columns = (starts + torch.arange(n_kept)) % n_frames
    kept = torch.gather(batch, 2, columns[:, None].expand(-1, n_mels, -1))
    slope = torch.linspace(-1, 1, n_mels)[None, :, None] * (2 * uniform(n_clips, 1, 1) - 1)
    noise = torch.randn(kept.shape, generator=generator) * config.noise_db
    floor_db = config.floor_db * uniform(n_clips, 1, 1).square() + noise
    changed = kept + (slope * config.tilt_db + noise) / config.range_db
    return torch.maximum(changed, floor_db / config.range_db).clamp(0, 1.2)


def _seeded_network(n_classes: int, config: SoundClassifierConfig, seed: int) -> SoundNet:
    """Make a network; the process's own random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "sound_classifier", "weights"))
        return SoundNet(n_classes, config.n_mels, config.width)


def predicted(network: SoundNet, spectrograms: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Probabilities (n, n_classes) and embeddings (n, size) of spectrograms (n, n_mels, n_frames)."""
    network.eval()
    probabilities, embeddings = [], []
    with torch.no_grad():
        for batch in torch.split(spectrograms, _BATCH_AT_TEST):
            embedding = network.embed(batch.to(device))
            probabilities.append(functional.softmax(network.head(embedding), dim=1).cpu())
            embeddings.append(embedding.cpu())
    return torch.cat(probabilities), torch.cat(embeddings)


def _fit(
    network: SoundNet,
    spectrograms: Tensor,
    targets: Tensor,
    config: SoundClassifierConfig,
    seed: int,
    device: torch.device,
) -> list[dict[str, float]]:
    """Train in place; returns loss and accuracy on the augmented training clips of every epoch."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "sound_classifier", "order"))
    n_clips, _, n_frames = spectrograms.shape
    n_kept = min(n_frames, max(8, round(config.crop_s / config.hop_s)))
    network.mean.copy_(spectrograms.mean(dim=(0, 2))[:, None])
    network.deviation.copy_(spectrograms.std(dim=(0, 2))[:, None] + 0.02)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    n_steps = config.epochs * max(1, n_clips // config.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=n_steps, pct_start=0.2
    )
    curve = []
    for epoch in range(1, config.epochs + 1):
        network.train()
        # The clips that do not fill a batch are left for another epoch; small sets make one batch.
        order = torch.randperm(n_clips, generator=generator)
        n_used = max(1, n_clips // config.batch_size) * config.batch_size
        total, n_right, n_seen = 0.0, 0, 0
        for chosen in torch.split(order[:n_used], config.batch_size):
            batch = _augmented(spectrograms[chosen], n_kept, config, generator).to(device)
            wanted = targets[chosen].to(device)
            scores = network(batch)
            loss = functional.cross_entropy(scores, wanted, label_smoothing=config.label_smoothing)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
            n_right += int((scores.argmax(dim=1) == wanted).sum())
            n_seen += len(chosen)
        curve.append({"epoch": epoch, "loss": total / n_seen, "train_accuracy": n_right / n_seen})
    return curve


def _read_spectrograms(
    rows: Sequence[Clip], clips: ShardSet, config: SoundClassifierConfig
) -> tuple[Tensor, int]:
    """Spectrograms of clips, all as long as the shortest, and their sample rate."""
    rates = {clips.item_attributes(row.clip_id)["sample_rate_hz"] for row in rows}
    if len(rates) != 1:
        raise StoreError(f"clips have several sample rates ({sorted(rates)}); cut them again at one rate")
    rate_hz = int(rates.pop())
    log_mel = LogMel(config, rate_hz)
    spectrograms = [log_mel(clips.read(row.clip_id, "audio")) for row in rows]
    n_frames = min(spectrogram.shape[1] for spectrogram in spectrograms)
    return torch.stack([spectrogram[:, :n_frames] for spectrogram in spectrograms]), rate_hz


def _accuracies(labels: Sequence[str], probabilities: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy of all clips and of each class; a class that was not learned counts as wrong."""
    heard = [classes[index] for index in probabilities.argmax(dim=1).tolist()]
    right: dict[str, list[bool]] = {}
    for label, answer in zip(labels, heard, strict=True):
        right.setdefault(label, []).append(label == answer)
    return {
        "accuracy": sum(map(sum, right.values())) / len(labels),
        "class_accuracy": {label: sum(marks) / len(marks) for label, marks in sorted(right.items())},
    }


def train_sound_classifier(
    *,
    clips_paths: list[str],
    rows_paths: list[str],
    config: SoundClassifierConfig,
    seed: int,
    n_threads: int,
    device: str,
    model_path: str | Path,
    facts_path: str | Path,
    curve_path: str | Path,
) -> None:
    """Train on the recorded sound of the training clips; report the accuracy on the test clips.

    On a CPU the same arguments give the same files to the byte.

    Parameters
    ----------
    clips_paths, rows_paths : list of path
        Shards of clips (item ``audio (n_samples,)``, attribute ``sample_rate_hz``) and their tables.
    config : SoundClassifierConfig
        Input, size and training.
    seed : int
        Configured seed.
    n_threads : int
        Threads to compute with.
    device : {"cpu", "cuda"}
        Where to train.
    model_path, facts_path, curve_path : path
        Files to write: safetensors, JSON, JSON lines.

    Raises
    ------
    ManifestError
        If there is no training clip.
    StoreError
        If a clip is missing or the sample rates differ.
    """
    rows = sorted((row for path in rows_paths for row in read_rows(path, Clip)), key=lambda row: row.clip_id)
    train = [row for row in rows if row.split == "train"]
    test = [row for row in rows if row.split == "test"]
    classes = sorted({row.label for row in train})
    if not classes:
        raise ManifestError(
            f"{', '.join(map(str, rows_paths))}: the sound classifier needs training clips, there is none; "
            "ask for more recordings"
        )
    if len(classes) == 1:
        logger.warning("%s is the only class: what is judged to be of it says nothing", classes[0])
    clips = ShardSet(clips_paths)
    where = torch.device(device_for_job(device))
    prepare_process()
    with fixed_threads(n_threads):
        spectrograms, rate_hz = _read_spectrograms(train, clips, config)
        targets = torch.tensor([classes.index(row.label) for row in train])
        network = _seeded_network(len(classes), config, seed)
        curve = _fit(network.to(where), spectrograms, targets, config, seed, where)
        facts: dict[str, Any] = {
            "classes": classes,
            "config": config.model_dump(mode="json"),
            "sample_rate_hz": rate_hz,
            "seed": seed,
            "n_threads": n_threads,
            "device": device,
            "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
            "train": {"n": len(train), **_judged(network, spectrograms, train, classes, where)},
            "test": {"n": len(test)},
        }
        if test:
            heard, _ = _read_spectrograms(test, clips, config)
            facts["test"].update(_judged(network, heard, test, classes, where))
            logger.info("accuracy on %d test clips: %.3f", len(test), facts["test"]["accuracy"])
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    weights[_BASIS] = LogMel(config, rate_hz).basis
    with atomic_path(model_path) as temporary:
        save_file(weights, temporary)
    with atomic_path(curve_path) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in curve), encoding="utf-8")
    write_json(facts_path, facts)


def _judged(
    network: SoundNet, spectrograms: Tensor, rows: Sequence[Clip], classes: Sequence[str], where: torch.device
) -> dict[str, Any]:
    probabilities, _ = predicted(network, spectrograms, where)
    return _accuracies([row.label for row in rows], probabilities, classes)


def load_sound_classifier(
    model_path: str | Path, facts_path: str | Path
) -> tuple[SoundNet, LogMel, dict[str, Any]]:
    """Read a classifier that :func:`train_sound_classifier` wrote.

    Parameters
    ----------
    model_path, facts_path : path
        Its weights and facts.

    Returns
    -------
    network : SoundNet
        On the CPU, in evaluation mode.
    log_mel : LogMel
        Makes its input.
    facts : dict
        Content of the facts file.

    Raises
    ------
    StoreError
        If the weights are damaged or not of these facts.
    """
    facts = read_json(facts_path)
    config = SoundClassifierConfig(**facts["config"])
    network = _seeded_network(len(facts["classes"]), config, facts["seed"])
    try:
        weights = load_file(model_path)
        basis = weights.pop(_BASIS)
        network.load_state_dict(weights)
    except (SafetensorError, RuntimeError, OSError, KeyError) as error:
        raise StoreError(
            f"{model_path}: is not the sound classifier that {facts_path} describes ({error}); "
            "delete both and run again"
        ) from error
    return network.eval(), LogMel(config, facts["sample_rate_hz"], basis), facts

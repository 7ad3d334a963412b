"""What has REGNET's audio forwarding regulariser learned? Three probes of a trained model.

Chen et al. 2020, section V-G:

* ``similarity`` (Table V): are its outputs alike for sounds with like backgrounds? The cosine between
  its outputs for its own data's test sounds and the outputs of another run's regulariser for that
  run's test sounds, over all pairs of different clips.
* ``alone`` (Table VI): what can be made of its output alone? The visual feature is zero, the
  regulariser hears the mixed sound; the squared distance of what is made to the clip's own sound and
  to what was laid over it.
* ``mix_in`` (Table VII): does it put background into the sound? The squared distance of the sound made
  to a background, with the zero vector and with the output for sound that holds the background.

The paper does not say where the visual feature is zero; here it is where the encoder takes it in.
Recorded sound reaches the generator in these probes only; sound that is scored or heard is made by
``predict``, which cannot see it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foley.errors import ConfigError
from foley.features.engines.devices import device_for_job
from foley.metrics.base import Item, MetricConfig, Score
from foley.metrics.statistics import item_weights, mean_score, percentile_interval
from foley.models.base import Batch
from foley.models.regnet import System
from foley.seeds import derive_seed
from foley.store.files import write_json
from foley.store.shards import ShardReader
from foley.synthesis.probe_config import ProbeConfig
from foley.training.checkpoint import load_system
from foley.training.examples import Examples, read_examples
from foley.training.experiment import use_threads

_BATCH = 32
_UNIT = "squared"
_NOT_ASKED = "not among this experiment's probes"


@dataclass(frozen=True)
class Features:
    """Files of features that probes read.

    Parameters
    ----------
    rows_path : str
        Table of clips.
    visual_paths : sequence of str
        One file a visual feature of the experiment.
    audio_path : str
        Representation of the clips' own sound.
    mixed_paths : mapping of str to str
        By mixture, representation of mixed sound and of its background.
    """

    rows_path: str
    visual_paths: Sequence[str]
    audio_path: str
    mixed_paths: Mapping[str, str]

    def sound_path(self, mixture: str | None) -> str:
        """File of what an experiment on `mixture` hears."""
        return self.audio_path if mixture is None else self.mixed_paths[mixture]


@dataclass(frozen=True)
class _Model:
    """A trained REGNET and the test clips of its own data, with one mixture's sound as target."""

    system: System
    examples: Examples
    rows: NDArray[np.int64]
    device: str

    @property
    def items(self) -> list[Item]:
        """The test clips, as scores need them."""
        clips = [self.examples.rows[index] for index in self.rows]
        return [Item(one.clip_id, one.label, one.split, one.recording_id) for one in clips]

    def batches(self) -> list[Batch]:
        return [batch for _, batch in self.examples.batches(self.rows, _BATCH, self.device)]

    def forwarded(self) -> NDArray[np.float32]:
        """The regulariser's output for every clip, (n_clips, n_steps * n_forwarded)."""
        outputs = [self.system.forwarded(self.system.look(one), _target(one)) for one in self.batches()]
        return torch.cat(outputs).flatten(1).cpu().numpy()

    def made(self, seed: int, *, picture: bool, sound: bool) -> NDArray[np.float32]:
        """Spectrograms made with or without pictures and forwarded sound, (n_clips, n_bins, n_frames)."""
        generator = torch.Generator(self.device).manual_seed(seed)
        made = []
        for batch in self.batches():
            visual = self.system.look(batch)
            forwarded = self.system.forwarded(visual, _target(batch)) if sound else None
            seen = visual if picture else torch.zeros_like(visual)
            made.append(self.system.generate(seen, forwarded, generator)[0].clamp(0, 1))
        return torch.cat(made).cpu().numpy()


def _target(batch: Batch) -> Tensor:
    if batch.target is None:
        raise ValueError("probes need the sound's representation")
    return batch.target


def _load(model_path: str, facts_path: str, device: str) -> tuple[System, dict[str, Any]]:
    """Load a run whose regulariser can be asked."""
    system, facts = load_system(model_path, facts_path, device)
    if not isinstance(system, System) or system.regulariser is None:
        raise ConfigError(
            f"{facts_path}: experiment {facts['experiment']} has no audio forwarding regulariser; probes ask "
            "REGNET's, so leave it out of probes"
        )
    return system, facts


def _hearing(
    system: System, facts: Mapping[str, Any], features: Features, mixture: str | None, device: str
) -> _Model:
    """A run with the test clips of its classes, which sound as `mixture` says."""
    examples = read_examples(
        rows_paths=[features.rows_path],
        visual=facts["config"]["visual"],
        visual_paths=features.visual_paths,
        audio_paths=[features.sound_path(mixture)],
        labels=facts["config"]["labels"],
    )
    return _Model(system, examples, examples.where("test"), device)


def cosines(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine of every row of `first` (n, dim) with every row of `second` (m, dim): (n, m).

    Examples
    --------
    >>> cosines(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 1.0]])).tolist()
    [[1.0, 0.0]]
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (first, second))
    norms = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)[None]
    return np.asarray(a @ b.T / np.maximum(norms, 1e-12))


def similarity_score(
    first: NDArray[np.floating],
    first_items: Sequence[Item],
    second: NDArray[np.floating],
    second_items: Sequence[Item],
    config: MetricConfig,
    seed: int,
) -> Score:
    """Mean cosine over all pairs of different clips.

    Parameters
    ----------
    first, second : ndarray of float, shape (n, dim) and (m, dim)
        The regularisers' outputs.
    first_items, second_items : sequence of Item
        Their clips.
    config : MetricConfig
        Confidence level and bootstrap size.
    seed : int
        Configured seed.

    Returns
    -------
    Score
        In [-1, 1], with a bootstrap interval over recordings; a recording that occurs on both sides is
        drawn equally often on both. ``n`` is the number of pairs.
    """
    values = cosines(first, second)
    names = [[item.clip_id for item in side] for side in (first_items, second_items)]
    pairs = np.array([[one != other for other in names[1]] for one in names[0]], dtype=np.float64)
    if not pairs.any():
        return Score(None, 0, "cosine", note="no pair of different clips")
    clips = {item.clip_id: item for item in (*first_items, *second_items)}
    place = {clip_id: number for number, clip_id in enumerate(sorted(clips))}
    weights = item_weights([clips[clip_id] for clip_id in place], config, seed, "similarity")
    left, right = (weights[:, [place[name] for name in side]].astype(np.float64) for side in names)
    counted = np.einsum("ri,ij,rj->r", left, pairs, right)
    total = np.einsum("ri,ij,rj->r", left, pairs * values, right)
    samples = np.divide(total, counted, out=np.full(len(counted), np.nan), where=counted > 0)
    low, high = percentile_interval(samples, config.level)
    return Score(float(values[pairs > 0].mean()), int(pairs.sum()), "cosine", low, high)


def squared_distances(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean squared difference of each pair of spectrograms, (n,), of two (n, n_bins, n_frames)."""
    difference = np.asarray(first, dtype=np.float64) - second
    return np.asarray(np.square(difference).mean(axis=(1, 2)))


def probe_model(
    *,
    config: Mapping[str, Any],
    seed: int,
    base_seed: int,
    model_path: str,
    facts_path: str,
    others: Sequence[tuple[str, str]],
    rows_path: str,
    visual_paths: Sequence[str],
    audio_path: str,
    mixed_paths: Mapping[str, str],
    n_threads: int,
    device: str,
    metric_path: str,
) -> None:
    """Ask a trained model's regulariser what the configuration wants to know.

    Parameters
    ----------
    config : mapping
        Fields of :class:`foley.synthesis.probe_config.ProbeConfig`.
    seed, base_seed : int
        Seed of the run, and of the configuration.
    model_path, facts_path : str
        The trained model.
    others : sequence of (str, str)
        Model and facts of the runs to compare with. They have the same visual features.
    rows_path, visual_paths, audio_path, mixed_paths
        See :class:`Features`.
    n_threads : int
    device : str
    metric_path : str
        JSON to write, as metrics are: parts ``alone/clean`` and ``alone/background``;
        ``mix_in/<mixture>/zero`` and ``mix_in/<mixture>/forwarded``, squared distances to the background;
        ``similarity/<experiment>``.

    Raises
    ------
    ConfigError
        If a model has no regulariser.
    StoreError
        If a clip is missing in one of the files.
    """
    use_threads(n_threads)
    device = device_for_job(device)
    asked, bootstrap = ProbeConfig(**config), MetricConfig()
    features = Features(rows_path, visual_paths, audio_path, mixed_paths)
    system, facts = _load(model_path, facts_path, device)
    mixture = facts["config"]["mixture"]
    own = _hearing(system, facts, features, mixture, device)
    noise_seed = derive_seed(base_seed, "probe", facts["experiment"], seed)

    def distance(model: _Model, made: NDArray[np.float32], path: str, name: str) -> Score:
        """Mean squared distance of what was made to what a file holds of the clips."""
        values = squared_distances(made, _stored(path, model, name))
        return mean_score(model.items, values, _UNIT, bootstrap, base_seed, "probe")

    parts: dict[str, Score] = {}
    with torch.no_grad():
        if asked.alone:
            made = own.made(noise_seed, picture=False, sound=True)
            parts["alone/clean"] = distance(own, made, audio_path, "features")
            parts["alone/background"] = distance(own, made, features.sound_path(mixture), "background")
        for name in asked.mix_in:
            mixed = _hearing(system, facts, features, name, device)
            for vector, sound in (("zero", False), ("forwarded", True)):
                made = mixed.made(noise_seed, picture=True, sound=sound)
                parts[f"mix_in/{name}/{vector}"] = distance(mixed, made, mixed_paths[name], "background")
        for other_model, other_facts in others:
            other_system, known = _load(other_model, other_facts, device)
            other = _hearing(other_system, known, features, known["config"]["mixture"], device)
            parts[f"similarity/{known['experiment']}"] = similarity_score(
                own.forwarded(), own.items, other.forwarded(), other.items, bootstrap, base_seed
            )
    score = Score(None, len(own.rows), "", parts=parts, note=_NOT_ASKED)
    write_json(metric_path, {"metric": "regulariser", "settings": dict(config), "score": score.to_json()})


def _stored(path: str, model: _Model, name: str) -> NDArray[np.float32]:
    """One array of every test clip, (n_clips, n_bins, n_frames)."""
    shard = ShardReader(path)
    return np.stack([shard.read(item.clip_id, name) for item in model.items]).astype(np.float32)

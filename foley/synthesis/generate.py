"""From a trained system to sound: predictions for all clips, waveforms for the test clips."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import foley
from foley.errors import ConfigError
from foley.features.audio import RepresentationConfig, resampled, to_magnitude, to_phase, to_sound
from foley.features.engines.devices import device_for_job
from foley.models.base import Prediction, System
from foley.models.vocoders.base import Vocoder
from foley.provenance import code_digest, file_sha256
from foley.seeds import derive_seed, numpy_generator
from foley.store.manifests import Clip
from foley.store.shards import ShardReader, ShardWriter
from foley.synthesis.config import SynthesisConfig
from foley.synthesis.contrast import with_contrast
from foley.synthesis.finishing import finish, open_references
from foley.synthesis.griffin_lim import griffin_lim
from foley.synthesis.shifting import is_shifted, shifted
from foley.synthesis.vocoding import load_vocoder, vocode
from foley.training.checkpoint import load_system
from foley.training.examples import Examples, read_examples
from foley.training.experiment import use_threads

logger = logging.getLogger(__name__)

_BATCH = 32


def to_waveform(
    features: NDArray[Any],
    representation: RepresentationConfig,
    synthesis: SynthesisConfig,
    generator: np.random.Generator,
    *,
    limit: bool = True,
    vocoder: Vocoder | None = None,
) -> NDArray[np.float32]:
    """Turn a predicted representation into sound (AutoFoley, section III-C).

    Parameters
    ----------
    features : ndarray of float, shape (n_bins, n_frames)
    representation : RepresentationConfig
    synthesis : SynthesisConfig
    generator : numpy Generator
        Draws the starting phase, where it is random and the representation holds none, or what the
        representation's own way back or the vocoder draws.
    limit : bool
        Cut off what exceeds full scale; without, it is left to the caller to lower it.
    vocoder : Vocoder, optional
        Makes the sound in place of Griffin-Lim; never exceeds full scale.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Within [-1, 1] where limited.

    Raises
    ------
    ConfigError
        If contrast is asked where no magnitudes are at hand.
    """
    if vocoder is not None:
        _refuse_contrast(synthesis, f"vocoder {synthesis.vocoder}")
        seed = int(generator.integers(2**63))
        return np.asarray(vocode(vocoder, features[None], representation, seed)[0])
    waveform = to_sound(features, representation, n_iterations=synthesis.n_iterations, generator=generator)
    if waveform is not None:
        _refuse_contrast(synthesis, f"representation {representation.kind}")
    else:
        grid = representation.grid
        magnitude = to_magnitude(features, representation)
        if synthesis.contrast != 1:
            magnitude = with_contrast(magnitude, synthesis.contrast)
        waveform = griffin_lim(
            magnitude,
            n_fft=grid.n_fft,
            hop_length=grid.hop_length,
            n_iterations=synthesis.n_iterations,
            n_samples=grid.n_samples,
            momentum=synthesis.momentum,
            generator=generator if synthesis.phase == "random" else None,
            phase=to_phase(features, representation),
        )
    return np.asarray(np.clip(waveform, -1, 1) if limit else waveform, dtype=np.float32)


def _refuse_contrast(synthesis: SynthesisConfig, maker: str) -> None:
    if synthesis.contrast != 1:
        raise ConfigError(
            f"synthesis.contrast is {synthesis.contrast}, but {maker} makes this sound without Griffin-Lim; "
            "leave contrast at 1"
        )


def synthesize(
    *,
    config: dict[str, Any],
    representation: dict[str, Any],
    seed: int,
    base_seed: int,
    model_path: str,
    facts_path: str,
    visual_paths: Sequence[str],
    rows_paths: Sequence[str],
    clips_paths: Sequence[str],
    audio_paths: Sequence[str] = (),
    vocoder_paths: Sequence[str] = (),
    n_threads: int,
    device: str,
    sound_path: str,
) -> None:
    """Predict every clip, and make the sound of the test clips.

    Parameters
    ----------
    config : dict
        ``visual``, ``labels`` and ``synthesis`` of the experiment.
    representation : dict
        Settings of the representation that it learned.
    seed, base_seed : int
    model_path, facts_path : str
        The trained model.
    visual_paths, rows_paths, clips_paths : sequence of str
        See :func:`foley.training.examples.read_examples`.
    audio_paths : sequence of str
        Shards of the recorded sound's representation, for copy synthesis and for the likelihood that a
        system gives to recorded sound; a trained system that makes sound is never shown them.
    vocoder_paths : sequence of str
        ``model.safetensors`` and ``model.json`` of the vocoder; none where Griffin-Lim makes the sound.
    n_threads : int
    device : str
    sound_path : str
        Shard to write: attributes ``labels``, the classes whose clips are in it, ``representation``,
        and, where the system predicts classes, ``classes`` in the order of its probabilities. An item a
        clip with ``probabilities (n_classes,)`` where the system has them; for test clips ``waveform
        (n_samples,)``, at the clips' rate whatever the representation's, and, where the system makes
        one, ``spectrogram (n_bins, n_frames)``; where the system gives recorded sound a likelihood,
        ``cross_entropy (1,)`` in nats a sample; attributes ``label``, ``split``, ``sample_rate_hz``.
        Systems that neither predict a class nor have a likelihood have test clips only. The waveform is
        de-noised and its peaks matched where ``synthesis`` asks for it, with references of the class that
        the system predicts; of the clip's own, where it predicts none. Where ``synthesis.shift`` asks for it
        there is also ``shifted (n_samples,)``, the sound of a picture that comes later, and the attribute
        ``shifted_by_s``.
    """
    use_threads(n_threads)
    device = device_for_job(device)
    system, facts = load_system(model_path, facts_path, device)
    inverse = RepresentationConfig(**representation)
    synthesis = SynthesisConfig(**config["synthesis"])
    vocoder = None
    if vocoder_paths:
        vocoder_model, vocoder_facts = vocoder_paths
        vocoder = load_vocoder(vocoder_model, vocoder_facts, inverse, device)
    examples = read_examples(
        rows_paths=rows_paths,
        visual=config["visual"],
        visual_paths=visual_paths,
        clips_paths=[] if system.trained else clips_paths,
        audio_paths=audio_paths if system.has_likelihood or not system.trained else [],
        labels=config["labels"],
    )
    surprise = cross_entropies(system, examples, device) if system.has_likelihood else {}
    if system.trained:
        examples = replace(examples, target=None)
    generator = torch.Generator(device).manual_seed(
        derive_seed(base_seed, "predict", facts["experiment"], seed)
    )
    rate_hz = _rate_hz(clips_paths)
    references = open_references(synthesis.peak_match, rate_hz, rows_paths, clips_paths)
    attributes = {
        "config": config,
        "labels": list(examples.classes),
        "experiment": facts["experiment"],
        "model_sha256": file_sha256(model_path),
        "vocoder_sha256": [file_sha256(path) for path in vocoder_paths[:1]],
        "references_sha256": references.digests() if references else [],
        "representation": representation,
        "seeds": [base_seed, seed],
        "code": code_digest([__name__], Path(foley.__file__).parents[1]),
    }
    if system.classifies:
        attributes["classes"] = list(system.spec.classes)
    shift = synthesis.shift

    def vocoded(
        made: Prediction | None, chosen: NDArray[np.int64], tested: list[int]
    ) -> dict[int, NDArray[np.float32]]:
        """Sounds of the test clips of a batch, by position; none where no vocoder makes them."""
        if vocoder is None or made is None or made.spectrogram is None or not tested:
            return {}
        # All at once, also what an earlier run finished: what one draws depends on the others.
        shown = made.spectrogram[tested].cpu().numpy()
        drawn = derive_seed(base_seed, "vocode", examples.rows[chosen[tested[0]]].clip_id, seed)
        return dict(zip(tested, vocode(vocoder, shown, inverse, drawn), strict=True))

    def sound_of(
        arrays: Mapping[str, NDArray[Any]], sound: NDArray[np.float32] | None, row: Clip
    ) -> NDArray[np.float32]:
        """Finished sound of one clip at the clips' rate; `sound` is what a vocoder made of it."""
        waveform = arrays.get("waveform")
        if waveform is None:
            if sound is None:
                phase = numpy_generator(base_seed, "phase", row.clip_id, seed)
                sound = to_waveform(arrays["spectrogram"], inverse, synthesis, phase)
            waveform = resampled(sound, inverse.settings.sample_rate_hz, rate_hz)
        label = row.label
        if "probabilities" in arrays:
            label = system.spec.classes[int(arrays["probabilities"].argmax())]
        drawing = numpy_generator(base_seed, "reference", row.clip_id, seed)
        return finish(waveform, rate_hz, synthesis, references, label, drawing)

    with ShardWriter(sound_path, attributes) as shard, torch.no_grad():
        everything = np.arange(len(examples.rows))
        asked = everything if system.classifies else examples.where("test")
        for chosen, batch in examples.batches(asked, _BATCH, device):
            twin = torch.Generator(device)
            twin.set_state(generator.get_state())
            prediction = system.predict(batch, generator)
            tested = [place for place, index in enumerate(chosen) if examples.rows[index].split == "test"]
            later = None
            if shift is not None and any(is_shifted(examples.rows[index], shift) for index in chosen):
                # With equal random numbers the time of the picture is all that differs.
                later = system.predict(shifted(batch, system.spec.visual_hz, shift.by_s), twin)
            sounds, later_sounds = (vocoded(made, chosen, tested) for made in (prediction, later))
            for position, index in enumerate(chosen):
                row = examples.rows[index]
                if shard.done(row.clip_id):
                    continue
                # A class may be missing here, so the model's own order of classes is kept.
                arrays = _arrays(prediction, position, with_sound=row.split == "test")
                facts_of_clip = _facts(row, rate_hz)
                if "spectrogram" in arrays or "waveform" in arrays:
                    arrays["waveform"] = sound_of(arrays, sounds.get(position), row)
                if later is not None and shift is not None and is_shifted(row, shift):
                    again = _arrays(later, position, with_sound=True)
                    arrays["shifted"] = sound_of(again, later_sounds.get(position), row)
                    facts_of_clip["shifted_by_s"] = shift.by_s
                arrays |= surprise.get(row.clip_id, {})
                shard.write(row.clip_id, arrays, facts_of_clip)
        for index in np.setdiff1d(everything, asked):
            row = examples.rows[index]
            if row.clip_id in surprise and not shard.done(row.clip_id):
                shard.write(row.clip_id, surprise[row.clip_id], _facts(row, rate_hz))
    logger.info("%s: %d clips", sound_path, len(asked))


def cross_entropies(
    system: System, examples: Examples, device: str
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """How unlikely a system finds the recorded sound of every clip.

    Parameters
    ----------
    system : System
        One that has a likelihood.
    examples : Examples
        With targets.
    device : str

    Returns
    -------
    dict of str to dict
        By clip, ``cross_entropy (1,)`` in nats a sample.
    """
    found = {}
    with torch.no_grad():
        for chosen, batch in examples.batches(np.arange(len(examples.rows)), _BATCH, device):
            for index, value in zip(chosen, system.cross_entropy(batch).tolist(), strict=True):
                found[examples.rows[index].clip_id] = {"cross_entropy": np.array([value], dtype=np.float32)}
    return found


def _facts(row: Clip, rate_hz: int) -> dict[str, Any]:
    return {"label": row.label, "split": row.split, "sample_rate_hz": rate_hz}


def _rate_hz(clips_paths: Sequence[str]) -> int:
    """Sample rate of the clips, which is one for all of them."""
    readers = (ShardReader(path) for path in clips_paths)
    return next(
        int(reader.item_attributes(item)["sample_rate_hz"]) for reader in readers for item in reader.items
    )


def _arrays(prediction: Prediction, position: int, *, with_sound: bool) -> dict[str, NDArray[Any]]:
    parts: dict[str, torch.Tensor | None] = {"probabilities": prediction.probabilities}
    if with_sound:
        parts |= {"spectrogram": prediction.spectrogram, "waveform": prediction.waveform}
    return {
        name: values[position].cpu().numpy().astype(np.float32)
        for name, values in parts.items()
        if values is not None
    }

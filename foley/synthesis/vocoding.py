"""Sound of spectrograms by a trained vocoder."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from foley.errors import StoreError
from foley.features.audio import RepresentationConfig
from foley.features.recipe import check_recipe, recipe
from foley.features.representations.base import check_shape
from foley.models.vocoders.base import Vocoder, build_vocoder, without_norms
from foley.models.vocoders.config import VocoderConfig
from foley.store.files import read_json


def load_vocoder(
    model_path: str | Path, facts_path: str | Path, representation: RepresentationConfig, device: str
) -> Vocoder:
    """Load a trained vocoder to make sound of spectrograms of one representation.

    Parameters
    ----------
    model_path, facts_path : path
        ``model.safetensors`` and ``model.json`` of :func:`foley.training.vocoder.train_vocoder`.
    representation : RepresentationConfig
        Of the spectrograms that it is to be given.
    device : str
        ``cpu`` or ``cuda``.

    Returns
    -------
    Vocoder
        In evaluation mode, weight norms folded in; without its discriminators' weights.

    Raises
    ------
    StoreError
        If a file is missing or damaged, or the two do not belong together.
    ConfigError
        If the vocoder was trained on another recipe; names both.
    """
    for path in (model_path, facts_path):
        if not Path(path).is_file():
            raise StoreError(f"{path}: there is no such file; train the vocoder first (make tables)")
    facts = read_json(facts_path)
    try:
        trained_on = facts["recipe"]
        mel = RepresentationConfig(**facts["representation"]).grid
        network = build_vocoder(VocoderConfig(**facts["config"]), mel, seed=0)
        network.generator.load_state_dict(load_file(model_path))
    except (KeyError, ValueError, RuntimeError, SafetensorError, OSError) as error:
        raise StoreError(
            f"{model_path}: is not the vocoder that {facts_path} describes ({error}); train it again"
        ) from error
    check_recipe(trained_on, recipe(representation), str(facts_path))
    without_norms(network.generator)
    return network.to(device).eval()


@torch.no_grad()
def vocode(
    vocoder: Vocoder, features: NDArray[Any], representation: RepresentationConfig, seed: int
) -> NDArray[np.float32]:
    """Make sound of the spectrograms of several clips, at the scale that they tell.

    Parameters
    ----------
    vocoder : Vocoder
        What :func:`load_vocoder` gave.
    features : ndarray of float, shape (n_clips, n_mels, n_frames)
        Clipped to [0, 1]. The last frame is held to the end of the clip.
    representation : RepresentationConfig
        Of the spectrograms.
    seed : int
        Of whatever the vocoder draws; the same clips in the same order give the same sound.

    Returns
    -------
    ndarray of float32, shape (n_clips, n_samples)
        In [-1, 1].

    Raises
    ------
    FoleyError
        If the features do not have the shape that the representation says.
    """
    settings = representation.grid
    for clip in features:
        check_shape(clip, settings)
    n_frames = -(-settings.n_samples // settings.hop_length)
    held = np.pad(features, ((0, 0), (0, 0), (0, max(0, n_frames - features.shape[2]))), mode="edge")
    device = next(vocoder.parameters()).device
    shown = torch.from_numpy(np.clip(held[:, :, :n_frames], 0, 1).astype(np.float32)).to(device)
    made = vocoder.generate(shown, torch.Generator(device).manual_seed(seed))
    return np.asarray(made[:, : settings.n_samples].cpu().numpy(), dtype=np.float32)

"""What a representation computes, so that a network is never fed by another recipe than its own.

A vocoder makes good sound only from spectrograms of exactly the recipe that it was trained on. The
settings alone do not tell: the code behind them may change. A recipe therefore holds both the
settings and what they make of a fixed signal.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foley.errors import ConfigError
from foley.features.audio import RepresentationConfig, represent
from foley.provenance import config_digest

_OF_THE_CLIP = ("duration_s", "n_frames")
"""Settings that say how much is represented, not how."""
_PROBE_S = 1.0
_BLOCKS = (8, 8)
_TOLERANCE = 1e-4
"""Other processors and versions of NumPy move a mean by less than a millionth."""


def recipe(config: RepresentationConfig) -> dict[str, Any]:
    """Describe a representation by its settings and by what it computes.

    Parameters
    ----------
    config : RepresentationConfig

    Returns
    -------
    dict
        JSON-like: ``settings`` without the length of the clips, ``answer``, the means of 8 x 8 blocks
        of the representation of a fixed second of sound, and ``hash``, the name of both.
    """
    settings = recipe_settings(config)
    probing = RepresentationConfig(**settings, duration_s=_PROBE_S, n_frames=None)
    answer = _block_means(represent(_probe(config.settings.sample_rate_hz), probing))
    rounded = [round(float(value), 2) for value in answer.ravel()]
    return {
        "settings": settings,
        "answer": [round(float(value), 6) for value in answer.ravel()],
        "hash": config_digest([settings, rounded]),
    }


def recipe_settings(config: RepresentationConfig) -> dict[str, Any]:
    """Settings of a representation that say how it is computed; not the length of the clips."""
    return {key: value for key, value in config.model_dump(mode="json").items() if key not in _OF_THE_CLIP}


def check_recipe(trained: Mapping[str, Any], given: Mapping[str, Any], where: str) -> None:
    """Refuse a representation that a network was not trained on.

    Parameters
    ----------
    trained, given : mapping
        What :func:`recipe` gave when the network was trained, and gives now.
    where : str
        The network's file, for the message.

    Raises
    ------
    ConfigError
        If the two differ; names both and what differs.
    """
    keys = sorted({*trained["settings"], *given["settings"]})
    changes = [
        f"{key} {trained['settings'].get(key)!r} against {given['settings'].get(key)!r}"
        for key in keys
        if trained["settings"].get(key) != given["settings"].get(key)
    ]
    if not changes:
        gap = np.abs(np.subtract(trained["answer"], given["answer"])).max()
        if gap <= _TOLERANCE:
            return
        changes = [f"equal settings give values up to {gap:.2g} apart: the code has changed"]
    raise ConfigError(
        f"{where}: was trained on recipe {trained['hash']}, but the spectrograms are of recipe "
        f"{given['hash']}: {'; '.join(changes)}; choose a vocoder of that representation or train it again"
    )


def _probe(sample_rate_hz: int) -> NDArray[np.float32]:
    """A sweep under three knocks, by formula, so that it is the same everywhere; (sample_rate_hz,)."""
    t = np.arange(round(_PROBE_S * sample_rate_hz)) / sample_rate_hz
    sweep = 0.2 * np.sin(2 * np.pi * (60 * t + 0.35 * sample_rate_hz * t**2 / 2))
    since = t % 0.3
    knocks = np.exp(-since / 0.02) * np.sin(2 * np.pi * 700 * since**0.9)
    return (sweep * t + 0.6 * knocks).astype(np.float32)


def _block_means(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Means of 8 x 8 blocks of (n_bins, n_frames) that are as equal as they can be."""
    rows = np.array_split(values.astype(np.float64), _BLOCKS[0], axis=0)
    return np.array([[part.mean() for part in np.array_split(row, _BLOCKS[1], axis=1)] for row in rows])

"""One trained model under two experiments, which differ in what becomes of its sound. Light to import."""

import shutil
from pathlib import Path
from typing import Any

from foley.store.files import atomic_path, read_json, write_json


def reuse_model(
    *,
    model_path: str | Path,
    facts_path: str | Path,
    curve_path: str | Path,
    pipeline: dict[str, Any],
    out_model_path: str | Path,
    out_facts_path: str | Path,
    out_curve_path: str | Path,
) -> None:
    """Copy a trained model, with the other experiment's way from model to sound.

    The record keeps the name of the experiment that was trained. Random numbers are drawn by that name,
    so that both experiments treat the very same sound.

    Parameters
    ----------
    model_path, facts_path, curve_path : path
        ``model.safetensors``, ``model.json`` and ``curve.jsonl`` to copy.
    pipeline : dict
        What :meth:`foley.config.Config.pipeline` gives for the experiment that takes the model.
    out_model_path, out_facts_path, out_curve_path : path
        Files to write.
    """
    for source, copy in ((model_path, out_model_path), (curve_path, out_curve_path)):
        with atomic_path(copy) as temporary:
            shutil.copyfile(source, temporary)
    write_json(out_facts_path, {**read_json(facts_path), "pipeline": pipeline})

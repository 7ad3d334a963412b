"""The checked configuration as the rules see it: plain values, without loading what computes.

Checking a configuration imports every module that it configures, PyTorch among them, which takes
longer than planning a run; reading every source for the code digests takes a second. What was found
is therefore kept, and used again as long as neither the configuration nor the sources have changed.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foley.provenance import KNOWN_SOURCES, SourceReader, recall
from foley.store.files import atomic_path


class Settings(dict[str, Any]):
    """A mapping whose blocks are also attributes; what ``[]`` gives is plain.

    Examples
    --------
    >>> Settings({"clips": {"hop_s": 3.0}}).clips.hop_s
    3.0
    """

    def __getattr__(self, name: str) -> Any:
        try:
            value = self[name]
        except KeyError as error:
            raise AttributeError(name) from error
        return Settings(value) if isinstance(value, dict) else value


def read_settings(values: Mapping[str, Any], kept_path: str | Path) -> Settings:
    """Check a configuration, or recall that it was checked before.

    Parameters
    ----------
    values : mapping
        Content of ``config.yaml``, overlays already merged.
    kept_path : path
        File in which the checked settings are kept from one call to the next.

    Returns
    -------
    Settings
        Every block of :class:`foley.config.Config` with its defaults filled in, as JSON-like values,
        and ``derived``: ``shard_names``; by experiment ``trained_by`` and ``pipeline``, what decides its
        model, ``needs_waveform``, whether it learns from waveforms, ``shown_target``, whether it is shown
        the recorded sound's representation when it predicts, and ``has_likelihood``, whether it says how
        likely recorded sound is; and ``needs``, by rule, what its jobs ask of a machine
        (:func:`foley.needs.foretell_needs`); by metric ``metric_needs``, what it wants of the clips beside
        the sound (``reference``, ``effects``).

    Raises
    ------
    ConfigError
        If a key is unknown or a value does not fit; names every such key.
    """
    kept_path = Path(kept_path)
    digest = _digest(values)
    kept = recall(kept_path)
    if kept.get("digest") == digest:
        return Settings(kept["settings"])
    from foley import config as configuration
    from foley import registry
    from foley.needs import foretell_needs
    from foley.store.shards import shard_names

    checked = configuration.parse(values)
    settings = checked.model_dump(mode="json")
    systems = {
        name: registry.load("systems", entry.system).System for name, entry in checked.experiments.items()
    }
    settings["derived"] = {
        "shard_names": shard_names(checked.shards),
        "trained_by": {name: entry.trained_by() for name, entry in checked.experiments.items()},
        "pipeline": {name: checked.pipeline(name) for name in checked.experiments},
        "needs_waveform": {
            name: systems[name].learns_waveforms(entry.model) for name, entry in checked.experiments.items()
        },
        "shown_target": {
            name: systems[name].is_shown_target(entry.model) for name, entry in checked.experiments.items()
        },
        "has_likelihood": {name: system.has_likelihood for name, system in systems.items()},
        "needs": foretell_needs(checked),
        "metric_needs": {
            name: list(getattr(registry.load("metrics", name), "NEEDS", ())) for name in checked.metrics
        },
    }
    _keep(kept_path, {"digest": digest, "settings": settings})
    return Settings(settings)


def keep_sources(reader: SourceReader, kept_path: str | Path = KNOWN_SOURCES) -> None:
    """Write down what a reader of sources knows, for :func:`foley.provenance.recall_sources`."""
    _keep(Path(kept_path), reader.known)


def _keep(path: Path, value: Mapping[str, Any]) -> None:
    with atomic_path(path, durable=False) as temporary:
        temporary.write_text(json.dumps(value), encoding="utf-8")


def _digest(values: Mapping[str, Any]) -> str:
    """Digest of a configuration and of the state of every source of the package."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    stats = [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in sources]
    text = json.dumps([values, stats, sys.version], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()

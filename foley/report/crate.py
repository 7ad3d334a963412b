"""Where every table came from, as an RO-Crate: ``ro-crate-metadata.json`` beside the tables.

The tables hold nothing that differs from machine to machine; this file holds it: the run that made them, with
its commit, configuration, data, seeds, versions and machine, and the checksum of every file that it names.

References
----------
RO-Crate 1.1, https://w3id.org/ro/crate/1.1; actions as in its Workflow Run profiles.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foley.provenance import config_digest, environment, file_sha256, git_state
from foley.store.files import read_json, write_json

_ROOT = Path(__file__).parents[2]
_MEDIA_TYPES = {
    ".tsv": "text/tab-separated-values",
    ".md": "text/markdown",
    ".html": "text/html",
    ".tex": "application/x-tex",
    ".png": "image/png",
    ".json": "application/json",
    ".safetensors": "application/octet-stream",
}


def write_crate(
    *,
    tables_dir: str | Path,
    figures: Sequence[str | Path],
    facts_paths: Sequence[str | Path],
    data_paths: Sequence[str | Path],
    config: Mapping[str, Any],
    crate_path: str | Path,
) -> None:
    """Describe a run and what it made.

    Parameters
    ----------
    tables_dir : path
        Finished tables.
    figures : sequence of path
    facts_paths : sequence of path
        ``model.json`` of every run; ``model.safetensors`` lies beside each.
    data_paths : sequence of path
        Manifests that decide the data, among them the one that holds every recording's checksum.
    config : mapping
        The whole configuration, JSON-like.
    crate_path : path
        File to write, named ``ro-crate-metadata.json``; all the others lie in its folder or below.
    """
    crate_path = Path(crate_path)
    root = crate_path.parent
    tables = sorted(path for path in Path(tables_dir).iterdir() if path.is_file())
    data = [_file(Path(path), root) for path in data_paths]
    made = [_file(Path(path), root) for path in (*tables, *figures)]
    trainings = [_training(Path(path), root, data) for path in facts_paths]
    models = [entity for entities in trainings for entity in entities if entity["@type"] == "File"]
    actions = [entity for entities in trainings for entity in entities if entity["@type"] == "CreateAction"]
    git, found = git_state(_ROOT), environment()
    settings = {
        "@id": "#configuration",
        "@type": "PropertyValue",
        "name": "configuration",
        "identifier": config_digest(config),
        "value": json.dumps(config, sort_keys=True),
    }
    machine = {
        "@id": "#machine",
        "@type": "PropertyValue",
        "name": "machine",
        "value": f"{found['system']}, {found['machine']}, {found['cpus']} cores, Python {found['python']}",
    }
    packages = [
        {"@id": f"#package-{name}", "@type": "SoftwareApplication", "name": name, "softwareVersion": version}
        for name, version in sorted(found["versions"].items())
    ]
    workflow = {
        "@id": "#workflow",
        "@type": ["SoftwareSourceCode", "ComputationalWorkflow"],
        "name": "Foley",
        "version": git["commit"] or "not known",
        "description": "with changes that are not committed" if git["dirty"] else "as committed",
        "softwareRequirements": _ids(packages),
    }
    seeds = {"@id": "#seed", "@type": "PropertyValue", "name": "seed", "value": config.get("seed")}
    run = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Tables of the data set {config.get('dataset')}",
        "instrument": {"@id": "#workflow"},
        "object": _ids([settings, seeds, machine, *data, *models]),
        "result": _ids(made),
        "endTime": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    for entity in made:
        entity["wasGeneratedBy"] = {"@id": "#run"}
    crate = {
        "@id": "./",
        "@type": "Dataset",
        "name": "Tables and figures made by Foley",
        "description": " ".join(str(config.get("scale_note", "")).split()) or "Results of a run.",
        "datePublished": run["endTime"],
        "license": {"@id": "https://www.apache.org/licenses/LICENSE-2.0"},
        "hasPart": _ids([*made, *data, *models]),
        "mentions": _ids([run, *actions]),
    }
    descriptor = {
        "@id": crate_path.name,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    }
    graph = [descriptor, crate, workflow, run, settings, seeds, machine]
    graph += [*packages, *made, *data, *models, *actions]
    context = [
        "https://w3id.org/ro/crate/1.1/context",
        {"wasGeneratedBy": "http://www.w3.org/ns/prov#wasGeneratedBy"},
    ]
    write_json(crate_path, {"@context": context, "@graph": graph})


def _ids(entities: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [{"@id": entity["@id"]} for entity in entities]


def _file(path: Path, root: Path) -> dict[str, Any]:
    """Describe one file: its place in the crate, size and checksum."""
    return {
        "@id": path.resolve().relative_to(root.resolve()).as_posix(),
        "@type": "File",
        "name": path.name,
        "encodingFormat": _MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
        "contentSize": str(path.stat().st_size),
        "sha256": file_sha256(path),
    }


def _training(facts_path: Path, root: Path, data: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Describe one trained model: its files, and the action that made them, with its seed and machine."""
    facts = read_json(facts_path)
    files = [_file(path, root) for path in (facts_path, facts_path.with_name("model.safetensors"))]
    name = f"{facts['experiment']}, seed {facts['seed']}"
    run = facts.get("run", {})
    action = {
        "@id": f"#training-{facts['experiment']}-{facts['seed']}",
        "@type": "CreateAction",
        "name": f"Training of {name}",
        "description": f"on {run.get('device', '?')}, {run.get('seconds', '?')} s, commit "
        f"{run.get('git', {}).get('commit')}",
        "instrument": {"@id": "#workflow"},
        "object": _ids(data),
        "result": _ids(files),
    }
    return [*files, action]

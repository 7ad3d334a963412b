"""Every table is linked to the run that made it."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from foley.report.crate import write_crate
from foley.store.files import read_json, write_json

CONFIG = {"seed": 7, "dataset": "procedural", "scale_note": "small\n on purpose"}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    root = tmp_path / "results"
    run = root / "procedural/experiments/one/seed0"
    for folder in (root / "tables", root / "figures", run):
        folder.mkdir(parents=True)
    (root / "tables/table1.tsv").write_text("row\n")
    (root / "tables/table1.html").write_text("<p>row</p>")
    (root / "figures/fig5.png").write_bytes(b"png")
    (root / "procedural/recordings.tsv").write_text("recording_id\tsha256\n")
    (run / "model.safetensors").write_bytes(b"weights")
    facts = {
        "experiment": "one",
        "seed": 0,
        "run": {"device": "cpu", "seconds": 1.5, "git": {"commit": "abc"}},
    }
    write_json(run / "model.json", facts)
    return root


def graph(results: Path) -> dict[str, dict[str, Any]]:
    write_crate(
        tables_dir=results / "tables",
        figures=[results / "figures/fig5.png"],
        facts_paths=[results / "procedural/experiments/one/seed0/model.json"],
        data_paths=[results / "procedural/recordings.tsv"],
        config=CONFIG,
        crate_path=results / "ro-crate-metadata.json",
    )
    entities = read_json(results / "ro-crate-metadata.json")["@graph"]
    assert len({entity["@id"] for entity in entities}) == len(entities)
    return {entity["@id"]: entity for entity in entities}


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [value["@id"]] if set(value) == {"@id"} else [i for v in value.values() for i in references(v)]
    return [i for v in value for i in references(v)] if isinstance(value, list) else []


def test_it_is_a_crate(results: Path) -> None:
    found = graph(results)
    descriptor = found["ro-crate-metadata.json"]
    assert descriptor["about"] == {"@id": "./"}
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert {"name", "description", "datePublished", "license", "hasPart"} <= set(found["./"])
    for entity in found.values():
        for target in references({key: value for key, value in entity.items() if key != "@id"}):
            assert target in found or target.startswith("https://"), f"{entity['@id']} names {target}"


def test_files_are_there_with_their_checksums(results: Path) -> None:
    files = [entity for entity in graph(results).values() if entity["@type"] == "File"]
    assert {entity["@id"] for entity in files} >= {"tables/table1.tsv", "figures/fig5.png"}
    for entity in files:
        content = (results / entity["@id"]).read_bytes()
        assert entity["sha256"] == hashlib.sha256(content).hexdigest()
        assert entity["contentSize"] == str(len(content))


def test_a_table_leads_to_commit_configuration_data_seed_versions_and_machine(results: Path) -> None:
    found = graph(results)
    run = found[found["tables/table1.tsv"]["wasGeneratedBy"]["@id"]]
    assert {"@id": "tables/table1.tsv"} in run["result"]
    objects = [entry["@id"] for entry in run["object"]]
    assert {"#configuration", "#seed", "#machine", "procedural/recordings.tsv"} <= set(objects)
    assert '"seed": 7' in found["#configuration"]["value"]
    assert found["#seed"]["value"] == 7
    workflow = found[run["instrument"]["@id"]]
    assert workflow["version"]
    versions = {
        found[entry["@id"]]["name"]: found[entry["@id"]] for entry in workflow["softwareRequirements"]
    }
    assert versions["torch"]["softwareVersion"][0].isdigit()
    assert "seed0/model.safetensors" in str(found["#training-one-0"]["result"])
    assert found["./"]["description"] == "small on purpose"

"""The rules' view of the configuration: the same values, kept while nothing changes."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from foley import config as configuration
from foley import settings
from foley.errors import ConfigError
from foley.provenance import SourceReader, code_digest, recall_sources
from foley.settings import Settings, keep_sources, read_settings
from tests.conftest import ROOT

VALUES = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))


def test_the_rules_see_what_the_package_checked(tmp_path: Path) -> None:
    checked = configuration.parse(VALUES)
    for seen in (
        read_settings(VALUES, tmp_path / "kept.json"),
        read_settings(VALUES, tmp_path / "kept.json"),
    ):
        assert seen.clips.duration_s == checked.clips.duration_s
        assert seen["experiments"] == checked.model_dump(mode="json")["experiments"]
        assert seen.derived.trained_by["frame_sequence"] == checked.experiments["frame_sequence"].trained_by()
        assert seen.derived.pipeline["frame_sequence"] == checked.pipeline("frame_sequence")
        assert seen.derived.shard_names == [f"{index:03d}" for index in range(checked.shards)]
        assert {key: seen[key] for key in seen if key != "derived"} == checked.model_dump(mode="json")
        assert type(seen["clips"]) is dict


def test_settings_that_are_kept_are_not_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_settings(VALUES, tmp_path / "kept.json")
    monkeypatch.setitem(sys.modules, "foley.config", None)  # importing it would now fail
    monkeypatch.delattr("foley.config", raising=False)
    assert read_settings(VALUES, tmp_path / "kept.json") == first
    with pytest.raises(ImportError):
        read_settings({**VALUES, "seed": 1}, tmp_path / "kept.json")


def test_an_edited_source_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings._digest(VALUES)
    package = tmp_path / "foley"
    package.mkdir()
    (package / "settings.py").write_text("")
    monkeypatch.setattr(settings, "__file__", str(package / "settings.py"))
    elsewhere = settings._digest(VALUES)
    (package / "other.py").write_text("")
    assert len({before, elsewhere, settings._digest(VALUES)}) == 3


@pytest.mark.parametrize("text", ["", "[1]", '{"digest": 3}', "{"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, text: str) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(text)
    assert read_settings(VALUES, kept).seed == VALUES["seed"]
    assert json.loads(kept.read_text())["settings"]["seed"] == VALUES["seed"]


def test_a_wrong_configuration_is_refused_every_time(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError, match="sede"):
            read_settings({**VALUES, "sede": 1}, tmp_path / "kept.json")


def test_a_missing_key_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        Settings({"a": 1}).nothing  # noqa: B018


def test_digests_do_not_depend_on_what_is_recalled(tmp_path: Path) -> None:
    entries = ["foley.synthesis.griffin_lim"]
    first = SourceReader()
    digest = code_digest(entries, ROOT, first)
    assert first.n_read > 1
    keep_sources(first, tmp_path / "sources.json")
    second = recall_sources(tmp_path / "sources.json")
    assert code_digest(entries, ROOT, second) == digest
    assert second.n_read == 0

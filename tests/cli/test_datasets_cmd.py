"""``foley datasets`` as a person types it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from foley import registry
from foley.cli.datasets_cmd import entries
from foley.datasets.info import DatasetInfo

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def overlay(tmp_path: Path) -> tuple[str | Path, ...]:
    """Configuration whose data lie in a folder of the test."""
    films = tmp_path / "my [films]"
    films.mkdir()
    values = {
        "data_dir": str(tmp_path / "data"),
        "datasets": {"mine": {"kind": "folder", "settings": {"path": str(films)}}},
    }
    (tmp_path / "over.yaml").write_text(yaml.safe_dump(values))
    return ("--config", ROOT / "config.yaml", "--config", tmp_path / "over.yaml")


def test_every_kind_is_listed_and_described(run: Run, overlay: tuple[str | Path, ...]) -> None:
    status, out, err = run("datasets", *overlay)
    assert status == 0, err
    for kind in registry.REGISTRY["datasets"]:
        assert kind in out
        info = registry.load("datasets", kind).INFO
        assert isinstance(info, DatasetInfo)
        for fact in (info.title, info.summary, info.citation, info.licence, info.counts, info.split):
            assert fact
        for file in info.files:
            assert file.patterns
            assert file.what
            assert file.where
    assert "mine" in out


@pytest.mark.parametrize("kind", sorted(registry.REGISTRY["datasets"]))
def test_one_data_set_is_told_in_full(run: Run, overlay: tuple[str | Path, ...], kind: str) -> None:
    status, out, err = run("datasets", kind, *overlay)
    assert status == 0, err
    said = " ".join(out.split())
    info = registry.load("datasets", kind).INFO
    for fact in (info.title, info.citation.split(",")[0], info.summary.split(",")[0]):
        assert fact in said
    for setting in registry.load("datasets", kind).Settings.model_fields:
        assert setting in said


def test_it_says_whether_the_files_are_there(
    run: Run, overlay: tuple[str | Path, ...], tmp_path: Path
) -> None:
    configs = [Path(word) for word in overlay if str(word).endswith(".yaml")]

    def state(name: str) -> str:
        return next(entry.state() for entry in entries(configs) if entry.name == name)

    assert state("procedural") == "-"
    assert [state(name) for name in ("vas", "audioset", "greatest_hits", "afd", "mine")] == ["missing"] * 5
    (tmp_path / "data/vas").mkdir(parents=True)
    (tmp_path / "data/vas/VAS.zip").write_bytes(b"")
    (tmp_path / "data/audioset").mkdir()
    for name in ("balanced_train_segments.csv", "eval_segments.csv", "ontology.json"):
        assert state("audioset") == "missing"
        (tmp_path / "data/audioset" / name).write_text("")
    (tmp_path / "my [films]/dog").mkdir()
    (tmp_path / "my [films]/dog/a.mp4").write_text("")
    assert [state(name) for name in ("vas", "audioset", "mine")] == ["ready"] * 3
    _, out, _ = run("datasets", "vas", *overlay)
    assert "VAS.zip" in out
    assert str(tmp_path / "data/vas") in "".join(out.split())
    _, out, _ = run("datasets", "mine", *overlay)
    assert "my [films]" in " ".join(out.split())


def test_an_unknown_data_set_is_refused_with_the_known_ones(
    run: Run, overlay: tuple[str | Path, ...]
) -> None:
    status, _, err = run("datasets", "vaz", *overlay)
    assert status == 1
    assert "no data set is called 'vaz'" in err
    assert "vegas" in err
    status, _, err = run("datasets", "--config", "no-such.yaml")
    assert status == 1
    assert "no-such.yaml" in err

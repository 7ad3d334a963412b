"""The workflow fetches a list of addresses; ``foley retry`` asks again for chosen failures only."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from foley.cli.main import main
from foley.store.manifests import Medium, Recording, read_rows
from tests.conftest import run_snakemake
from tests.films import hits, make_film
from tests.loopback import Page, serving

NAMES = ("a", "b", "c", "d", "e", "f")


def statuses(run: Path) -> dict[str, tuple[str, str]]:
    """Reason and shard of every recording, by the end of its group."""
    rows = [
        row for shard in ("000", "001") for row in read_rows(run / f"results/web/media/{shard}.tsv", Medium)
    ]
    return {row.group: (row.status, row.shard) for row in rows}


@pytest.mark.slow
def test_chosen_failures_are_asked_for_again_and_nothing_else(
    workflow_copy: Callable[[], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving() as server:
        films = tmp_path / "films"
        films.mkdir()
        for number, name in enumerate(NAMES):
            sound = hits([0.5 + 0.1 * number, 2.0], 4.0)
            path = make_film(films / f"{name}.mp4", np.arange(100) / 25, sound)
            server.pages[f"/{name}.mp4"] = Page(path.read_bytes())
        server.pages["/a.mp4"].instead = [(500, {})] * 2
        server.pages["/b.mp4"].instead = [(403, {})]
        rows = [f"{server.url(f'/{name}.mp4')}\thit\t{name}\n" for name in NAMES]
        (films / "films.tsv").write_text("url\tlabel\tgroup\n" + "".join(rows), encoding="utf-8")
        download = {"n_retries": 1, "backoff_s": 0.01, "min_free_bytes": 0}
        settings = {"path": str(films), "classes": {"hit": ["hit"]}, "download": download}
        entry = {"kind": "afd", "settings": settings, "max_missing_fraction": 0.9}
        overlay = tmp_path / "web.yaml"
        overlay.write_text(
            yaml.safe_dump({"dataset": "web", "shards": 2, "datasets": {"web": entry}}), encoding="utf-8"
        )
        workflow, run = workflow_copy(), tmp_path / "run"
        configs = [str(workflow / "configs/smoke.yaml"), str(overlay)]
        command = ["--cores", "2", "--configfile", *configs, "--"]
        command += [f"results/web/recordings/{shard}.tsv" for shard in ("000", "001")]
        run_snakemake(workflow, run, *command)
        found = statuses(run)
        assert {name: status for name, (status, _) in found.items()} == {
            **dict.fromkeys(NAMES, "ok"),
            "a": "network",
            "b": "forbidden",
        }
        server.asked.clear()

        monkeypatch.chdir(run)
        words = ["--dataset", "web", "--config", str(workflow / "config.yaml")]
        for path in configs:
            words += ["--config", path]
        monkeypatch.setattr(sys, "argv", ["foley", "retry", *words, "--reasons", "forbidden"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        assert "1 recordings of 1 shards will be asked for again" in capsys.readouterr().out
        text = run_snakemake(workflow, run, *command)
        assert text.count("rule download_media:") == 1
        shard = found["b"][1]
        assert f"results/web/media/{shard}.tsv" in text
        # Network failures of the same shard are asked again too; of the other one not.
        again = {"/b.mp4"} | ({"/a.mp4"} if found["a"][1] == shard else set())
        assert {row.path for row in server.asked} == again
        assert statuses(run)["b"] == ("ok", shard)
        usable = {row.group for row in read_rows(run / f"results/web/recordings/{shard}.tsv", Recording)}
        assert "b" in usable
        server.asked.clear()
        assert "Nothing to be done" in run_snakemake(workflow, run, *command)
        assert server.asked == []

"""The recipes that download, through real yt-dlp from a server on loopback to the ledger."""

from pathlib import Path

import numpy as np

from foley.datasets import afd
from foley.media.ffmpeg import probe
from foley.store.manifests import Medium, Source
from tests.films import hits, make_film
from tests.loopback import Page, serving


def test_afd_has_its_own_films_and_the_listed_ones(tmp_path: Path) -> None:
    own = tmp_path / "data/afd/rain"
    own.mkdir(parents=True)
    make_film(own / "own.mp4", np.arange(50) / 25, hits([0.5], 2.0))
    far = make_film(tmp_path / "far.mp4", np.arange(50) / 25, hits([1.0], 2.0))
    with serving() as server:
        server.pages["/far.mp4"] = Page(far.read_bytes())
        rows = [("far", "Rain"), ("gone", "rain")]
        lines = [f"{server.url(f'/{name}.mp4')}\t{label}" for name, label in rows]
        (tmp_path / "data/afd/films.tsv").write_text("\n".join(["url\tlabel", *lines]))
        settings = afd.Settings.model_validate(
            {
                "classes": {"rain": ["rain"]},
                "download": {"n_retries": 0, "min_free_bytes": 0, "timeout_s": 5.0},
            }
        )

        def run() -> tuple[list[Source], list[Medium]]:
            sources = afd.list_sources(settings, n_shards=1, data_dir=tmp_path / "data", seed=0)
            media, events = afd.fetch(settings, sources, data_dir=tmp_path / "data", seed=0)
            assert events == []
            return sources, media

        sources, media = run()
        assert [(row.status, row.events_known) for row in media[:2]] == [("ok", False), ("ok", False)]
        assert media[2].status in ("unavailable", "removed")
        fetched = tmp_path / "data" / media[1].path
        assert fetched.is_relative_to(tmp_path / "data/afd_web/rain")
        assert probe(fetched).has_audio
        n_asked = len(server.requests("/far.mp4"))
        assert run() == (
            sources,
            media,
        )  # what was fetched is not asked for again, nor taken for a local film
        assert len(server.requests("/far.mp4")) == n_asked

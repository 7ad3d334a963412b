"""The judge of the torture must itself notice what was made twice."""

import os
from pathlib import Path

import pytest

from tests.torture.bookkeeping import Bookkeeping, finished_of, jobs_of

OUTPUT = """\
[Sat Nov 21 07:57:23 2026]
{kind}rule denoise_audio:
    input: results/a/recordings/000.tsv
    output: results/a/denoised/000.h5
    log: results/logs/denoise_audio/a/000.log
    jobid: 7
    reason: Missing output files: results/a/denoised/000.h5
    wildcards: dataset=a, shard=000
{finish}
"""
FINISH = "[Sat Nov 21 07:57:27 2026]\nFinished jobid: 7 (Rule: denoise_audio)\n"
LOG = "results/logs/denoise_audio/a/000.log"


def log(folder: Path, *lines: str) -> None:
    path = folder / LOG
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(f"2026-11-21 07:57:25,1 INFO foley.store.shards: 000.h5: {line}\n" for line in lines)
    )


def stop_and_go(folder: Path, *starts: tuple[bool, tuple[str, ...]]) -> Bookkeeping:
    books = Bookkeeping()
    for is_finished, lines in starts:
        log(folder, *lines)
        books.add(OUTPUT.format(kind="local", finish=FINISH if is_finished else ""), folder)
    return books


@pytest.mark.parametrize("kind", ["", "local"])
def test_jobs_are_read_from_what_snakemake_prints(kind: str) -> None:
    text = OUTPUT.format(kind=kind, finish=FINISH)
    (job,) = jobs_of(text)
    assert (job.jobid, job.name, job.log) == ("7", "denoise_audio results/a/denoised/000.h5", LOG)
    assert finished_of(text) == {"7"}


def test_a_shard_that_goes_on_is_in_order(tmp_path: Path) -> None:
    books = stop_and_go(
        tmp_path,
        (False, ("item a written",)),
        (True, ("1 items of an earlier run are kept", "item b written", "2 items gathered")),
    )
    assert not books.redone_jobs + books.redone_items + books.unseen
    assert (books.n_jobs_started, books.n_jobs_finished) == (2, 1)
    assert (books.n_items_written, books.n_items_kept) == (2, 1)


def test_a_finished_job_that_is_made_again_is_noticed(tmp_path: Path) -> None:
    books = stop_and_go(tmp_path, (True, ("item a written",)), (True, ("item a written", "1 items gathered")))
    assert books.redone_jobs == ["denoise_audio results/a/denoised/000.h5"]


def test_an_item_that_is_made_again_is_noticed(tmp_path: Path) -> None:
    books = stop_and_go(tmp_path, (False, ("item a written",)), (True, ("item a written", "item b written")))
    assert books.redone_items == ["denoise_audio results/a/denoised/000.h5: a"]


def test_a_shard_that_was_whole_but_unseen_is_counted_apart(tmp_path: Path) -> None:
    books = stop_and_go(
        tmp_path,
        (False, ("item a written", "1 items gathered")),
        (
            True,
            (
                "item a written",
                "1 items gathered again",
            ),
        ),
    )
    assert len(books.unseen) == 1
    assert not books.redone_items


def test_a_film_that_is_rendered_again_is_noticed(tmp_path: Path) -> None:
    film = tmp_path / "data/x/film.mp4"
    film.parent.mkdir(parents=True)
    film.touch()
    os.utime(film, (1.0, 1.0))
    books = Bookkeeping()
    books.add("", tmp_path)
    books.add("", tmp_path)
    assert not books.redone_items
    film.unlink()
    film.write_text("again")
    books.add("", tmp_path)
    assert books.redone_items == ["film film.mp4"]

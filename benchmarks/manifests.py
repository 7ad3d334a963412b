"""A large data set's manifests: build, validate, search copies, collect, split.

``python -m benchmarks.manifests [N]`` makes up N recordings of 10 s (200,000 by default) in eight
shards: names, groups, files equal to the byte, published splits for some, failures, and
fingerprints of noise of which one in a hundred is a disturbed and shifted copy of another. Each stage
then runs as it does in the workflow, in a process of its own. Making the inputs is not counted.
"""

import argparse
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from benchmarks.measure import Cost, machine, measure_alone, table
from foley import registry
from foley.datasets.acquire import build_sources
from foley.datasets.duplicates import DuplicateConfig, find_duplicates
from foley.datasets.findings import Judgement, write_evidence
from foley.datasets.splits import SplitConfig, collect_recordings, split_dataset
from foley.store.manifests import Duplicate, Failure, Leak, Recording, Source, Split, iterate_rows, write_rows
from foley.store.shards import shard_names, shard_of

N_SHARDS = 8
N_WORDS = 302
"""Words of sound in 10 s."""
_SHIFT = 12
_KIND = "made_up"


class Settings(BaseModel):
    """How many recordings are made up."""

    n_recordings: int


def list_sources(settings: Settings, *, n_shards: int, data_dir: Path, seed: int) -> Iterator[Source]:
    """Make up recordings: 20 classes, three from each film, one in six with a published split."""
    for number in range(settings.n_recordings):
        name = f"class_{number % 20:02d}_{number:07d}"
        yield Source(
            recording_id=name,
            label=f"class_{number % 20:02d}",
            shard=shard_of(name, n_shards),
            origin="url",
            location=f"https://example.org/films/{number}",
            start_s=30.0,
            end_s=40.0,
            group=f"film_{number // 60}_{number % 20}",
            split=("train", "test", "", "")[number // 60 % 4] if number % 60 < 20 else "",
        )


def build(n_recordings: int, folder: Path) -> None:
    """Write ``sources.tsv``."""
    registry.REGISTRY["datasets"][_KIND] = __name__
    build_sources(
        kind=_KIND,
        settings={"n_recordings": n_recordings},
        n_shards=N_SHARDS,
        data_dir=str(folder),
        seed=0,
        sources_path=str(folder / "sources.tsv"),
    )


def validate(folder: Path) -> int:
    """Read and check every row of ``sources.tsv``."""
    return sum(1 for _ in iterate_rows(folder / "sources.tsv", Source))


def search(folder: Path) -> None:
    """Find copies."""
    find_duplicates(
        recordings_paths=_shards(folder, "recordings"),
        evidence_paths=[str(folder / f"evidence/{shard}.h5") for shard in shard_names(N_SHARDS)],
        config=DuplicateConfig(),
        duplicates_path=str(folder / "duplicates.tsv"),
    )


def collect(folder: Path) -> None:
    """Gather the shards' tables."""
    collect_recordings(
        recordings_paths=_shards(folder, "recordings"),
        failures_paths=_shards(folder, "failures"),
        duplicates_path=str(folder / "duplicates.tsv"),
        max_missing_fraction=0.1,
        recordings_path=str(folder / "recordings.tsv"),
        failures_path=str(folder / "failures.tsv"),
    )


def split(folder: Path) -> None:
    """Divide them, and find what leaks."""
    split_dataset(
        recordings_path=str(folder / "recordings.tsv"),
        duplicates_path=str(folder / "duplicates.tsv"),
        config=SplitConfig(),
        seed=0,
        splits_path=str(folder / "splits.tsv"),
        leakage_path=str(folder / "leakage.tsv"),
    )


def _shards(folder: Path, kind: str) -> list[str]:
    return [str(folder / f"{kind}/{shard}.tsv") for shard in shard_names(N_SHARDS)]


def make_inputs(folder: Path, n_recordings: int) -> None:
    """Write what checking would have written."""
    rng = np.random.default_rng(0)
    n_copies = n_recordings // 100
    originals = _noise_words(rng, n_copies)
    n_seen = n_failed = 0
    for shard in shard_names(N_SHARDS):
        rows = [row for row in iterate_rows(folder / "sources.tsv", Source) if row.shard == shard]
        failed = [row for row in rows if int(row.recording_id[-2:]) == 7]
        usable = [row for row in rows if int(row.recording_id[-2:]) != 7]
        n_failed += len(failed)
        write_rows(folder / f"recordings/{shard}.tsv", Recording, map(_recording, usable))
        write_rows(folder / f"failures/{shard}.tsv", Failure, map(_failure, failed))
        words = _noise_words(rng, len(usable))
        for index in range(len(usable)):
            if (n_seen + index) % 100 < 2:  # of a hundred one is an original, one its copy
                original = originals[(n_seen + index) // 100 % n_copies]
                words[index] = _disturbed(rng, original) if (n_seen + index) % 100 else original
        n_seen += len(usable)
        pictures = rng.integers(1, 2**63, (len(usable), 20), dtype=np.uint64)
        evidence = {
            row.recording_id: Judgement(picture_print=pictures[index], sound_print=words[index])
            for index, row in enumerate(usable)
        }
        write_evidence(folder / f"evidence/{shard}.h5", evidence)


def _noise_words(rng: np.random.Generator, n: int) -> NDArray[np.uint16]:
    """Words in which a bit stays for eight words on average, as windows overlap."""
    words = rng.integers(1, 2**16, (n, N_WORDS), dtype=np.uint16)
    for late in range(1, N_WORDS):
        draws = rng.integers(0, 2**16, (3, n), dtype=np.uint16)
        stays = draws[0] | draws[1] | draws[2]
        words[:, late] = np.maximum((words[:, late - 1] & stays) | (words[:, late] & ~stays), 1)
    return words


def _disturbed(rng: np.random.Generator, words: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The same sound later, with one bit in ten wrong."""
    wrong = (rng.random((N_WORDS, 16)) < 0.1) @ (1 << np.arange(16))
    disturbed: NDArray[np.uint16] = np.maximum(np.roll(words, -_SHIFT) ^ wrong.astype(np.uint16), 1)
    return disturbed


def _recording(row: Source) -> Recording:
    number = int(row.recording_id[-7:])
    same = number - 1 if number % 500 == 1 else number  # one file in 500 is there twice
    return Recording(
        **row.model_dump(include={"recording_id", "label", "shard", "group", "split"}),
        path=f"raw/{row.label}/{row.recording_id}.mp4",
        sha256=hashlib.sha256(str(same).encode()).hexdigest(),
        duration_s=10.0,
        fps=25.0,
        variable_frame_rate=False,
        width_px=640,
        height_px=360,
        sample_rate_hz=44_100,
        n_channels=2,
        status="ok",
    )


def _failure(row: Source) -> Failure:
    return Failure(
        recording_id=row.recording_id,
        label=row.label,
        path="",
        stage="download_media",
        reason="removed",
        detail="the owner removed it",
    )


def main() -> None:
    """Measure every stage and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("n_recordings", nargs="?", type=int, default=200_000)
    n_recordings = parser.parse_args().n_recordings
    costs: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, costs["build"] = measure_alone(build, n_recordings, folder)
        _, costs["validate"] = measure_alone(validate, folder)
        make_inputs(folder, n_recordings)
        _, costs["search copies"] = measure_alone(search, folder)
        _, costs["collect"] = measure_alone(collect, folder)
        _, costs["split"] = measure_alone(split, folder)
        kinds = [row.kind for row in iterate_rows(folder / "duplicates.tsv", Duplicate)]
        n_equal = kinds.count("exact")
        n_leaks = sum(1 for _ in iterate_rows(folder / "leakage.tsv", Leak))
        n_split = sum(1 for _ in iterate_rows(folder / "splits.tsv", Split))
    costs["all"] = sum(costs.values(), Cost())
    print(machine())
    print(
        f"{n_recordings:,} recordings: {n_equal:,} equal files, {len(kinds) - n_equal:,} pairs of copies, "
        f"{n_leaks:,} leaks, {n_split:,} in a split"
    )
    rows = [
        (stage, f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.peak_mib:.0f}")
        for stage, cost in costs.items()
    ]
    print(table(("stage", "s", "CPU-s", "peak MiB"), rows))


if __name__ == "__main__":
    main()

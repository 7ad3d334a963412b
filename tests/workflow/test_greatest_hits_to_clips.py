"""Greatest Hits from its archive to clips: annotated hits where they are known, detected ones elsewhere."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from foley.datasets.acquire import build_sources, download_media
from foley.media.ffmpeg import probe
from foley.preprocess.clipping import ClipConfig, cut_shard
from foley.preprocess.denoise import DenoiseConfig, denoise_shard
from foley.store.manifests import (
    Clip,
    Event,
    Medium,
    Recording,
    Split,
    decode_path,
    read_rows,
    write_rows,
)
from tests.films import hits, make_film

TIMES_S = np.arange(75) / 25
ANNOTATED, UNANNOTATED, NO_HIT = "2015-02-16-16-49-06", "2015-09-23-15-20-31-256", "2015-09-23-15-20-31-595"
FILMS = {ANNOTATED: [0.4, 1.3, 2.2], UNANNOTATED: [0.7, 1.5], NO_HIT: [1.0]}


def recording(medium: Medium) -> Recording:
    """What checking makes of a good film."""
    facts = probe(decode_path(medium.path))
    return Recording(
        **medium.model_dump(exclude={"detail"}),
        duration_s=facts.duration_s,
        fps=facts.fps,
        variable_frame_rate=facts.variable_frame_rate,
        width_px=facts.width_px,
        height_px=facts.height_px,
        sample_rate_hz=facts.sample_rate_hz,
        n_channels=facts.n_channels,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything from the archive to clips of 1 s, in one shard."""
    out = tmp_path_factory.mktemp("greatest_hits")
    (out / "data/greatest_hits").mkdir(parents=True)
    with zipfile.ZipFile(out / "data/greatest_hits/vis-data-256.zip", "w") as packed:
        for number, (name, times_s) in enumerate(FILMS.items()):
            sound = hits(times_s, 3.0) * (1 + number)  # no two alike
            packed.write(make_film(out / "film.mp4", TIMES_S, sound), f"vis-data-256/{name}_denoised.mp4")
        packed.writestr(f"vis-data-256/{ANNOTATED}_times.txt", "0.45 wood hit static\n1.4 None None None\n")
        packed.writestr(f"vis-data-256/{NO_HIT}_times.txt", "")
    common = {
        "kind": "greatest_hits",
        "settings": {"split": "seeded"},
        "data_dir": str(out / "data"),
        "seed": 0,
    }
    build_sources(**common, n_shards=1, sources_path=str(out / "sources.tsv"))
    download_media(
        **common,
        sources_path=str(out / "sources.tsv"),
        shard="000",
        media_path=str(out / "media.tsv"),
        events_path=str(out / "events.tsv"),
    )
    media = read_rows(out / "media.tsv", Medium)
    write_rows(out / "recordings.tsv", Recording, [recording(medium) for medium in media])
    splits = [Split(recording_id=m.recording_id, label=m.label, split="train", why="") for m in media]
    write_rows(out / "splits.tsv", Split, splits)
    denoise_shard(
        recordings_path=out / "recordings.tsv",
        data_dir=out / "data",
        sample_rate_hz=22_050,
        config=DenoiseConfig(),
        denoised_path=out / "denoised.h5",
    )
    cut_shard(
        recordings_path=out / "recordings.tsv",
        splits_path=out / "splits.tsv",
        denoised_path=out / "denoised.h5",
        events_path=out / "events.tsv",
        data_dir=out / "data",
        config=ClipConfig(duration_s=1.0, hop_s=1.0, sample_rate_hz=22_050),
        clips_path=out / "clips.h5",
        rows_path=out / "clips.tsv",
        clip_events_path=out / "clips.events.tsv",
    )
    return out


def heard(made: Path, recording: str) -> list[tuple[str, float, str, str]]:
    """Source, time in the recording, kind and material of every event of a recording's clips."""
    starts_s = {row.clip_id: row.start_s for row in read_rows(made / "clips.tsv", Clip)}
    return [
        (row.source, round(starts_s[row.clip_id] + row.time_s, 3), row.kind, row.material)
        for row in read_rows(made / "clips.events.tsv", Event)
        if row.clip_id.startswith(f"greatest_hits_{recording}_0")
    ]


def test_annotated_hits_reach_the_clips(made: Path) -> None:
    assert heard(made, ANNOTATED) == [("annotated", 0.45, "hit", "wood"), ("annotated", 1.4, "unknown", "")]


def test_hits_without_annotation_are_detected_beside_annotated_ones(made: Path) -> None:
    found = heard(made, UNANNOTATED)
    assert {source for source, *_ in found} == {"detected"}
    assert np.allclose([time_s for _, time_s, *_ in found], FILMS[UNANNOTATED], atol=0.01)


def test_an_annotation_without_a_hit_means_no_hit(made: Path) -> None:
    assert heard(made, NO_HIT) == []
    known = {row.recording_id: row.events_known for row in read_rows(made / "recordings.tsv", Recording)}
    assert list(known.values()) == [True, False, True]

"""One broken file in twenty, of twelve kinds: each is in the ledger with its reason, no good one is lost."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from foley.datasets.check import CheckConfig, check_media
from foley.datasets.duplicates import DuplicateConfig, find_duplicates
from foley.datasets.findings import iterate_details
from foley.datasets.folder import Settings, fetch, list_sources
from foley.datasets.splits import collect_recordings
from foley.media.audio import read_audio
from foley.media.ffmpeg import ffmpeg_binary
from foley.media.video import read_frames
from foley.report.check_page import write_check_page
from foley.store.manifests import Failure, Medium, Recording, decode_path, read_rows, write_rows
from tests.films import make_film

N_GOOD = 228
RATE_HZ = 16_000
TIMES_S = np.arange(10) / 10
N_SAMPLES = RATE_HZ
REASONS = {
    "cut_off": "decode_error",
    "text": "not_media",
    "empty": "empty_file",
    "mute": "no_audio",
    "blind": "no_video",
    "silent": "silent",
    "clipped": "clipped",
    "still": "still",
    "black": "black",
    "short": "too_short",
    "playlist": "not_media",
    "leaves": "unsafe_path",
}
ODD = {
    "vertical": {"rotated"},
    "odd_size": {"odd_size"},
    "ten_bit": {"bit_depth"},
    "hdr": {"bit_depth", "high_dynamic_range"},
    "surround": {"channel_layout"},
    "uneven": {"variable_frame_rate"},
    "late": {"sound_offset"},
    "half": {"sound_length"},
    "fades": {"black_pictures"},
    "telephone": {"sample_rate"},
}
"""Good files, and what is remarked about them."""
CONFIG = CheckConfig(min_duration_s=0.9, max_mismatch_s=0.3, min_sample_rate_hz=16_000)


def noise(seed: int, n_samples: int = N_SAMPLES) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def black(index: int) -> NDArray[np.uint8]:
    return np.full((48, 64, 3), 4 + index % 2, dtype=np.uint8)


def fading(index: int) -> NDArray[np.uint8]:
    return np.full((48, 64, 3), 0 if index < 3 else 25 * index, dtype=np.uint8)


def film(path: Path, seed: int = 0, **options: object) -> Path:
    """A film of 1 s with noise of its own."""
    settings = {"rate_hz": RATE_HZ, "audio_codec": "pcm_s16le", "b_frames": 0, **options}
    return make_film(path, settings.pop("times_s", TIMES_S), settings.pop("sound", noise(seed)), **settings)  # type: ignore[arg-type]


def fill(root: Path) -> None:
    """Write the good, the odd and the broken files."""
    for number in range(N_GOOD - len(ODD)):
        if number < 6:  # a few are encoded, the others differ in their sound's bytes only
            film(root / f"good_{number:03d}.mkv", number)
        else:
            data = (root / f"good_{number % 6:03d}.mkv").read_bytes()
            (root / f"good_{number:03d}.mkv").write_bytes(_other_sound(data, number))
    film(root.parent / "flat.mp4", 901, audio_codec="aac")
    turn = ["-display_rotation", "90", "-i", str(root.parent / "flat.mp4"), "-c", "copy"]
    subprocess.run([ffmpeg_binary(), "-v", "error", *turn, str(root / "vertical.mp4")], check=True)
    film(root / "odd_size.mkv", 902, width=63, height=47, pixel_format="yuv444p")
    film(root / "ten_bit.mkv", 903, pixel_format="yuv420p10le")
    film(root / "hdr.mkv", 904, pixel_format="yuv420p10le", transfer=16)
    film(root / "surround.mkv", sound=noise(905, 6 * N_SAMPLES).reshape(-1, 6))
    film(root / "uneven.mkv", 906, times_s=np.sort(np.r_[TIMES_S, 0.05, 0.33, 0.61]))
    film(root / "late.mkv", 907, sound_start_s=0.2)
    film(root / "half.mkv", sound=noise(908, N_SAMPLES // 2))
    film(root / "fades.mkv", 909, paint=fading)
    film(root / "telephone.mkv", sound=noise(910, 8_000), rate_hz=8_000)
    whole = film(root.parent / "whole.mp4", 800, audio_codec="aac").read_bytes()
    (root / "cut_off.mp4").write_bytes(whole[: len(whole) // 2])
    (root / "text.mp4").write_text("<html>This video is not available in your country.</html>")
    (root / "empty.mp4").touch()
    make_film(root / "mute.mp4", TIMES_S, None)
    make_film(root / "blind.mp4", None, noise(801))
    film(root / "silent.mkv", sound=np.zeros(N_SAMPLES, np.float32))
    film(root / "clipped.mkv", sound=np.sign(noise(802)))
    film(root / "still.mkv", 803, still=True)
    film(root / "black.mkv", 804, paint=black)
    film(root / "short.mkv", sound=noise(805, N_SAMPLES // 2), times_s=TIMES_S[:5])
    (root / "playlist.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ngood_000.mkv\n")
    outside = shutil.copy(root / "good_000.mkv", root.parents[1] / "outside.mkv")
    (root / "leaves.mkv").symlink_to(outside)


def _other_sound(data: bytes, number: int) -> bytes:
    """Change samples of a Matroska file with PCM sound, the cheapest way to another good film."""
    marker = noise(number % 6)[:256]
    old = np.round(np.clip(marker, -1, 1) * 32767).astype("<i2").tobytes()
    assert data.count(old) == 1
    return data.replace(old, np.roll(np.frombuffer(old, "<i2"), number).tobytes())


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, checked from its listing to the tables."""
    out = tmp_path_factory.mktemp("broken")
    root = out / "films/rain"
    root.mkdir(parents=True)
    fill(root)
    settings = Settings(path=str(root.parent))
    sources = list_sources(settings, n_shards=1, data_dir=out, seed=0)
    media, _ = fetch(settings, list(sources), data_dir=out, seed=0)
    write_rows(out / "media.tsv", Medium, media)
    check(out)
    find_duplicates(
        recordings_paths=[str(out / "recordings/000.tsv")],
        evidence_paths=[str(out / "checks/000.h5")],
        config=DuplicateConfig(near=False),
        duplicates_path=str(out / "duplicates.tsv"),
    )
    collect_recordings(
        recordings_paths=[str(out / "recordings/000.tsv")],
        failures_paths=[str(out / "failures/000.tsv")],
        duplicates_path=str(out / "duplicates.tsv"),
        max_missing_fraction=0.06,
        recordings_path=str(out / "recordings.tsv"),
        failures_path=str(out / "failures.tsv"),
    )
    return out


def check(out: Path, config: CheckConfig = CONFIG, code: str = "v1", target: str = "000") -> None:
    check_media(
        media_path=str(out / "media.tsv"),
        data_dir=str(out),
        config=config,
        code=code,
        recordings_path=str(out / f"recordings/{target}.tsv"),
        failures_path=str(out / f"failures/{target}.tsv"),
        details_path=str(out / "checks/000.jsonl"),
        evidence_path=str(out / "checks/000.h5"),
    )


def stem(path: str) -> str:
    return decode_path(path).stem


def test_every_broken_file_is_in_the_ledger_with_its_reason(checked: Path) -> None:
    failures = read_rows(checked / "failures.tsv", Failure)
    assert len(REASONS) == 12
    assert {stem(row.path): row.reason for row in failures} == REASONS
    assert len(failures) == len(REASONS)


def test_no_good_file_is_lost(checked: Path) -> None:
    recordings = read_rows(checked / "recordings.tsv", Recording)
    names = {stem(row.path) for row in recordings}
    assert len(recordings) == len(names) == N_GOOD
    assert set(ODD) <= names
    assert len(REASONS) == 0.05 * (N_GOOD + len(REASONS))


def test_what_is_odd_is_remarked_and_nothing_else(checked: Path) -> None:
    found = {
        stem(file.path): {str(finding.code) for finding in file.findings}
        for file in iterate_details(checked / "checks/000.jsonl")
        if file.status == "ok"
    }
    assert {name: codes for name, codes in found.items() if codes} == ODD
    rows = {stem(row.path): row for row in read_rows(checked / "recordings.tsv", Recording)}
    assert "after the picture" in rows["late"].detail
    assert rows["good_000"].detail == ""


def test_odd_files_are_read_rightly(checked: Path) -> None:
    root = checked / "films/rain"
    assert read_frames(root / "odd_size.mkv")[0].shape[1:] == (47, 63, 3)
    assert read_frames(root / "vertical.mp4")[0].shape[1:] == (64, 48, 3)
    plain, _ = read_frames(root / "good_000.mkv", size_px=32)
    deep, _ = read_frames(root / "ten_bit.mkv", size_px=32)
    assert np.abs(plain.astype(int) - deep.astype(int)).mean() < 3
    high, _ = read_frames(root / "hdr.mkv", size_px=32)
    assert high.dtype == np.uint8
    assert np.ptp(high.astype(int)) > 100
    times_s = read_frames(root / "uneven.mkv")[1]
    np.testing.assert_allclose(times_s, np.sort(np.r_[TIMES_S, 0.05, 0.33, 0.61]), atol=2e-3)
    five = noise(905, 6 * N_SAMPLES).reshape(-1, 6)
    folded = 0.5 * (
        five[:, 0] + five[:, 1] + np.sqrt(2) * five[:, 2] + np.sqrt(0.5) * (five[:, 4] + five[:, 5])
    )
    heard = read_audio(root / "surround.mkv", RATE_HZ)
    assert np.corrcoef(heard, folded[: len(heard)])[0, 1] > 0.99


def test_a_second_check_decodes_nothing_and_gives_the_same_bytes(
    checked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in [*checked.glob("checks/000.*"), *checked.glob("*/000.tsv")]}
    monkeypatch.setattr("foley.datasets.check.iterate_pictures", lambda path: pytest.fail(f"decoded {path}"))
    check(checked)
    assert {path: path.read_bytes() for path in before} == before


def test_the_page_shows_the_worst_first_and_says_how_many_it_shows(checked: Path) -> None:
    page = checked / "check.html"
    write_check_page(
        details_paths=[str(checked / "checks/000.jsonl")],
        evidence_paths=[str(checked / "checks/000.h5")],
        duplicates_path=str(checked / "duplicates.tsv"),
        title="films",
        page_path=str(page),
        n_shown=30,
    )
    text = page.read_text()
    assert "240 files, 228 can be used" in text
    assert "30 of 240 are shown" in text
    cards = text[text.index('id="files"') :].split("<section")[1:]
    kinds = ["left out:" in card for card in cards]
    assert kinds == [True] * len(REASONS) + [False] * (30 - len(REASONS))
    assert sum("remark:" in card for card in cards[len(REASONS) :]) == len(ODD)
    assert all(address not in text for address in ("http://", "https://", "<script"))
    assert text.count("data:image/jpeg;base64,") == 30 - 6  # six of the broken show no picture

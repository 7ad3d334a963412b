"""Hostile names, damaged files, and files that would make FFmpeg read others."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from foley.errors import MediaError
from foley.media.audio import read_audio, write_wav
from foley.media.ffmpeg import probe, replace_sound
from foley.media.reasons import Reason, cure
from foley.media.video import iterate_frames, read_frames
from tests.films import hits, make_film

TIMES_S = np.arange(25) / 25
HOSTILE = [
    "-y.mp4",
    "a 'b' \"c\".mp4",
    "file:x.mp4",
    "http:x.mp4",
    "ünï 雨.mp4",
    "new\nline.mp4",
    "tab\t.mp4",
    "100%d %03d.mp4",
    "$(ls);&|.mp4",
    "\\x.mp4",
    "glob*[a].mp4",
]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4", TIMES_S, hits([0.3], 1.0))


def reason_of(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert path.name in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("name", HOSTILE)
def test_any_file_name_is_only_a_file_name(tmp_path: Path, film: Path, name: str) -> None:
    shutil.copy(film, tmp_path / name)
    write_wav(tmp_path / "new.wav", hits([0.3], 1.0), 44_100)
    replace_sound(tmp_path / name, tmp_path / "new.wav", tmp_path / f"out {name}")
    assert probe(tmp_path / f"out {name}").n_frames == 25


def test_a_relative_name_with_a_leading_dash_works(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(film, "-i.mp4")
    write_wav("-w.wav", hits([0.3], 1.0), 44_100)
    replace_sound("-i.mp4", "-w.wav", "-o.mp4")
    assert probe("-o.mp4").has_audio


def test_a_name_that_is_not_text_can_be_read_and_is_refused_by_name_when_muxing(
    tmp_path: Path, film: Path
) -> None:
    strange = tmp_path / os.fsdecode(b"\xff\xfe.mp4")
    shutil.copy(film, strange)
    assert probe(strange).n_frames == 25
    with pytest.raises(MediaError, match="rename it") as caught:
        replace_sound(strange, film, tmp_path / "out.mp4")
    assert caught.value.reason == Reason.UNSAFE_PATH


def test_a_file_that_is_absent_empty_or_no_media_says_so(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "absent.mp4") == Reason.MISSING_FILE
    (tmp_path / "empty.mp4").touch()
    assert reason_of(tmp_path / "empty.mp4") == Reason.EMPTY_FILE
    (tmp_path / "text.mp4").write_text("not a film\n" * 100)
    assert reason_of(tmp_path / "text.mp4") == Reason.NOT_MEDIA


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_a_cut_off_file_is_a_decode_error(tmp_path: Path, film: Path, share: float) -> None:
    content = film.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: round(share * len(content))])
    assert reason_of(tmp_path / "cut.mp4") == Reason.DECODE_ERROR


def test_what_is_missing_behind_a_leading_index_is_noticed(tmp_path: Path) -> None:
    whole = make_film(tmp_path / "whole.mp4", TIMES_S, hits([0.3], 1.0), options={"movflags": "faststart"})
    content = whole.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    assert probe(whole).cut_off_s == 0.0
    assert probe(tmp_path / "cut.mp4").cut_off_s > 0.2


@pytest.mark.parametrize(
    "playlist",
    ["#EXTM3U\n#EXTINF:1,\nfile://{film}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile '{film}'\n"],
)
def test_a_playlist_named_mp4_reads_no_other_file(tmp_path: Path, film: Path, playlist: str) -> None:
    (tmp_path / "list.mp4").write_text(playlist.format(film=film))
    assert reason_of(tmp_path / "list.mp4") == Reason.NOT_MEDIA


def test_flipped_bytes_end_in_a_media_error_or_a_film(tmp_path: Path, film: Path) -> None:
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(20):
        content = bytearray(film.read_bytes())
        for place in rng.integers(60, len(content), 30):
            content[place] = rng.integers(256)
        damaged = tmp_path / "damaged.mp4"
        damaged.write_bytes(content)
        try:
            probe(damaged)
            read_audio(damaged, 8000)
            list(iterate_frames(damaged, size_px=8))
        except MediaError:
            n_refused += 1
    assert n_refused > 0


def test_facts_of_a_whole_film(film: Path) -> None:
    facts = probe(film)
    assert (facts.width_px, facts.height_px, facts.n_frames, facts.fps) == (64, 48, 25, 25.0)
    assert (facts.sample_rate_hz, facts.n_channels, facts.audio_codec) == (44_100, 1, "aac")
    assert not facts.variable_frame_rate
    assert facts.duration_s == pytest.approx(1.0)


def test_what_a_film_lacks_is_named(tmp_path: Path) -> None:
    mute = make_film(tmp_path / "mute.mp4", TIMES_S, None)
    blind = make_film(tmp_path / "blind.mp4", None, hits([0.3], 1.0))
    with pytest.raises(MediaError) as caught:
        read_audio(mute, 44_100)
    assert caught.value.reason == Reason.NO_AUDIO
    with pytest.raises(MediaError) as caught:
        read_frames(blind)
    assert caught.value.reason == Reason.NO_VIDEO
    with pytest.raises(MediaError) as caught:
        replace_sound(blind, blind, tmp_path / "out.mp4")
    assert caught.value.reason == Reason.NO_VIDEO
    with pytest.raises(MediaError) as caught:
        replace_sound(mute, mute, tmp_path / "out.mp4")
    assert caught.value.reason == Reason.NO_AUDIO


def test_the_film_is_never_overwritten_and_a_failure_leaves_nothing(tmp_path: Path, film: Path) -> None:
    own = Path(shutil.copy(film, tmp_path / "own.mp4"))
    write_wav(tmp_path / "new.wav", hits([0.3], 1.0), 44_100)
    with pytest.raises(MediaError, match="overwrite"):
        replace_sound(own, tmp_path / "new.wav", own)
    with pytest.raises(MediaError, match=r"\.mkv"):
        replace_sound(own, tmp_path / "new.wav", tmp_path / "out.webm")  # holds no H.264
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.wav", "own.mp4"]


def test_frames_are_squeezed_to_a_square_and_the_one_on_screen_can_be_asked_for(film: Path) -> None:
    frames, times_s = read_frames(film, start_s=0.41, end_s=0.6, size_px=16)
    assert frames.shape == (4, 16, 16, 3)
    np.testing.assert_allclose(times_s, [0.44, 0.48, 0.52, 0.56])
    _, with_previous_s = read_frames(film, start_s=0.41, end_s=0.6, size_px=16, with_previous=True)
    np.testing.assert_allclose(with_previous_s, [0.40, 0.44, 0.48, 0.52, 0.56])
    _, exact_s = read_frames(film, start_s=0.40, end_s=0.5, size_px=16, with_previous=True)
    np.testing.assert_allclose(exact_s, [0.40, 0.44, 0.48])
    with pytest.raises(MediaError, match="no picture between"):
        read_frames(film, start_s=5.0, end_s=6.0)


def test_a_wav_needs_finite_samples_and_a_format_without_a_clock(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="finite"):
        write_wav(tmp_path / "a.wav", np.array([0.0, np.nan]), 44_100)
    with pytest.raises(ValueError, match="PCM_24"):
        write_wav(tmp_path / "a.wav", np.zeros(4), 44_100, subtype="FLOAT")


def test_every_reason_has_a_cure() -> None:
    for reason in Reason:
        assert cure(reason)

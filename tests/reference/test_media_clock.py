"""Sound and picture on one clock, against known instants and against other readers."""

import subprocess
from pathlib import Path

import decord
import numpy as np
import pytest
import soundfile

from foley.media.audio import read_audio, write_wav
from foley.media.ffmpeg import ffmpeg_binary, open_media, probe, replace_sound
from foley.media.video import frame_times, read_frames
from tests.films import hits, lag_s, level, make_film

RATE_HZ = 44_100
STEADY_S = np.arange(50) / 25
UNEVEN_S = np.cumsum(np.r_[0.0, np.random.default_rng(1).uniform(0.02, 0.1, 39)])
SOUND = hits([0.5, 1.2, 1.7], 2.0)


def picture_md5(path: Path) -> str:
    """Digest of all picture packets, by the ffmpeg program."""
    command = [
        ffmpeg_binary(),
        "-v",
        "error",
        "-i",
        f"file:{path}",
        *("-map", "0:v", "-c", "copy", "-f", "md5", "-"),
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("aac.mp4", {}),
        ("pcm.mov", {"audio_codec": "pcm_s16le"}),
        ("aac.mkv", {}),
        ("aac.ts", {}),
        ("pcm.avi", {"audio_codec": "pcm_s16le", "video_codec": "mpeg4"}),
    ],
)
def test_a_hit_is_heard_at_its_instant_in_every_container(tmp_path: Path, name: str, settings: dict) -> None:
    film = make_film(tmp_path / name, STEADY_S, SOUND, **settings)
    assert abs(lag_s(read_audio(film, RATE_HZ), SOUND, RATE_HZ)) < 1e-4
    _, times_s = read_frames(film)
    np.testing.assert_allclose(times_s, STEADY_S, atol=1e-3)
    np.testing.assert_array_equal(times_s, frame_times(film))


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts"])
def test_sound_that_starts_late_is_preceded_by_silence(tmp_path: Path, name: str) -> None:
    film = make_film(tmp_path / name, STEADY_S, SOUND, sound_start_s=0.3)
    sound = read_audio(film, RATE_HZ)
    assert lag_s(sound, SOUND, RATE_HZ) == pytest.approx(0.3, abs=1e-3)
    assert np.abs(sound[: round(0.27 * RATE_HZ)]).max() == 0.0


def test_the_clock_starts_with_the_picture(tmp_path: Path) -> None:
    film = make_film(tmp_path / "late.mp4", STEADY_S + 0.5, SOUND)
    assert frame_times(film)[0] == 0.0
    assert lag_s(read_audio(film, RATE_HZ), SOUND, RATE_HZ) == pytest.approx(-0.5, abs=1e-3)


def test_resampling_keeps_the_instant(tmp_path: Path) -> None:
    film = make_film(tmp_path / "48.mp4", STEADY_S, hits([0.4, 1.3], 2.0, 48_000), rate_hz=48_000)
    whole = read_audio(film, 48_000, duration_s=2.0)
    half = read_audio(film, 24_000, duration_s=2.0)
    assert len(half) == 48_000
    assert abs(lag_s(half, whole[::2], 24_000)) < 1e-4


def test_a_variable_frame_rate_is_read_by_its_time_stamps(tmp_path: Path) -> None:
    film = make_film(tmp_path / "uneven.mp4", UNEVEN_S, SOUND)
    facts = probe(film)
    assert facts.variable_frame_rate
    assert UNEVEN_S[-1] < facts.duration_s <= UNEVEN_S[-1] + 0.1
    frames, times_s = read_frames(film, start_s=0.7, end_s=1.6)
    inside = np.flatnonzero((UNEVEN_S >= 0.7) & (UNEVEN_S < 1.6))
    np.testing.assert_allclose(times_s, UNEVEN_S[inside], atol=2e-5)
    greys = frames[:, 30:, 30:].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(greys, [level(index) for index in inside], atol=6)


@pytest.mark.parametrize("size", [(64, 48), (66, 50)])
def test_pictures_are_those_of_another_reader(tmp_path: Path, size: tuple[int, int]) -> None:
    film = make_film(tmp_path / "film.mp4", UNEVEN_S, SOUND, width=size[0], height=size[1])
    reader = decord.VideoReader(str(film))
    theirs = reader.get_batch(range(len(reader))).asnumpy()
    ours, times_s = read_frames(film)
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).max() <= 3
    shown_s = reader.get_frame_timestamp(range(len(reader)))[:, 0]
    np.testing.assert_allclose(times_s, shown_s - shown_s[0], atol=1e-3)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_film_is_shown_as_ffmpeg_shows_it(tmp_path: Path, turn: int) -> None:
    flat, turned = make_film(tmp_path / "flat.mp4", STEADY_S, None), tmp_path / "turned.mp4"
    binary = ffmpeg_binary()
    command = [
        binary,
        "-v",
        "error",
        "-display_rotation",
        str(turn),
        "-i",
        str(flat),
        "-c",
        "copy",
        str(turned),
    ]
    subprocess.run(command, check=True)
    facts = probe(turned)
    assert facts.rotation_deg == turn
    command = [
        binary,
        "-v",
        "error",
        "-i",
        str(turned),
        "-frames:v",
        "1",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    theirs = np.frombuffer(raw, dtype=np.uint8).reshape(facts.height_px, facts.width_px, 3)
    ours, _ = read_frames(turned, end_s=0.01)
    assert np.abs(ours[0].astype(int) - theirs).max() <= 2


def test_a_window_gives_the_same_pictures_as_reading_from_the_start(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mkv", UNEVEN_S, None)
    whole, times_s = read_frames(film)
    for start_s in (0.0, 0.33, 1.0, 1.9):
        part, part_s = read_frames(film, start_s=start_s, end_s=start_s + 0.5)
        inside = (times_s >= start_s - 1e-6) & (times_s < start_s + 0.5 - 1e-6)
        np.testing.assert_array_equal(part_s, times_s[inside])
        np.testing.assert_array_equal(part, whole[inside])


@pytest.mark.parametrize("n_before", [48, 49, 50])  # one of them holds a picture that no other needs
def test_a_window_far_behind_a_key_picture_gives_the_same_pictures(tmp_path: Path, n_before: int) -> None:
    held_s = np.r_[np.arange(n_before), np.arange(80, 110)] / 25
    film = make_film(tmp_path / "film.mkv", held_s, None, key_every=200)
    whole, times_s = read_frames(film)
    for start_s in (0.7, 1.5, 1.97, 2.0, 2.5, 3.1, 3.19, 3.2, 3.9):
        part, part_s = read_frames(film, start_s=start_s, end_s=start_s + 0.5, with_previous=True)
        first = np.searchsorted(times_s, start_s + 1e-6) - 1
        last = np.searchsorted(times_s, start_s + 0.5 - 1e-6)
        np.testing.assert_array_equal(part_s, times_s[first:last])
        np.testing.assert_array_equal(part, whole[first:last])


@pytest.mark.parametrize("ending", ["mov", "mkv"])  # the second names no channels
def test_surround_is_folded_like_the_formula(tmp_path: Path, ending: str) -> None:
    rng = np.random.default_rng(3)
    channels = (0.1 * rng.standard_normal((RATE_HZ, 6))).astype(np.float32)
    film = make_film(tmp_path / f"surround.{ending}", STEADY_S[:25], channels, audio_codec="pcm_s16le")
    root = np.sqrt(0.5)
    shares = np.array([1, 1, 2 * root, 0, root, root])  # left, right, centre, low, both surrounds
    np.testing.assert_allclose(read_audio(film, RATE_HZ), channels @ shares / shares.sum(), atol=1e-4)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("kind", ["steady", "uneven", "late picture", "mute"])
def test_a_new_sound_track_fits_the_picture_which_stays_untouched(
    tmp_path: Path, kind: str, ending: str
) -> None:
    times_s = {"uneven": UNEVEN_S, "late picture": STEADY_S + 0.5}.get(kind, STEADY_S)
    film = make_film(tmp_path / "film.mp4", times_s, None if kind == "mute" else SOUND)
    fresh = hits([0.2, 1.0, 1.9], 2.1, 48_000)
    write_wav(tmp_path / "new.wav", fresh, 48_000)
    out = tmp_path / f"out.{ending}"
    replace_sound(film, tmp_path / "new.wav", out)
    before, after = probe(film), probe(out)
    assert picture_md5(film) == picture_md5(out)
    np.testing.assert_allclose(frame_times(out), frame_times(film), atol=1e-3)
    sound = read_audio(out, 48_000)
    assert abs(lag_s(sound, fresh, 48_000)) < 1e-3
    assert abs(len(sound) / 48_000 - before.duration_s) < 1 / before.fps
    assert after.duration_s == pytest.approx(before.duration_s, abs=2e-3)
    with open_media(out) as container:
        assert len(container.streams.audio) == (1 if kind == "mute" else 2)


def test_the_sound_that_a_film_had_is_kept_second(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", STEADY_S, SOUND)
    write_wav(tmp_path / "new.wav", np.zeros(88_200), RATE_HZ)
    replace_sound(film, tmp_path / "new.wav", tmp_path / "kept.mp4")
    replace_sound(film, tmp_path / "new.wav", tmp_path / "dropped.mp4", keep_original=False)
    command = [ffmpeg_binary(), "-v", "error", "-i", str(tmp_path / "kept.mp4"), "-map", "0:a:1", "-c:a"]
    subprocess.run([*command, "copy", str(tmp_path / "second.mp4")], check=True)
    assert abs(lag_s(read_audio(tmp_path / "second.mp4", RATE_HZ), SOUND, RATE_HZ)) < 1e-3
    assert np.abs(read_audio(tmp_path / "kept.mp4", RATE_HZ)).max() < 1e-3
    with open_media(tmp_path / "dropped.mp4") as container:
        assert len(container.streams.audio) == 1


def test_a_wav_file_is_what_another_reader_reads_and_is_reproducible(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", SOUND, RATE_HZ)
    write_wav(tmp_path / "b.wav", SOUND, RATE_HZ)
    samples, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == RATE_HZ
    np.testing.assert_allclose(samples, SOUND, atol=2**-23)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()

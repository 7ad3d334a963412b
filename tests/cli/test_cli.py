"""The ``foley`` command as a person types it."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from foley.media.ffmpeg import ffmpeg_binary, open_media, probe
from foley.store.manifests import Failure, write_rows
from foley.store.shards import ShardWriter
from tests.films import hits, make_film
from tests.tiny_model import write_model, write_regnet

Run = Callable[..., tuple[int, str, str]]
VFR_S = np.cumsum([0.0, *np.tile([0.02, 0.02, 0.11, 0.04], 12)])
STEADY_S = np.arange(30) / 25
FIVE_POINT_ONE = 0.1 * np.random.default_rng(0).standard_normal((52_920, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


def packets(path: Path, kind: str, index: int = 0) -> list[tuple[bytes, float]]:
    """Digest of every packet of a stream, and its time since the first."""
    with open_media(path) as film:
        stream = getattr(film.streams, kind)[index]
        found = [packet for packet in film.demux(stream) if packet.size]
        base = stream.time_base
        first = min(packet.pts for packet in found if packet.pts is not None)
        return [(hashlib.md5(bytes(packet)).digest(), float((packet.pts - first) * base)) for packet in found]


def assert_same_packets(path: Path, other: Path, kind: str, index: int = 0, other_index: int = 0) -> None:
    ours, theirs = packets(path, kind, index), packets(other, kind, other_index)
    assert [digest for digest, _ in ours] == [digest for digest, _ in theirs]
    np.testing.assert_allclose([at for _, at in ours], [at for _, at in theirs], atol=0.0015)


def n_sounds(path: Path) -> int:
    with open_media(path) as film:
        return len(film.streams.audio)


def rotated(path: Path) -> Path:
    upright = make_film(path.with_name("upright.mp4"), STEADY_S, width=64, height=48)
    words = ["-display_rotation", "90", "-i", str(upright), "-c", "copy", str(path)]
    subprocess.run([ffmpeg_binary(), "-v", "error", *words], check=True)
    return path


FILMS = {
    "steady": ("a.mp4", "b.mp4", lambda path: make_film(path, STEADY_S)),
    "other container": ("a.mp4", "b.mkv", lambda path: make_film(path, STEADY_S)),
    "quicktime": ("a.mov", "b.mov", lambda path: make_film(path, STEADY_S)),
    "29.97 and longer than a window": (
        "a.mp4",
        "b.mp4",
        lambda path: make_film(path, np.arange(130) * 1001 / 30000),
    ),
    "variable rate": ("a.mkv", "b.mp4", lambda path: make_film(path, VFR_S)),
    "three pictures": ("a.mp4", "b.mp4", lambda path: make_film(path, [0.0, 0.04, 0.08])),
    "odd size": (
        "a.mp4",
        "b.mp4",
        lambda path: make_film(path, STEADY_S, width=75, height=31, video_codec="mpeg4"),
    ),
    "rotated": ("a.mp4", "b.mp4", rotated),
    "with sound": ("a.mp4", "b.mp4", lambda path: make_film(path, STEADY_S, hits([0.3], 1.2))),
    "late sound": (
        "a.mp4",
        "b.mp4",
        lambda path: make_film(path, STEADY_S, hits([0.3], 0.7), sound_start_s=0.5),
    ),
    "5.1": ("a.mp4", "b.mkv", lambda path: make_film(path, STEADY_S, FIVE_POINT_ONE)),
    "hostile names": ("-y 'a' %03d [x].mp4", 'b: "c"\n%d;$(x).mp4', lambda path: make_film(path, STEADY_S)),
}


@pytest.mark.parametrize("case", FILMS)
def test_dub_keeps_the_picture_and_makes_sound_as_long(
    tmp_path: Path, model: Path, run: Run, case: str
) -> None:
    name, made_name, make = FILMS[case]
    film, made = make(tmp_path / name), tmp_path / "made" / made_name
    before = film.read_bytes()
    status, out, err = run("dub", "-o", made, "--model", model, "--", film)
    assert status == 0, err
    assert film.read_bytes() == before
    assert_same_packets(made, film, "video")
    facts, old = probe(made), probe(film)
    assert facts.duration_s == pytest.approx(old.duration_s, abs=1e-3)
    assert abs(facts.audio_duration_s + facts.audio_start_s - facts.duration_s) <= 1 / facts.fps
    assert abs(facts.audio_start_s) <= 0.5 / facts.fps
    assert (facts.width_px, facts.height_px, facts.rotation_deg) == (
        old.width_px,
        old.height_px,
        old.rotation_deg,
    )
    assert facts.sample_rate_hz == 48_000
    assert n_sounds(made) == n_sounds(film) + 1
    if old.has_audio:
        assert_same_packets(made, film, "audio", 1, 0)
    assert ("LUFS" if facts.duration_s > 0.5 else "not measurable") in out
    assert "hum (88%)" in out
    assert [path.name for path in made.parent.iterdir()] == [made_name]


def test_dub_puts_the_new_sound_first_and_plays_it_by_default(tmp_path: Path, model: Path, run: Run) -> None:
    film = make_film(tmp_path / "a.mp4", STEADY_S, hits([0.3], 1.2))
    assert run("dub", film, "-o", tmp_path / "b.mp4", "--model", model)[0] == 0
    with av.open(str(tmp_path / "b.mp4")) as made:
        flags = [bool(stream.disposition & av.stream.Disposition.default) for stream in made.streams.audio]
    assert flags == [True, False]
    assert_same_packets(tmp_path / "b.mp4", film, "audio", 1, 0)
    assert run("dub", film, "-o", tmp_path / "c.mp4", "--model", model, "--no-keep-original")[0] == 0
    assert n_sounds(tmp_path / "c.mp4") == 1


def test_dub_finds_a_model_by_its_system(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    film = make_film(Path("film.mp4"), STEADY_S)
    words = ("dub", film, "-o", "b.mp4", "--system")
    assert "no model of system regnet is there" in run(*words, "regnet")[2]
    write_regnet(Path("results/films/experiments/small/seed10"))
    write_regnet(Path("results/films/experiments/small/seed2"))
    write_model(Path("results/films/experiments/other/seed0"))
    status, out, _ = run(*words, "regnet", "--wav", "b.wav")
    assert status == 0
    assert "cues" in out
    assert soundfile.info("b.wav").frames == round(probe(film).duration_s * 48_000)
    write_regnet(Path("results/films/experiments/wide/seed0"))
    status, _, err = run(*words, "regnet")
    assert status == 0
    assert "taking results/films/experiments/small; --model takes another (wide)" in err
    write_regnet(Path("results/films/experiments/regnet/seed0"))
    assert run(*words, "regnet")[0] == 0
    assert "give one of them" in run(*words, "regnet", "--model", "results")[2]
    assert "no systems entry is called 'regnett'" in run(*words, "regnett")[2]


def test_dub_writes_the_sound_and_the_cues(tmp_path: Path, model: Path, run: Run) -> None:
    film = make_film(tmp_path / "a.mp4", np.arange(75) / 25)
    wav, cues = tmp_path / "x" / "a.wav", tmp_path / "y" / "a.tsv"
    words = ("dub", film, "-o", tmp_path / "b.mp4", "--model", model, "--wav", wav, "--cues", cues)
    assert run(*words, "--class", "hit")[0] == 0
    assert (soundfile.info(wav).samplerate, soundfile.info(wav).subtype) == (48_000, "PCM_24")
    assert soundfile.info(wav).frames == 3 * 48_000
    header, *lines = cues.read_text(encoding="utf-8").splitlines()
    assert header.split("\t") == ["time_s", "timecode", "class", "confidence", "level_db"]
    (cue,) = (line.split("\t") for line in lines)
    assert float(cue[0]) == pytest.approx(1.5, abs=0.015)
    assert cue[1] in ("00:00:01:12", "00:00:01:13")
    assert cue[2] == "hit"
    first = wav.read_bytes()
    assert run(*words, "--class", "hit")[0] == 0
    assert wav.read_bytes() == first
    assert run(*words, "--class", "hit", "--seed", "3")[0] == 0
    assert wav.read_bytes() != first


def test_dub_says_what_is_wrong_and_touches_nothing(tmp_path: Path, model: Path, run: Run) -> None:
    film = make_film(tmp_path / "a.mp4", STEADY_S)
    make_film(tmp_path / "sound.mp4", None, hits([0.2], 1.0))
    (tmp_path / "text.mp4").write_text("not a film")
    (tmp_path / "file").write_text("")
    (tmp_path / "old.webm").write_text("old")
    (tmp_path / "link.mp4").symlink_to(film)
    good = tmp_path / "b.mp4"
    cases: list[tuple[list[str | Path], str]] = [
        ([film, "-o", good, "--model", tmp_path / "none"], "make tables"),
        ([film, "-o", film], "would overwrite the film"),
        ([film, "-o", tmp_path / "link.mp4"], "would overwrite the film"),
        ([film, "-o", good, "--wav", film], "would overwrite the film"),
        ([film, "-o", good, "--cues", good], "would overwrite --output"),
        ([film, "-o", tmp_path / "b.txt"], "end it in .mp4"),
        ([film, "-o", tmp_path / "b"], "end it in .mp4"),
        ([film, "-o", tmp_path / "file" / "b.mp4"], "cannot be written"),
        ([film, "-o", good, "--class", "dog"], "it knows hit, hum"),
        ([film, "-o", good, "--device", "tpu"], "use cpu"),
        ([tmp_path / "sound.mp4", "-o", good], "has no picture"),
        ([tmp_path / "text.mp4", "-o", good], "not an audio or video file"),
        ([tmp_path / "missing.mp4", "-o", good], "no such file"),
        ([film, "-o", tmp_path / "old.webm"], "try a name that ends in .mkv"),
    ]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for words, expected in cases:
        more = [] if "--model" in words else ["--model", model]
        status, _, err = run("dub", *words, *more)
        said = " ".join(err.split())
        assert status == 1, words
        assert expected in said, (words, said)
        assert "Traceback" not in err
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before, words


def test_an_existing_film_is_replaced_by_the_whole_new_one(tmp_path: Path, model: Path, run: Run) -> None:
    film = make_film(tmp_path / "a.mp4", STEADY_S)
    made = tmp_path / "b.mp4"
    made.write_text("something old")
    assert run("dub", film, "-o", made, "--model", model)[0] == 0
    assert probe(made).has_audio


def test_inspect_shows_a_film_a_model_a_shard_and_a_manifest(tmp_path: Path, model: Path, run: Run) -> None:
    film = make_film(tmp_path / "a.mp4", STEADY_S)
    with ShardWriter(tmp_path / "a.h5", {"made_by": "a test"}) as shard:
        shard.write("clip_00", {"features": np.zeros((4, 3), dtype=np.float32)}, {"label": "hit"})
    failure = Failure(
        recording_id="r1", label="", path="a.mp4", stage="check", reason="no_audio", detail="none"
    )
    write_rows(tmp_path / "a.tsv", Failure, [failure])
    for path, expected in (
        (film, "25"),
        (model, "frame_sequence"),
        (tmp_path / "a.h5", "clip_00"),
        (tmp_path / "a.tsv", "no_audio"),
    ):
        status, out, err = run("inspect", path)
        assert status == 0, err
        assert expected in out, path
    status, _, _ = run("inspect", tmp_path / "a.h5", "--item", "clip_00", "--picture", tmp_path / "a.png")
    assert status == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    status, _, err = run("inspect", tmp_path / "a.h5", "--item", "nobody")
    assert status == 1
    assert "nobody" in err
    status, _, err = run("inspect", tmp_path / "nothing.h5")
    assert status == 1
    assert "nothing there" in " ".join(err.split())


def test_doctor_lists_what_is_there(run: Run) -> None:
    _, out, err = run("doctor")
    for word in ("torch", "ffmpeg", "CPU"):
        assert word.lower() in (out + err).lower()
    assert "Traceback" not in err


def test_plan_foretells_clips_time_and_disk(run: Run) -> None:
    config = Path(__file__).parents[2] / "config.yaml"
    status, out, err = run("plan", config)
    assert status == 0, err
    for word in ("clips", "jobs"):
        assert word in out.lower()
    status, _, err = run("plan", "no-such.yaml")
    assert status == 1
    assert "no-such.yaml" in err


def test_help_of_the_installed_command_names_every_command() -> None:
    program = Path(sys.executable).with_name("foley")
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    for command in ("dub", "inspect", "doctor", "plan"):
        assert command in done.stdout


@pytest.mark.parametrize("command", ["dub", "inspect", "doctor", "plan"])
def test_every_command_explains_itself(run: Run, command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == 0
    assert "Usage" in out


def test_a_slip_of_the_fingers_is_a_usage_error(run: Run) -> None:
    status, _, err = run("dbu")
    assert status == 2
    assert "dub" in err
    assert run("dub", "a.mp4")[0] == 2

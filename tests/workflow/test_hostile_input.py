"""Hostile names, manifests and media: refused with a reason or handled; nothing runs, nothing is reached.

Addresses and archives have their own tests, beside downloading and unpacking.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from foley.datasets import folder
from foley.datasets.acquire import build_sources, download_media
from foley.errors import MediaError
from foley.media.audio import read_audio
from foley.media.ffmpeg import probe, replace_sound
from foley.media.paths import media_path
from foley.media.reasons import Reason
from foley.media.video import frame_times, read_frames
from foley.preprocess.denoise import DenoiseConfig, denoise_shard
from foley.preprocess.interpolation import InterpolationConfig, clip_frames
from foley.store.manifests import Medium, Recording, encode_path, read_rows, write_rows
from foley.store.shards import ShardReader
from tests.films import hits, make_film

TIMES_S = np.arange(25) / 25
SOUND = hits([0.3], 1.0)

NAMES = [
    "with spaces  and\ttabs.mp4",
    "'quoted' \"twice\" `thrice`.mp4",
    "two\nlines\r.mp4",
    "-i.mp4",
    "--output=x.mp4",
    "..mp4",
    "...hidden.mp4",
    "a..b.mp4",
    "%2e%2e%2fup.mp4",
    "%03d.mp4",
    "[a-z]*?.mp4",
    "file:inner.mp4",
    "http:localhost.mp4",
    "concat:a.mp4|b.mp4",
    "pipe:0.mp4",
    "$(touch pwned).mp4",
    "; touch pwned;.mp4",
    "& touch pwned &.mp4",
    "| touch pwned.mp4",
    "{input}.mp4",
    "雨 🌧 e\u0301.mp4",
    "\u202egpj.mp4",
    "x" * 246 + ".mp4",
]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4", TIMES_S, SOUND)


@pytest.fixture
def listener() -> Iterator[str]:
    """Address of a server that must not be called; who calls it fails the test."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        yield f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(BlockingIOError):
            server.accept()


def tree(path: Path) -> set[bytes]:
    return {os.fsencode(entry.relative_to(path)) for entry in path.rglob("*")}


def reason_of(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert "\n" not in str(caught.value)
    return caught.value.reason


# Names


def test_any_file_name_is_listed_read_and_dubbed(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = tmp_path / "films"
    (films / "hits").mkdir(parents=True)
    names = [os.fsencode(name) for name in NAMES] + [b"\xff\xfe undecodable.mp4"]
    for name in names:
        os.link(film, os.fsencode(films / "hits") + b"/" + name)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    before = tree(tmp_path)
    common = {"kind": "folder", "settings": {"path": str(films)}, "data_dir": "data", "seed": 0}
    build_sources(**common, n_shards=1, sources_path="sources.tsv")
    download_media(
        **common, sources_path="sources.tsv", shard="000", media_path="media.tsv", events_path="events.tsv"
    )
    media = read_rows("media.tsv", Medium)
    assert [medium.status for medium in media] == ["ok"] * len(names)
    paths = [media_path("data", medium.path) for medium in media]
    assert {os.fsencode(path.name) for path in paths} == set(names)
    for path in paths:
        assert probe(path).n_frames == 25
    assert len({medium.recording_id for medium in media}) == len(names)
    assert tree(tmp_path) - before <= {b"work/sources.tsv", b"work/media.tsv", b"work/events.tsv"}


@pytest.mark.parametrize("name", NAMES)
def test_the_ffmpeg_program_takes_a_name_for_nothing_else(tmp_path: Path, film: Path, name: str) -> None:
    source, target = tmp_path / name, tmp_path / "out" / name
    target.parent.mkdir()
    os.link(film, source)
    replace_sound(source, film, target)
    assert probe(target).n_frames == 25
    assert tree(tmp_path) == {os.fsencode(path) for path in (name, "out", f"out/{name}")}


# Manifests


@pytest.fixture
def data_dir(tmp_path: Path, film: Path) -> Path:
    """A data folder with one good film, links and special files, and a film outside it."""
    inside = tmp_path / "data"
    (inside / "deep").mkdir(parents=True)
    os.link(film, tmp_path / "outside.mp4")
    os.link(film, inside / "good.mp4")
    (inside / "link.mp4").symlink_to("../outside.mp4")
    (inside / "up").symlink_to("..")
    (inside / "round.mp4").symlink_to("round.mp4")
    (inside / "near.mp4").symlink_to("good.mp4")
    os.mkfifo(inside / "fifo.mp4")
    return inside


LEAVING = [
    "../outside.mp4",
    "deep/../../outside.mp4",
    "missing/../../outside.mp4",
    "%2e%2e/outside.mp4",
    "..%2Foutside.mp4",
    "link.mp4",
    "up/outside.mp4",
    "good.mp4%00.png",
]
ODD = [
    "",
    ".",
    "deep",
    "fifo.mp4",
    "file:good.mp4",
    "http://localhost/x.mp4",
    "concat:good.mp4",
    "/dev/zero",
    "/",
]
"""Inside or absolute, and no film: whoever opens one must say so and not wait, loop or call."""


@pytest.mark.parametrize("path", LEAVING)
def test_a_path_that_leaves_the_data_folder_is_refused(data_dir: Path, path: str) -> None:
    with pytest.raises(MediaError) as caught:
        media_path(data_dir, path)
    assert caught.value.reason == Reason.UNSAFE_PATH


def test_a_path_inside_it_is_taken_and_so_is_the_folder_behind_a_link(data_dir: Path, tmp_path: Path) -> None:
    for path in ("good.mp4", "near.mp4", "deep/../good.mp4", "up/data/good.mp4"):
        assert probe(media_path(data_dir, path)).n_frames == 25
    (tmp_path / "moved").symlink_to(data_dir)
    assert probe(media_path(tmp_path / "moved", "good.mp4")).n_frames == 25
    assert media_path(data_dir, encode_path(tmp_path / "outside.mp4")) == tmp_path / "outside.mp4"


@pytest.mark.parametrize("path", ODD)
def test_what_is_no_file_is_missing(data_dir: Path, path: str) -> None:
    assert reason_of(media_path(data_dir, path)) == Reason.MISSING_FILE


def recording(number: int, path: str) -> Recording:
    return Recording(
        recording_id=f"r{number:02d}",
        label="hits",
        shard="000",
        group="",
        split="",
        path=path,
        sha256="",
        duration_s=1.0,
        fps=25.0,
        variable_frame_rate=False,
        width_px=64,
        height_px=48,
        sample_rate_hz=44_100,
        n_channels=1,
        status="ok",
    )


def test_stages_leave_out_what_a_forged_manifest_points_to(data_dir: Path, tmp_path: Path) -> None:
    before = tree(data_dir)
    rows = [recording(number, path) for number, path in enumerate(["good.mp4", *LEAVING, *ODD])]
    write_rows(tmp_path / "recordings.tsv", Recording, rows)
    denoise_shard(
        recordings_path=tmp_path / "recordings.tsv",
        data_dir=data_dir,
        sample_rate_hz=44_100,
        config=DenoiseConfig(method="none"),
        denoised_path=tmp_path / "denoised.h5",
    )
    assert ShardReader(tmp_path / "denoised.h5").items == ["r00"]
    assert tree(data_dir) == before
    with pytest.raises(MediaError) as caught:
        clip_frames(
            {"path": "../outside.mp4", "start_s": 0.0, "duration_s": 0.5},
            data_dir=data_dir,
            size_px=16,
            config=InterpolationConfig(),
        )
    assert caught.value.reason == Reason.UNSAFE_PATH


def test_a_link_out_of_a_folder_of_films_is_refused(data_dir: Path, tmp_path: Path) -> None:
    (data_dir / "hits").mkdir()
    for name in ("link", "round", "good"):
        (data_dir / f"{name}.mp4").rename(data_dir / f"hits/{name}.mp4")
    (data_dir / "hits/link.mp4").unlink()
    (data_dir / "hits/link.mp4").symlink_to("../../outside.mp4")
    settings = folder.Settings(path=str(data_dir), classes=("hits",))
    sources = list(folder.list_sources(settings, n_shards=1, data_dir=tmp_path, seed=0))
    media, _ = folder.fetch(settings, sources, data_dir=tmp_path, seed=0)
    found = {Path(medium.path).name: medium.status for medium in media}
    assert found["good.mp4"] == "ok"
    assert found["link.mp4"] == Reason.UNSAFE_PATH
    assert found["round.mp4"] in (Reason.MISSING_FILE, Reason.UNSAFE_PATH)


# Media


def playlists(film: Path, address: str) -> dict[str, str]:
    """Texts that make one player or another open a file or an address."""
    url, path = f"http://{address}/film.mp4", str(film)
    svg = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'
    return {
        "hls file": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{path}\n#EXT-X-ENDLIST\n",
        "hls url": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
        "hls concat": f"#EXTM3U\n#EXTINF:1,\nconcat:{path}|subfile,,start,0,end,9,,:{path}\n#EXT-X-ENDLIST\n",
        "hls key": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n',
        "concat": f"ffconcat version 1.0\nfile '{path}'\n",
        "concat without header": f"file '{path}'\n",
        "concat url": f"ffconcat version 1.0\nfile {url}\n",
        "dash": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
            f'<AdaptationSet><Representation id="1"><BaseURL>{url}</BaseURL></Representation>'
            "</AdaptationSet></Period></MPD>"
        ),
        "sdp": f"v=0\no=- 0 0 IN IP4 {address}\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "svg image": svg.format(f'<image xlink:href="{url}"/><image xlink:href="file://{path}"/>'),
        "svg entity": f'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "{url}">]>' + svg.format("&x;"),
        "asx": f'<ASX version="3.0"><ENTRY><REF HREF="{url}"/></ENTRY></ASX>',
        "pls": f"[playlist]\nFile1={url}\nNumberOfEntries=1\nVersion=2\n",
        "real": f"{url}\n",
        "quicktime link": f'<?quicktime type="application/x-quicktime-media-link"?><embed src="{url}"/>',
        "avisynth": f'FFVideoSource("{path}")\nImport("{path}")\n',
        "smil": f'<smil><body><video src="{url}"/></body></smil>',
        "subtitles": "1\n00:00:00,000 --> 00:00:01,000\n<img src=x>\n",
        "metadata": ";FFMETADATA1\ntitle=x\n[CHAPTER]\nSTART=0\nEND=1\n",
        "shell": "#!/bin/sh\ntouch pwned\n",
    }


@pytest.mark.parametrize("ending", [".mp4", ".ts", ".mkv", ".m3u8"])
def test_no_list_or_text_makes_foley_open_another_file(
    tmp_path: Path, film: Path, listener: str, ending: str
) -> None:
    for name, text in playlists(film, listener).items():
        path = tmp_path / f"{name}{ending}"
        path.write_text(text)
        assert reason_of(path) in (Reason.NOT_MEDIA, Reason.DECODE_ERROR), name
        with pytest.raises(MediaError):
            replace_sound(path, film, tmp_path / "out.mkv")
        path.unlink()
    assert not list(tmp_path.iterdir())


def reference_movie(url: str) -> bytes:
    """A QuickTime file that holds nothing but the address of another (``rmra``)."""

    def box(kind: bytes, content: bytes) -> bytes:
        return (8 + len(content)).to_bytes(4, "big") + kind + content

    address = url.encode() + b"\0"
    link = box(b"rdrf", bytes(4) + b"url " + len(address).to_bytes(4, "big") + address)
    return box(b"ftyp", b"qt  " + bytes(4) + b"qt  ") + box(b"moov", box(b"rmra", box(b"rmda", link)))


PICTURES = {
    "exr": b"\x76\x2f\x31\x01\x02\0\0\0channels\0chlist\0" + bytes(99),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(99),
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(99),
    "psd": b"8BPS\0\x01" + bytes(99),
    "pdf": b"%PDF-1.4\n" + bytes(99),
    "elf": b"\x7fELF\x02\x01\x01" + bytes(99),
    "zip": b"PK\x03\x04" + bytes(99),
}


def test_no_picture_program_or_reference_passes_for_a_film(tmp_path: Path, film: Path, listener: str) -> None:
    contents = PICTURES | {
        "reference url": reference_movie(f"http://{listener}/x.mp4"),
        "reference file": reference_movie(f"file://{film}"),
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.mp4").write_bytes(content)
        assert reason_of(tmp_path / f"{name}.mp4") in (Reason.NOT_MEDIA, Reason.DECODE_ERROR), name


def test_a_name_with_a_pattern_is_one_file_and_no_series(tmp_path: Path) -> None:
    for number in range(3):
        av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24").save(tmp_path / f"{number}.png")
    for pattern in ("%d.png", "%d.mp4", "*.png"):
        assert reason_of(tmp_path / pattern) == Reason.MISSING_FILE


def test_metadata_is_never_a_command_and_never_breaks_a_line(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    hostile = {
        "title": "x\n[Error] $(touch pwned)\x1b[2J" + "A" * 100_000,
        "comment": "file:///etc/passwd",
        "encoder": "'; touch pwned; '",
        "rotate": "-1e309",
        "language": "../../..",
    }
    with av.open(str(path), "w") as container:
        container.metadata.update(hostile)
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.metadata.update(hostile)
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 9 * index, np.uint8), "rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    facts = probe(path)
    assert (facts.n_frames, facts.rotation_deg) == (25, 0)
    sound = make_film(tmp_path / "sound.wav", None, SOUND, audio_codec="pcm_s16le")
    replace_sound(path, sound, tmp_path / "out.mkv")
    assert probe(tmp_path / "out.mkv").n_frames == 25
    assert tree(tmp_path) == {b"film.mkv", b"sound.wav", b"out.mkv"}


def test_a_picture_that_would_fill_the_memory_is_not_decoded(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foley.media.ffmpeg._MOST_PIXELS", 64 * 48 - 1)
    with pytest.raises(MediaError) as caught:
        read_frames(film)
    assert caught.value.reason == Reason.DECODE_ERROR
    monkeypatch.setattr("foley.media.ffmpeg._MOST_PIXELS", 128 * 128)  # decoders pad
    assert len(read_frames(film)[0]) == 25


def test_forged_times_do_not_fill_the_memory(tmp_path: Path) -> None:
    """Each gap is short enough, all together are days."""
    path = tmp_path / "gaps.mkv"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("pcm_s16le", rate=8_000, layout="mono")
        for number in range(50):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
            frame.sample_rate, frame.time_base = 8_000, Fraction(1, 8_000)
            frame.pts = number * 500 * 8_000
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    with pytest.raises(MediaError, match="of its sound are missing") as caught:
        read_audio(path, 8_000)
    assert caught.value.reason == Reason.DECODE_ERROR


def test_a_film_of_which_every_byte_may_be_forged_ends_in_a_reason_or_a_film(
    tmp_path: Path, film: Path
) -> None:
    """Numbers of the index overwritten with extremes: sizes, counts, times, rates."""
    content = bytearray(film.read_bytes())
    index = content.index(b"moov")
    rng = np.random.default_rng(0)
    for value in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0"):
        for at in rng.integers(index, len(content) - 4, 15):
            forged = bytearray(content)
            forged[at : at + 4] = value
            (tmp_path / "forged.mp4").write_bytes(forged)
            for read in (probe, read_frames, frame_times):
                with suppress(MediaError):
                    read(tmp_path / "forged.mp4")

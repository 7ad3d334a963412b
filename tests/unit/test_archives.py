"""Archives: unpacked whole or refused, continued after a kill, never written outside the folder."""

import errno
import gzip
import io
import multiprocessing
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foley.datasets import archives
from foley.datasets.archives import ArchiveLimits, member_path, unpack, unpack_all
from foley.errors import DiskFullError, FoleyError, StoreError

FILES = {"VAS/videos/dog/video_00001.mp4": b"dog " * 700, "VAS/videos/dog/a b'\n.mp4": b"x", "VAS/empty": b""}
Maker = Callable[[Path, dict[str, bytes]], Path]


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        tar.addfile(folder_entry("./"))
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def folder_entry(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE
    return entry


def make_tgz(path: Path, files: dict[str, bytes]) -> Path:
    return make_tar(path, files, "w:gz")


def make_txz(path: Path, files: dict[str, bytes]) -> Path:
    return make_tar(path, files, "w:xz")


MAKERS: dict[str, Maker] = {"a.zip": make_zip, "a.tar": make_tar, "a.tar.gz": make_tgz, "a.tar.xz": make_txz}


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the marker."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".unpacked.json"
    }


@pytest.mark.parametrize("name", MAKERS)
def test_every_kind_is_unpacked_once(tmp_path: Path, name: str) -> None:
    archive = MAKERS[name](tmp_path / name, FILES)
    assert unpack(archive, tmp_path / "out") == 3
    assert content(tmp_path / "out") == FILES
    film = tmp_path / "out/VAS/videos/dog/video_00001.mp4"
    before = film.stat().st_mtime_ns, film.stat().st_ino
    assert unpack(archive, tmp_path / "out") == 3
    assert (film.stat().st_mtime_ns, film.stat().st_ino) == before


@pytest.mark.parametrize("name", MAKERS)
def test_a_killed_run_continues_where_it_stopped(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = MAKERS[name](tmp_path / name, {f"{n:02d}.mp4": bytes([n]) * 3000 for n in range(9)})
    write, written = archives._write_member, []

    def counted(member: archives._Member, *rest: object) -> None:
        if len(written) == 4:
            (tmp_path / "out/.unpacking").write_bytes(b"half")
            raise KeyboardInterrupt
        written.append(member.name)
        write(member, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(archives, "_write_member", counted)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out/.unpacked.json").exists()
    monkeypatch.setattr(archives, "_write_member", lambda *all_: (written.append(all_[0].name), write(*all_)))
    assert unpack(archive, tmp_path / "out") == 9
    assert sorted(written) == [f"{n:02d}.mp4" for n in range(9)]  # none twice
    assert len(content(tmp_path / "out")) == 9


def test_a_file_that_vanished_or_changed_comes_back_with_a_new_archive(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", FILES)
    unpack(archive, tmp_path / "out")
    (tmp_path / "out/VAS/videos/dog/video_00001.mp4").write_bytes(b"half")
    os.utime(archive, ns=(1, 1))
    unpack(archive, tmp_path / "out")
    assert content(tmp_path / "out") == FILES


HOSTILE = {
    "../evil": "leads out of the folder",
    "a/../../evil": "leads out of the folder",
    "a\\..\\..\\evil": "leads out of the folder",
    "/etc/evil": "absolute path",
    "C:\\evil": "absolute path",
    "\\\\server\\evil": "absolute path",
    ".unpacked.json": "unpacking itself uses",
    "x" * 300: "longer than a file system allows",
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("evil", HOSTILE)
def test_a_name_that_would_escape_refuses_the_whole_archive(tmp_path: Path, name: str, evil: str) -> None:
    archive = MAKERS[name](tmp_path / name, {"good.mp4": b"good", evil: b"evil"})
    with pytest.raises(FoleyError, match=HOSTILE[evil]) as refused:
        unpack(archive, tmp_path / "in" / "out")
    assert str(archive) in str(refused.value)
    assert repr(evil) in str(refused.value)
    assert content(tmp_path / "in" / "out") == {}
    assert not list(tmp_path.rglob("*evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        entry = tarfile.TarInfo("dog")
        entry.type, entry.linkname = kind, "/etc"
        tar.addfile(entry)
    with pytest.raises(FoleyError, match="a link or a device"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        info = zipfile.ZipInfo("dog")
        info.external_attr = 0o120777 << 16
        packed.writestr(info, "/etc")
    with pytest.raises(FoleyError, match="a link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_nothing_is_written_through_a_link_that_was_there(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"dog/a.mp4": b"new", ".unpacking2": b""})
    (tmp_path / "outside").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/dog").symlink_to(tmp_path / "outside")
    with pytest.raises(FoleyError, match="through a link that leaves the folder"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_link_in_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a.mp4": b"new"})
    (tmp_path / "kept").write_bytes(b"old")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.mp4").symlink_to(tmp_path / "kept")
    (tmp_path / "out/.unpacking").symlink_to(tmp_path / "kept")
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "kept").read_bytes() == b"old"
    assert not (tmp_path / "out/a.mp4").is_symlink()
    assert content(tmp_path / "out") == {"a.mp4": b"new"}


def test_two_members_of_one_name_or_a_file_as_folder_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            packed.writestr("a", b"2")
    with pytest.raises(FoleyError, match="is there twice"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    make_tar(tmp_path / "b.tar", {"a": b"1", "a/b": b"2"})
    with pytest.raises(FoleyError, match="both a file and a folder"):
        unpack(tmp_path / "b.tar", tmp_path / "out")


def test_bombs_are_refused_before_they_are_written(tmp_path: Path) -> None:
    make_zip(tmp_path / "a.zip", {"bomb": bytes(120 << 20)})
    with pytest.raises(FoleyError, match=r"makes 0\.1 GB of an archive of 0\.000 GB"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    header = tarfile.TarInfo("bomb")
    header.size = 1 << 50
    (tmp_path / "b.tgz").write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT)))
    with pytest.raises(FoleyError, match="the archive is refused"):
        unpack(tmp_path / "b.tgz", tmp_path / "out")
    many = make_zip(tmp_path / "c.zip", {str(n): b"" for n in range(6)})
    with pytest.raises(FoleyError, match="more than 5 files"):
        unpack(many, tmp_path / "out", ArchiveLimits(max_files=5))
    with pytest.raises(FoleyError, match="the archive is refused"):
        unpack(make_zip(tmp_path / "d.zip", FILES), tmp_path / "out", ArchiveLimits(max_bytes=100))
    assert content(tmp_path / "out") == {}


def test_a_member_that_is_larger_than_it_says_is_stopped(tmp_path: Path) -> None:
    member = archives._Member("a", member_path("a"), 3)
    with pytest.raises(FoleyError, match="holds more than it says"):
        archives._write_member(member, io.BytesIO(b"1234"), tmp_path, tmp_path / "a.zip")
    with pytest.raises(FoleyError, match="cut off"):
        archives._write_member(member, io.BytesIO(b"12"), tmp_path, tmp_path / "a.zip")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", MAKERS)
def test_a_cut_off_archive_says_so(tmp_path: Path, name: str) -> None:
    whole = MAKERS[name](tmp_path / name, {"a.mp4": os.urandom(9000), "b.mp4": os.urandom(9000)}).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FoleyError, match=r"damaged|cut off"):
        unpack(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out/.unpacked.json").exists()


def test_a_flipped_bit_in_a_zip_is_found(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a.mp4": os.urandom(5000)})
    raw = bytearray(archive.read_bytes())
    raw[2000] ^= 1
    archive.write_bytes(raw)
    with pytest.raises(FoleyError, match="damaged"):
        unpack(archive, tmp_path / "out")
    assert content(tmp_path / "out").get("a.mp4") is None


def test_text_and_nothing_are_no_archives(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("no archive")
    with pytest.raises(FoleyError, match="damaged"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    with pytest.raises(FoleyError, match="no such archive"):
        unpack(tmp_path / "b.zip", tmp_path / "out")


def test_too_little_space_is_said_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "free_bytes", lambda _: 10)
    with pytest.raises(DiskFullError, match="free some space"):
        unpack(make_zip(tmp_path / "a.zip", FILES), tmp_path / "out")
    assert content(tmp_path / "out") == {}


def test_a_full_disk_is_said_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    archive = make_zip(tmp_path / "a.zip", FILES)
    with monkeypatch.context() as patched:
        patched.setattr(archives, "_copy", full)
        with pytest.raises(DiskFullError, match="what is finished is kept"):
            unpack(archive, tmp_path / "out")
    unpack(archive, tmp_path / "out")
    assert content(tmp_path / "out") == FILES


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", FILES)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StoreError, match="out"):
        unpack(archive, tmp_path / "out")


def _unpack_in_child(archive: Path, folder: Path) -> None:
    unpack(archive, folder)


def test_two_processes_at_once_take_turns(tmp_path: Path) -> None:
    files = {f"{n:03d}.mp4": os.urandom(20_000) for n in range(60)}
    archive = make_zip(tmp_path / "a.zip", files)
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_unpack_in_child, args=(archive, tmp_path / "out")) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert content(tmp_path / "out") == files


def test_only_the_named_archives_of_a_folder_are_unpacked(tmp_path: Path) -> None:
    make_zip(tmp_path / "VAS.zip", {"videos/dog/a.mp4": b"1", "__MACOSX/videos/dog/._a.mp4": b"junk"})
    make_tgz(tmp_path / "VAS_more.tar.gz", {"videos/gun/a.mp4": b"2"})
    make_zip(tmp_path / "holiday.zip", {"a.mp4": b"3"})
    (tmp_path / "VAS.txt").write_text("no archive")
    unpack_all(tmp_path, ("VAS*",))
    assert content(tmp_path / "VAS") == {"videos/dog/a.mp4": b"1"}
    assert content(tmp_path / "VAS_more") == {"videos/gun/a.mp4": b"2"}
    assert not (tmp_path / "holiday").exists()
    unpack_all(tmp_path / "absent", ("VAS*",))


QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PIECES = st.lists(
    st.sampled_from(["..", ".", "", "a", "b.mp4", "C:", "\\", "/", "~", "\x00", "é"]), min_size=1, max_size=6
)


@QUICK
@given(PIECES.map("/".join) | st.text(max_size=20))
def test_a_name_stays_inside_or_is_refused(name: str) -> None:
    try:
        path = member_path(name)
    except ValueError:
        return
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert path.parts
    root = Path("/somewhere/out")
    assert Path(os.path.normpath(root / path)).is_relative_to(root)

"""Copies are found whatever was done to them, and strangers are not taken for copies."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from foley.datasets.check import CheckConfig, check_file
from foley.datasets.duplicates import DuplicateConfig, compare_sounds, find_duplicates, near_pairs
from foley.datasets.findings import Judgement, Ragged, read_evidence, write_evidence
from foley.datasets.fingerprints import picture_word, sound_print
from foley.errors import StoreError
from foley.store.manifests import Duplicate, Recording, read_rows, write_rows
from tests.films import make_film
from tests.unit.test_datasets import recording

RATE_HZ = 16_000


def rustle(seed: int, duration_s: float = 6.0) -> NDArray[np.float32]:
    """Noise whose loudness wanders, as of leaves: nothing but its details tells two of them apart."""
    rng = np.random.default_rng(seed)
    n_samples = round(duration_s * RATE_HZ)
    knots = np.arange(0, n_samples + 2000, 2000)
    loudness = np.interp(np.arange(n_samples), knots, 0.02 + 0.2 * rng.random(len(knots)))
    return (loudness * rng.standard_normal(n_samples)).astype(np.float32)


def scene(seed: int, width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """A picture of soft blobs, the same for every size."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    canvas = np.zeros((height, width))
    for y, x, size, light in rng.random((8, 4)):
        canvas += (light + 0.3) * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (0.02 + 0.05 * size))
    grey = np.uint8(40 + 200 * canvas / canvas.max())
    return np.repeat(np.asarray(grey)[..., None], 3, axis=2)


def shoot(
    path: Path,
    view: int,
    sound: NDArray[np.float32],
    *,
    width: int = 96,
    height: int = 64,
    cut_s: float = 0.0,
    **options: object,
) -> Path:
    """A film of a scene across which a bright bar moves, from `cut_s` on."""

    def paint(index: int) -> NDArray[np.uint8]:
        canvas = scene(view, width, height)
        at = round((index / 10 + cut_s) * 0.12 * width) % width
        canvas[:, at : at + width // 12] = 250
        return canvas

    n_pictures = round(10 * (len(sound) / RATE_HZ - cut_s))
    times_s = np.arange(n_pictures) / 10
    heard = sound[round(cut_s * RATE_HZ) :]
    return make_film(
        path, times_s, heard, rate_hz=RATE_HZ, width=width, height=height, paint=paint, **options
    )  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judgement]:
    """A film, what people make of it, and films that are only like it."""
    folder = tmp_path_factory.mktemp("copies")
    sound = rustle(1)
    films = {
        "original": shoot(folder / "a.mkv", 1, sound, audio_codec="pcm_s16le"),
        "encoded": shoot(folder / "b.mp4", 1, sound, video_codec="mpeg4"),
        "scaled": shoot(folder / "c.mkv", 1, sound, width=48, height=48, audio_codec="pcm_s16le"),
        "trimmed": shoot(folder / "d.mp4", 1, sound, cut_s=0.7),
        "louder": shoot(folder / "e.mkv", 1, 2 * sound, audio_codec="pcm_s16le"),
        "same_sound": shoot(folder / "f.mkv", 2, sound, audio_codec="pcm_s16le"),
        "same_scene": shoot(folder / "g.mkv", 1, rustle(2), audio_codec="pcm_s16le"),
        "stranger": shoot(folder / "h.mkv", 3, rustle(3), audio_codec="pcm_s16le"),
    }
    return {name: check_file(path, CheckConfig()) for name, path in films.items()}


COPIES = ("original", "encoded", "scaled", "trimmed", "louder")


def test_every_copy_is_found_and_no_stranger(judged: dict[str, Judgement], tmp_path: Path) -> None:
    names = sorted(judged)
    write_evidence(tmp_path / "000.h5", {name: judged[name] for name in names})
    rows = [recording(name) for name in names]
    write_rows(tmp_path / "000.tsv", Recording, rows)
    find_duplicates(
        recordings_paths=[str(tmp_path / "000.tsv")],
        evidence_paths=[str(tmp_path / "000.h5")],
        config=DuplicateConfig(),
        duplicates_path=str(tmp_path / "duplicates.tsv"),
    )
    found = {
        (row.like, row.recording_id): row.kind for row in read_rows(tmp_path / "duplicates.tsv", Duplicate)
    }
    copies = {pair: "near" for pair in itertools.combinations(sorted(COPIES), 2)}
    other = {tuple(sorted((name, "same_sound"))): "sound" for name in COPIES}
    assert found == copies | other


def test_the_shift_of_a_trimmed_copy_is_known(judged: dict[str, Judgement]) -> None:
    heard = compare_sounds(judged["original"].sound_print, judged["trimmed"].sound_print, DuplicateConfig())
    assert heard is not None
    assert heard[0] < 0.2
    assert heard[1] == pytest.approx(0.7, abs=0.04)


def test_strangers_and_the_silent_are_not_compared_far() -> None:
    one, other = (sound_print(rustle(seed)) for seed in (5, 6))
    heard = compare_sounds(one, other, DuplicateConfig())
    assert heard is not None
    assert heard[0] > 0.35
    silent = sound_print(np.zeros(6 * RATE_HZ, np.float32))
    assert not silent.any()
    assert compare_sounds(one, silent, DuplicateConfig()) is None
    assert len(sound_print(np.zeros(10, np.float32))) == 0


def test_among_many_recordings_only_copies_meet() -> None:
    sounds = [sound_print(rustle(seed, 3.0)) for seed in range(60)]
    sounds += [sound_print(rustle(seed, 3.0) + 0.1 * rustle(100 + seed, 3.0)) for seed in range(0, 60, 3)]
    pictures = [np.array([1, 2, 3], np.uint64)] * len(sounds)

    def ragged(parts: list[NDArray[np.uint16]] | list[NDArray[np.uint64]]) -> Ragged:
        return Ragged(np.concatenate(parts), np.cumsum([len(part) for part in parts]))

    pairs = near_pairs(ragged(pictures), ragged(sounds), DuplicateConfig())
    assert [(pair.first, pair.second) for pair in pairs] == [(3 * n, 60 + n) for n in range(20)]
    nothing = Ragged(np.zeros(0, np.uint16), np.zeros(0, np.int64))
    assert near_pairs(nothing, nothing, DuplicateConfig()) == []


def test_pictures_that_show_nothing_have_no_word() -> None:
    assert picture_word(np.full((64, 64), 90, np.uint8)) == 0
    assert picture_word(scene(1, 64, 64)[..., 0].copy()) != 0


def test_of_equal_files_the_one_published_for_testing_stays(tmp_path: Path) -> None:
    rows = [
        recording("a", sha256="x", split="train"),
        recording("b", sha256="x", split="test"),
        recording("c", sha256="y"),
        recording("d", sha256="y"),
    ]
    write_rows(tmp_path / "000.tsv", Recording, rows)
    find_duplicates(
        recordings_paths=[str(tmp_path / "000.tsv")],
        evidence_paths=[],
        config=DuplicateConfig(near=False),
        duplicates_path=str(tmp_path / "duplicates.tsv"),
    )
    found = read_rows(tmp_path / "duplicates.tsv", Duplicate)
    assert [(row.recording_id, row.like, row.kind) for row in found] == [
        ("a", "b", "exact"),
        ("d", "c", "exact"),
    ]


def test_missing_evidence_is_named(tmp_path: Path) -> None:
    (tmp_path / "000.h5").write_text("no HDF5")
    with pytest.raises(StoreError, match=r"000\.h5.*check again"):
        read_evidence(tmp_path / "000.h5", "strip")


def test_evidence_comes_back(judged: dict[str, Judgement], tmp_path: Path) -> None:
    items = {"a": judged["original"], "b": Judgement(), "c": judged["trimmed"]}
    write_evidence(tmp_path / "000.h5", items)
    ids, strips = read_evidence(tmp_path / "000.h5", "strip")
    assert ids == ["a", "b", "c"]
    assert [strips[index].tobytes() for index in range(3)] == [item.strip for item in items.values()]
    _, sounds = read_evidence(tmp_path / "000.h5", "sound_print")
    np.testing.assert_array_equal(sounds.chosen([2, 0])[1], judged["original"].sound_print)
    assert sounds.at(np.array([0, -1, 10**6]), np.array([0, 0, 2]))[1:].tolist() == [0, 0]

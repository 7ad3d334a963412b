"""Recordings that are the same: to the byte, or encoded anew, scaled, or trimmed a little.

Near copies are searched by their sound: on real films the fingerprints of a copy differ in 2 to 22 %
of their bits and those of other films in 34 % and more, while films of one scene look alike. Some
pair of words of one must be a pair of words of the other, which sorting finds without a list of all
pairs of recordings; then both are laid over each other at every shift. The pictures say
whether a copy is one of the film (``near``) or of its sound only (``sound``), as when one effect was
put to two films. What is heard for less than a second is not compared, nor a film that got new sound.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import fft

from foley.datasets.findings import Ragged, read_evidence
from foley.datasets.fingerprints import PICTURE_HOP_S, SOUND_HOP_S, PicturePrint, SoundPrint
from foley.store.manifests import Duplicate, Recording, iterate_rows, write_rows

logger = logging.getLogger(__name__)

_SOUND_BITS = 16
_PICTURE_BITS = 64
_GAPS = (8, 13)
"""Distances of two words that make a key: 32 bits that a copy keeps somewhere. Windows of words this
far apart do not overlap, so that strangers share few keys."""
_PART_BITS = 4
"""Keys are sorted in 16 parts, so that sorting takes little memory beside the fingerprints themselves."""
_NO_PART = 255
_N_NEIGHBOURS = 8
"""Places with the same key are compared with so many of each other."""
_AROUND = (
    (-24, 24, -36, 36, -48, 48),
    (-60, -54, -42, -30, -18, -12, 18, 30, 42, 54, 60),
    (-96, -84, -72, -6, 0, 6, 72, 84, 96),
)
_ROUGH_ERRORS = (0.42, 0.38, 0.36)
"""Words around two places that must agree roughly before all of two sounds is compared."""
_CHANCE = 5 * 0.5 / np.sqrt(2)
"""Words follow each other so closely that only 2 bits of each are news: a standard deviation of
``0.5 / sqrt(2 n)`` between strangers."""


class DuplicateConfig(BaseModel):
    """When two recordings count as copies of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    near: bool = Field(True, description="search also for copies that were encoded anew, scaled, trimmed")
    max_sound_error: float = Field(
        0.28, gt=0, lt=0.5, description="sounds of copies differ in a smaller share of bits; chance gives 0.5"
    )
    max_picture_bits: float = Field(
        22.0, ge=0, lt=32, description="pictures of copies differ in fewer of 64 bits on average"
    )
    min_overlap_s: float = Field(0.8, gt=0, description="copies are heard together for at least this long")
    min_overlap_share: float = Field(
        0.5, gt=0, le=1, description="and for at least this share of the shorter one"
    )


@dataclass(frozen=True)
class Pair:
    """Two recordings that are near copies.

    Parameters
    ----------
    first, second : int
        Their places, ``first < second``.
    kind : {"near", "sound"}
        Whether the pictures agree too.
    similarity : float
        Share of sound bits that agree, in (0.5, 1].
    """

    first: int
    second: int
    kind: str
    similarity: float


def find_duplicates(
    *,
    recordings_paths: Sequence[str],
    evidence_paths: Sequence[str],
    config: DuplicateConfig,
    duplicates_path: str,
) -> None:
    """Write which usable recordings are copies of others.

    Parameters
    ----------
    recordings_paths, evidence_paths : sequence of str
        What checking wrote, shard by shard.
    config : DuplicateConfig
    duplicates_path : str
        Table to write, sorted. Of files equal to the byte, one stands for all the others: one that is
        published for testing if there is one, else the first by name.
    """
    places = sorted(
        (row.recording_id, row.sha256, row.split)
        for path in recordings_paths
        for row in iterate_rows(path, Recording)
    )
    first_with: dict[str, str] = {}
    exact: list[Duplicate] = []
    for name, sha256, _ in sorted(places, key=lambda place: (place[2] != "test", place[0])):
        if first_with.setdefault(sha256, name) != name:
            exact.append(Duplicate(recording_id=name, like=first_with[sha256], kind="exact", similarity=1.0))
    near = _near_rows(sorted(first_with.values()), evidence_paths, config) if config.near else []
    logger.info("%d exact copies, %d pairs of near copies", len(exact), len(near))
    rows = sorted([*exact, *near], key=lambda row: (row.recording_id, row.like))
    write_rows(duplicates_path, Duplicate, rows)


def _near_rows(names: list[str], evidence_paths: Sequence[str], config: DuplicateConfig) -> list[Duplicate]:
    place = {name: number for number, name in enumerate(names)}
    order, pictures = _prints(evidence_paths, "picture_print", place)
    _, sounds = _prints(evidence_paths, "sound_print", place)
    found = []
    for pair in near_pairs(pictures, sounds, config):
        like, name = sorted((names[order[pair.first]], names[order[pair.second]]))
        found.append(Duplicate(recording_id=name, like=like, kind=pair.kind, similarity=pair.similarity))
    return found


def _prints(paths: Sequence[str], kind: str, place: Mapping[str, int]) -> tuple[list[int], Ragged]:
    """Fingerprints of the recordings that have a place, of all shards, and their places."""
    order: list[int] = []
    prints: list[Ragged] = []
    for path in paths:
        ids, arrays = read_evidence(path, kind)
        usable = [number for number, name in enumerate(ids) if name in place]
        order += [place[ids[number]] for number in usable]
        prints.append(arrays.chosen(usable))
    return order, Ragged.joined(prints)


def near_pairs(pictures: Ragged, sounds: Ragged, config: DuplicateConfig) -> list[Pair]:
    """Find near copies among recordings.

    Parameters
    ----------
    pictures, sounds : Ragged of uint64, of uint16
        Fingerprints of each recording, see :mod:`foley.datasets.fingerprints`.
    config : DuplicateConfig

    Returns
    -------
    list of Pair
        Sorted.
    """
    found = []
    for first, second in _candidates(sounds):
        heard = compare_sounds(sounds[first], sounds[second], config)
        if heard is not None and heard[0] <= config.max_sound_error:
            error, shift_s = heard
            bits = _picture_bits(pictures[first], pictures[second], round(shift_s / PICTURE_HOP_S))
            kind = "near" if bits <= config.max_picture_bits else "sound"
            found.append(Pair(first, second, kind, round(1 - error, 3)))
    return found


def _candidates(sounds: Ragged) -> Iterator[tuple[int, int]]:
    """Pairs of recordings of which an instant of one is much like an instant of the other, each once."""
    found = [np.zeros(0, np.int64)]
    for gap in _GAPS:
        parts = _parts(sounds, gap)
        for part in range(1 << _PART_BITS):
            found.append(_alike(sounds, np.flatnonzero(parts == part), gap))
    for pair in np.unique(np.concatenate(found)):
        yield int(pair) >> 32, int(pair) & 0xFFFFFFFF


def _parts(sounds: Ragged, gap: int) -> NDArray[np.uint8]:
    """Which part each word's key is sorted in, by its first bits; 255 where no key begins.

    Both words of a key must be heard, in one recording, and it must not be the last key again.
    """
    words = sounds.values
    parts = (words >> (_SOUND_BITS - _PART_BITS)).astype(np.uint8)
    n_keys = max(0, len(words) - gap)
    one, other = words[:n_keys], words[gap:]
    parts[:n_keys][(one == 0) | (other == 0)] = _NO_PART
    parts[1:n_keys][(one[1:] == one[:-1]) & (other[1:] == other[:-1])] = _NO_PART
    lasts = (sounds.ends[:, None] - 1 - np.arange(gap)).ravel()
    parts[lasts[lasts >= 0]] = _NO_PART  # of a recording this short the one before loses a key: harmless
    return parts


def _alike(sounds: Ragged, places: NDArray[np.int64], gap: int) -> NDArray[np.int64]:
    """Pairs of recordings with the same key somewhere, one number a pair: ``first << 32 | second``."""
    words = sounds.values
    keys = words[places].astype(np.uint64) << np.uint64(16) | words[places + gap]
    packed = np.sort(keys << np.uint64(32) | places.astype(np.uint64))
    keys, places = packed >> np.uint64(32), (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    found = [np.zeros(0, np.int64)]
    for step in range(1, min(_N_NEIGHBOURS, len(keys) - 1) + 1):
        same = np.flatnonzero(keys[step:] == keys[:-step])
        left, right = places[same], places[same + step]
        one = np.searchsorted(sounds.ends, left, side="right")
        other = np.searchsorted(sounds.ends, right, side="right")
        wanted = (one != other) & _roughly_alike(sounds, (left, one), (right, other))
        found.append((np.minimum(one, other) << 32 | np.maximum(one, other))[wanted])
    return np.unique(np.concatenate(found))


def _roughly_alike(
    sounds: Ragged,
    left: tuple[NDArray[np.int64], NDArray[np.int64]],
    right: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.bool_]:
    """Whether what surrounds places of recordings agrees too; beyond their ends it need not."""
    alike = np.arange(len(left[0]))  # nearly all are strangers, and most of these are dropped at once
    bits, heard = np.zeros(len(alike), np.int64), np.zeros(len(alike), np.int64)
    for lates, error in zip(_AROUND, _ROUGH_ERRORS, strict=True):
        for late in lates:
            one = sounds.at(left[0][alike] + late, left[1][alike])
            other = sounds.at(right[0][alike] + late, right[1][alike])
            both = (one != 0) & (other != 0)
            heard += both
            bits += np.where(both, np.bitwise_count(one ^ other), 0)
        stay = bits <= error * _SOUND_BITS * heard
        alike, bits, heard = alike[stay], bits[stay], heard[stay]
    found = np.zeros(len(left[0]), dtype=bool)
    found[alike] = True
    return found


def compare_sounds(one: SoundPrint, other: SoundPrint, config: DuplicateConfig) -> tuple[float, float] | None:
    """Find the shift in time at which two sounds agree best.

    Parameters
    ----------
    one, other : ndarray of uint16, shapes (n,) and (m,)
    config : DuplicateConfig

    Returns
    -------
    error : float
        Share of bits that differ where both are heard; larger by what chance does where that is short.
    shift_s : float
        Time in `one` minus time in `other` of the same instant.
    None
        When they are never heard together for long enough.
    """
    n_shorter = min(np.count_nonzero(one), np.count_nonzero(other))
    n_least = max(round(config.min_overlap_s / SOUND_HOP_S), round(config.min_overlap_share * n_shorter))
    if n_shorter < n_least:
        return None
    size = fft.next_fast_len(len(one) + len(other), real=True)
    spectra = fft.rfft(_signs(one), size, axis=1) * np.conj(fft.rfft(_signs(other), size, axis=1))
    together = fft.irfft(np.stack([spectra[:-1].sum(axis=0), spectra[-1]]), size, axis=1)
    n_heard = np.round(together[1])
    enough = n_heard >= n_least
    if not enough.any():
        return None
    errors = np.full(size, 1.0)
    errors[enough] = 0.5 - together[0, enough] / (2 * _SOUND_BITS * n_heard[enough])
    # Few words agree by chance more easily: 5 standard deviations of that count as error.
    errors[enough] += np.maximum(0.0, config.max_sound_error - 0.5 + _CHANCE / np.sqrt(n_heard[enough]))
    best = int(np.argmin(errors))
    shift = best if best < len(one) else best - size
    return max(0.0, float(errors[best])), shift * SOUND_HOP_S


def _signs(words: SoundPrint) -> NDArray[np.float32]:
    """Bits as +1 and -1, 0 where nothing is heard, and a last row of 1 where something is."""
    heard = (words != 0).astype(np.float32)
    bits = (words[None, :] >> np.arange(_SOUND_BITS, dtype=np.uint16)[:, None]) & 1
    return np.concatenate([(2.0 * bits - 1.0) * heard, heard[None]]).astype(np.float32)


def _picture_bits(one: PicturePrint, other: PicturePrint, shift: int) -> float:
    """Mean number of bits in which pictures differ that lie `shift` words apart; 64 without any.

    Half a second lies between two words: each is compared with the three that may show the same.
    """
    rows = np.arange(len(one))
    columns = rows[:, None] - shift + np.array([-1, 0, 1])
    inside = (columns >= 0) & (columns < len(other))
    if not inside.any():
        return float(_PICTURE_BITS)
    facing = other[np.clip(columns, 0, len(other) - 1)]
    both = inside & (facing != 0) & (one != 0)[:, None]
    bits = np.where(both, np.bitwise_count(facing ^ one[:, None]), _PICTURE_BITS).min(axis=1)
    known = both.any(axis=1)
    return float(bits[known].mean()) if known.any() else float(_PICTURE_BITS)

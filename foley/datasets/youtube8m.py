"""YouTube-8M subsets: films listed by class, or segments of them."""

import json
import logging
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from pydantic import BaseModel, ConfigDict, Field, field_validator

from foley.datasets.download import DownloadConfig, fetch_sources
from foley.datasets.films import data_root, medium_of, slug
from foley.datasets.info import DatasetInfo, NeededFile, missing
from foley.datasets.segments import (
    ClassNames,
    Subset,
    is_video_id,
    iterate_segments,
    read_vocabulary,
    web_source,
    youtube_address,
)
from foley.errors import FoleyError
from foley.media.ffmpeg import shown
from foley.media.reasons import Reason
from foley.store.files import atomic_path
from foley.store.manifests import Event, Medium, Source

logger = logging.getLogger(__name__)

_LOOKUP = "https://storage.googleapis.com/data.yt8m.org/2/j"
_MASKED_LENGTH = 4
_MOST_LOOKUP_BYTES = 10_000
_LICENCE = "the uploader's (YouTube-8M's lists: CC BY 4.0)"
_VOCABULARY = NeededFile(
    ("vocabulary.csv",), "class names", "https://research.google.com/youtube8m/csv/2/vocabulary.csv"
)
_LISTS = NeededFile(
    ("v/*.js",), "films of a class, one file a class: v/<id without /m/>.js", f"{_LOOKUP}/v/<id>.js"
)
_SEGMENTS = NeededFile(
    ("*segments*.csv",),
    "in their place, a segment CSV of your own (settings.segments)",
    "make it: video id, start, end, labels",
    optional=True,
)

INFO = DatasetInfo(
    title="YouTube-8M, a subset by class",
    summary="YouTube films labelled by topic; a section of each is fetched with yt-dlp.",
    citation="Abu-El-Haija et al., YouTube-8M: A large-scale video classification benchmark, 2016",
    licence="lists CC BY 4.0 (download page); the films belong to those who uploaded them",
    home_page="https://research.google.com/youtube8m/",
    counts="May 2018 version: 6.1 million films, 3862 classes, 3.0 labels a film (download page)",
    split="none is published for lists by class: by seed, films whole",
    files=(_VOCABULARY, _LISTS, _SEGMENTS),
    notes=(
        "Film ids are masked (4 characters). They are looked up, one small file each, at fetch time and kept "
        "under i/ in the data set's folder; a film that was removed has no such file (reason: removed).",
        "Labels name what a film is about, not what is heard at a time, so a fixed section is taken "
        "(settings.section_s); FoleyGAN (V-A) does not say which part it took.",
        "Some names stand for several ids of the vocabulary; a name takes all of them, an id one.",
    ),
)


class Settings(BaseModel):
    """Which classes, and how to fetch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field("", description="folder of the lists; empty takes <data_dir>/youtube8m")
    classes: dict[str, tuple[str, ...]] = Field(
        {"car": ("Car",), "fire": ("Fire",), "horse": ("Horse",), "rain": ("Rain",)},
        min_length=1,
        description="label to names, numbers or ids of the vocabulary",
    )
    exclude: tuple[str, ...] = Field((), description="classes that rule a film out")
    segments: str = Field(
        "", description="segment CSV of AudioSet's form in the folder, used in place of the lists by class"
    )
    section_s: tuple[float, float] | None = Field(
        (30.0, 40.0), description="which part of a film, where the list gives none; null takes it whole"
    )
    multi_label: Literal["skip", "first"] = Field(
        "skip", description="a film of two wanted labels: left out, or the first in the order of classes"
    )
    most_per_class: int | None = Field(None, ge=1, description="at most this many films of a class")
    lookup_address: str = Field(f"{_LOOKUP}/i", pattern=r"^https?://", description="where ids are unmasked")
    download: DownloadConfig = Field(DownloadConfig(), description="how to fetch")

    @field_validator("section_s")
    @classmethod
    def _is_section(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not 0 <= value[0] < value[1]:
            raise ValueError(f"from {value[0]} s to {value[1]} s is no section")
        return value


def read_class_list(path: Path) -> tuple[str, list[str]]:
    """Read the films of a class: ``p("<class id without /m/>",["<film id>",...]);``.

    Parameters
    ----------
    path : Path

    Returns
    -------
    key : str
        The class id, without ``/m/``.
    video_ids : list of str
        Masked (4 characters) or YouTube's own (11).

    Raises
    ------
    FoleyError
        If the file is not of that form.
    """
    key, values = _call(path, "p")
    if not isinstance(values, list) or not all(isinstance(v, str) and is_video_id(v) for v in values):
        raise FoleyError(f"{shown(path)}: is no list of film ids; fetch it again")
    return key, values


def read_lookup(text: str, masked: str) -> str | None:
    """Read the film id that a masked one stands for: ``i("<masked>","<YouTube id>");``.

    Returns
    -------
    str or None
        None when the text is not of that form, or about another film.
    """
    found = re.fullmatch(r'\s*i\("([^"\\]*)","([^"\\]*)"\);?\s*', text)
    if found is None or found[1] != masked or not is_video_id(found[2]):
        return None
    return found[2]


def _call(path: Path, function: str) -> tuple[str, object]:
    """Arguments of the one function call that a JSONP file is."""
    try:
        text = path.read_text(encoding="utf-8").strip().removesuffix(";")
        if not (text.startswith(f"{function}(") and text.endswith(")")):
            raise ValueError(f"is no call of {function}()")
        key, values = json.loads(f"[{text[len(function) + 1 : -1]}]")
        return str(key), values
    except (ValueError, RecursionError) as error:
        raise FoleyError(f"{shown(path)}: is not of the published form ({error}); fetch it again") from error


def list_sources(settings: Settings, *, n_shards: int, data_dir: Path, seed: int) -> Iterator[Source]:
    """List the films of the wanted classes; a masked one has the address of its lookup.

    Raises
    ------
    FoleyError
        If the vocabulary or a list is missing or damaged, or a class is unknown.
    """
    root = data_root(settings.path, data_dir, "youtube8m")
    if not (root / "vocabulary.csv").is_file():
        raise missing(root, _VOCABULARY)
    names = read_vocabulary(root / "vocabulary.csv")
    classes = {slug(label): of for label, of in settings.classes.items()}
    subset = Subset(
        wanted=names.wanted(classes, with_children=False),
        unwanted=names.unwanted(settings.exclude, with_children=False),
        multi_label=settings.multi_label,
        order=list(classes),
        most_per_class=settings.most_per_class,
    )
    if settings.segments:
        path = root / settings.segments
        if not path.is_file():
            raise missing(root, NeededFile((settings.segments,), _SEGMENTS.what, _SEGMENTS.where))
        labelled = ((s.video_id, s.labels, (s.start_s, s.end_s)) for s in iterate_segments(path))
        return _sources(settings, labelled, subset, n_shards)
    films = _films_of(root, names, [*subset.wanted, *sorted(subset.unwanted)])
    whole = ((video_id, tuple(keys), settings.section_s) for video_id, keys in films.items())
    return _sources(settings, whole, subset, n_shards)


def _films_of(root: Path, names: ClassNames, keys: list[str]) -> dict[str, list[str]]:
    """Every film of the lists, with the classes it is in."""
    films: dict[str, list[str]] = {}
    for key in keys:
        if key in names.also:
            continue
        short = key.removeprefix("/m/")
        path = root / "v" / f"{short}.js"
        if not is_video_id(short):  # the alphabet is the same
            raise FoleyError(
                f"{shown(names.path)}: {key!r} is no class id that has a list; choose another class"
            )
        if not path.is_file():
            what = f"films of the class {names.names[key]!r}"
            raise missing(root, NeededFile((f"v/{short}.js",), what, f"{_LOOKUP}/v/{short}.js"))
        found, video_ids = read_class_list(path)
        if found != short:
            raise FoleyError(f"{shown(path)}: lists the class {found!r}; fetch the list of {short!r} there")
        for video_id in video_ids:
            films.setdefault(video_id, []).append(key)
    return dict(sorted(films.items()))


def _sources(
    settings: Settings,
    labelled: Iterator[tuple[str, tuple[str, ...], tuple[float, float] | None]],
    subset: Subset,
    n_shards: int,
) -> Iterator[Source]:
    for video_id, keys, section_s in labelled:
        label = subset.label(keys, "")
        if label is not None:
            masked = len(video_id) == _MASKED_LENGTH
            start_s, end_s = section_s or (None, None)
            yield web_source(
                label,
                video_id,
                start_s,
                end_s,
                address=_lookup_address(settings, video_id) if masked else youtube_address(video_id),
                n_shards=n_shards,
                split="",
                licence=_LICENCE,
            )
    logger.info("YouTube-8M: %s", subset.summary())


def _lookup_address(settings: Settings, masked: str) -> str:
    return f"{settings.lookup_address}/{masked[:2]}/{masked}.js"


def fetch(
    settings: Settings, sources: list[Source], *, data_dir: Path, seed: int
) -> tuple[list[Medium], list[Event]]:
    """Unmask and download the films of one shard; no event is known.

    Files go to ``youtube8m/<label>`` in the folder of raw media. See :mod:`foley.datasets` for the
    contract.
    """
    root = data_root(settings.path, data_dir, "youtube8m")
    with ThreadPoolExecutor(settings.download.n_workers) as pool:
        found = list(pool.map(lambda source: _unmasked(source, settings, root), sources))
    ready = [item for item in found if isinstance(item, Source)]
    fetched = fetch_sources(ready, settings.download, data_dir=data_dir, folder="youtube8m", seed=seed)
    by_id = {row.recording_id: row for row in [*fetched, *(i for i in found if isinstance(i, Medium))]}
    return [by_id[source.recording_id] for source in sources], []


def _unmasked(source: Source, settings: Settings, root: Path) -> Source | Medium:
    """Give a source the address of its film, or say why that is not known."""
    masked = source.group
    if source.location != _lookup_address(settings, masked):
        return source
    kept = root / "i" / masked[:2] / f"{masked}.js"
    text, reason = "", Reason.NETWORK
    if kept.is_file():
        text = kept.read_text(encoding="utf-8", errors="replace")
    else:
        text, reason = _asked(source.location, settings.download)
    video_id = read_lookup(text, masked)
    if video_id is None:
        detail = f"the film's id is not to be had from {source.location}"
        return medium_of(source, source.location, reason, detail)
    if not kept.is_file():
        with atomic_path(kept) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return source.model_copy(update={"location": youtube_address(video_id)})


def _asked(address: str, config: DownloadConfig) -> tuple[str, Reason]:
    """Ask for a lookup file, several times where that may help; the reason is for when it is empty."""
    reason = Reason.NETWORK
    for attempt in range(config.n_retries + 1):
        if attempt:
            time.sleep(min(config.backoff_s * 2 ** (attempt - 1), config.max_backoff_s))
        try:
            with urlopen(Request(address), timeout=config.timeout_s) as answer:  # address: http(s) only
                return answer.read(_MOST_LOOKUP_BYTES).decode("utf-8", "replace"), Reason.UNAVAILABLE
        except HTTPError as error:
            if error.code in (403, 404, 410):  # the store answers 403 for a file that is not there
                return "", Reason.REMOVED
            reason = Reason.RATE_LIMIT if error.code == 429 else Reason.NETWORK
        except OSError:
            reason = Reason.NETWORK
    return "", reason

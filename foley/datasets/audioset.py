"""AudioSet subsets: segments of YouTube films, chosen by class from the published lists."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from foley.datasets.download import DownloadConfig, fetch_sources
from foley.datasets.films import data_root, slug
from foley.datasets.info import DatasetInfo, NeededFile, missing
from foley.datasets.segments import (
    ClassNames,
    Subset,
    iterate_segments,
    read_class_labels,
    read_ontology,
    web_source,
    youtube_address,
)
from foley.store.manifests import Event, Medium, Source

logger = logging.getLogger(__name__)

_PAGE = "https://research.google.com/audioset/download.html"
_SPLITS = {"balanced_train": "train", "unbalanced_train": "train", "eval": "test"}
_ONTOLOGY = NeededFile(
    ("ontology.json",),
    "class names and their hierarchy",
    "https://github.com/audioset/ontology",
)
_NAMES = NeededFile(
    ("class_labels_indices.csv",),
    "in its place, class names without hierarchy (with_children: false)",
    _PAGE,
    optional=True,
)
_LISTS = {
    name: NeededFile(
        (f"{name}_segments.csv",), f"the list {name}", _PAGE, optional=name == "unbalanced_train"
    )
    for name in _SPLITS
}
AFD_CLASSES: dict[str, tuple[str, ...]] = {
    "break": ("Breaking", "Shatter"),
    "car": ("Car",),
    "clock": ("Clock",),
    "cutting": ("Chopping (food)",),
    "fire": ("Fire",),
    "footstep": ("Walk, footsteps",),
    "gunshot": ("Gunshot, gunfire",),
    "horse": ("Horse",),
    "rain": ("Rain",),
    "thunder": ("Thunder",),
    "typing": ("Typing",),
    "waterfall": ("Waterfall",),
}
"""Nearest AudioSet classes to AFD's twelve; FoleyGAN says that it took such a subset, not which."""

INFO = DatasetInfo(
    title="AudioSet, a subset by class",
    summary="10 s segments of YouTube films with the sounds that people heard in them; fetched with yt-dlp.",
    citation=(
        "Gemmeke et al., Audio Set: An ontology and human-labeled dataset for audio events, ICASSP 2017"
    ),
    licence=(
        "lists CC BY 4.0, ontology CC BY-SA 4.0 (download page); the films belong to those who uploaded them"
    ),
    home_page=_PAGE,
    counts=(
        "segments by the download page: eval 20,383, balanced_train 22,176, unbalanced_train 2,042,985; "
        "headers of copies say 20,371 for eval; what can still be fetched is less every year"
    ),
    split="published: balanced_train and unbalanced_train train, eval tests",
    files=(*_LISTS.values(), _ONTOLOGY, _NAMES),
    notes=(
        "FoleyGAN (V-A) trained on a subset of AFD's 12 classes without saying which AudioSet classes; "
        "`classes` holds our choice.",
        "A segment of two wanted classes is left out unless multi_label is first; the log of build_sources "
        "counts what is left out.",
    ),
)


class Settings(BaseModel):
    """Which classes and lists, and how to fetch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field("", description="folder of the lists; empty takes <data_dir>/audioset")
    classes: dict[str, tuple[str, ...]] = Field(
        AFD_CLASSES, min_length=1, description="label to names or ids of AudioSet classes"
    )
    exclude: tuple[str, ...] = Field((), description="classes that rule a segment out, for example Music")
    with_children: bool = Field(True, description="take the classes below a class too; needs ontology.json")
    lists: tuple[Literal["balanced_train", "unbalanced_train", "eval"], ...] = Field(
        ("balanced_train", "eval"), min_length=1, description="which published lists"
    )
    multi_label: Literal["skip", "first"] = Field(
        "skip", description="a segment of two wanted labels: left out, or the first in the order of classes"
    )
    most_per_class: int | None = Field(
        None, ge=1, description="at most this many of a class and split; the lists are sorted by film id"
    )
    download: DownloadConfig = Field(DownloadConfig(), description="how to fetch")


def list_sources(settings: Settings, *, n_shards: int, data_dir: Path, seed: int) -> Iterator[Source]:
    """List the segments of the wanted classes row by row: memory does not depend on the lists' length.

    Raises
    ------
    FoleyError
        If a list or the class names are missing, a class is unknown, or a row is damaged.
    """
    root = data_root(settings.path, data_dir, "audioset")
    names = _class_names(root, settings.with_children)
    for name in settings.lists:
        if not (root / f"{name}_segments.csv").is_file():
            raise missing(root, _LISTS[name], f"leave {name} out of settings.lists")
    classes = {slug(label): of for label, of in settings.classes.items()}
    subset = Subset(
        wanted=names.wanted(classes, with_children=settings.with_children),
        unwanted=names.unwanted(settings.exclude, with_children=settings.with_children),
        multi_label=settings.multi_label,
        order=list(classes),
        most_per_class=settings.most_per_class,
    )
    return _sources(root, settings.lists, subset, n_shards)


def _class_names(root: Path, with_children: bool) -> ClassNames:
    if (root / "ontology.json").is_file():
        return read_ontology(root / "ontology.json")
    if with_children:
        raise missing(root, _ONTOLOGY, "set with_children: false and use class_labels_indices.csv")
    if (root / "class_labels_indices.csv").is_file():
        return read_class_labels(root / "class_labels_indices.csv")
    raise missing(root, _NAMES)


def _sources(root: Path, lists: tuple[str, ...], subset: Subset, n_shards: int) -> Iterator[Source]:
    for name in lists:
        for segment in iterate_segments(root / f"{name}_segments.csv"):
            label = subset.label(segment.labels, _SPLITS[name])
            if label is not None:
                yield web_source(
                    label,
                    segment.video_id,
                    segment.start_s,
                    segment.end_s,
                    address=youtube_address(segment.video_id),
                    n_shards=n_shards,
                    split=_SPLITS[name],
                    licence="the uploader's (AudioSet's lists: CC BY 4.0)",
                )
    logger.info("AudioSet: %s", subset.summary())


def fetch(
    settings: Settings, sources: list[Source], *, data_dir: Path, seed: int
) -> tuple[list[Medium], list[Event]]:
    """Download the segments of one shard; no event is known. See :mod:`foley.datasets` for the contract.

    Files go to ``audioset/<label>`` in the folder of raw media.
    """
    return fetch_sources(sources, settings.download, data_dir=data_dir, folder="audioset", seed=seed), []

"""VEGAS: ten classes of films with their sound, cleaned from AudioSet by the authors of Visual2Sound."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from foley.datasets.archives import unpack_all
from foley.datasets.films import data_root, list_films, local_medium, local_source, needed_class_folder
from foley.datasets.info import DatasetInfo, NeededFile
from foley.seeds import derive_seed
from foley.store.manifests import Event, Medium, Source, encode_path

CLASSES = (
    "baby_cry",
    "chainsaw",
    "dog",
    "drum",
    "fireworks",
    "helicopter",
    "printer",
    "rail_transport",
    "snoring",
    "water_flowing",
)
_PAGE = "http://bvision11.cs.unc.edu/bigpen/yipin/visual2sound_webpage/visual2sound.html"
_ASK = (
    f"{_PAGE}; users report that it cannot be had there any more (kaist-ami/Sound2Scene#3): ask the authors"
)
_ARCHIVES = ("VEGAS*", "vegas*")
_FILES = NeededFile(
    ("VEGAS*.zip", "VEGAS*.tar*", "vegas*.zip", "*/videos/*.mp4", "*/*/videos/*.mp4", "*/*/*/videos/*.mp4"),
    "the archive VEGAS.zip, or its folders <class>/videos/video_00000.mp4",
    _ASK,
)

INFO = DatasetInfo(
    title="VEGAS (Visually Engaged and Grounded AudioSet)",
    summary="Ten classes of short films from AudioSet in which people saw and heard the object.",
    citation="Zhou et al., Visual to Sound: Generating Natural Sound for Videos in the Wild, CVPR 2018",
    licence="none stated; the films belong to those who uploaded them to YouTube",
    home_page=_PAGE,
    counts="28,109 films, 7 s on average, 55 hours (Visual2Sound, section 2)",
    split="no list is published; Visual2Sound takes 128 films of each class at random: here by seed (n_test)",
    files=(_FILES,),
    notes=("Folder names are those of the loaders of others; the archive itself was not seen.",),
)


class Settings(BaseModel):
    """Which classes of VEGAS, and the size of the test split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field("", description="folder of the archive or its films; empty takes <data_dir>/vegas")
    classes: tuple[str, ...] = Field(CLASSES, min_length=1, description="class folders to take")
    n_test: int | None = Field(
        128,
        ge=1,
        description="films of a class that are tested on; null, or a class of no more films, leaves the "
        "split to split.*",
    )
    most_per_class: int | None = Field(None, ge=1, description="take at most this many films of a class")


def list_sources(settings: Settings, *, n_shards: int, data_dir: Path, seed: int) -> list[Source]:
    """List the films of every class, the test films drawn by `seed`; an archive is unpacked first.

    Raises
    ------
    FoleyError
        If the films of a class are missing, or an archive is refused.
    """
    root = data_root(settings.path, data_dir, "vegas")
    unpack_all(root, _ARCHIVES)
    sources = []
    for label in settings.classes:
        folder = needed_class_folder(root, label, (f"{label}/videos/*.mp4", "VEGAS.zip"), _ASK)
        films = list_films(folder)[: settings.most_per_class]
        drawn = sorted(films, key=lambda film: derive_seed(seed, "vegas", label, encode_path(film.name)))
        tests = set(drawn[: settings.n_test]) if settings.n_test and settings.n_test < len(films) else set()
        for film in films:
            split = ("test" if film in tests else "train") if tests else ""
            sources.append(local_source(film, label, n_shards=n_shards, split=split, licence=INFO.licence))
    return sources


def fetch(
    settings: Settings, sources: list[Source], *, data_dir: Path, seed: int
) -> tuple[list[Medium], list[Event]]:
    """Find the files of one shard; no event is known. See :mod:`foley.datasets` for the contract."""
    root = data_root(settings.path, data_dir, "vegas")
    return [local_medium(source, root) for source in sources], []

"""Greatest Hits: recordings of a drumstick that hits and scratches things, with the time of every hit."""

import logging
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from foley.datasets.archives import unpack_all
from foley.datasets.films import (
    by_lists,
    data_root,
    local_medium,
    local_source,
    medium_of,
    published_split,
    read_names,
)
from foley.datasets.info import DatasetInfo, NeededFile, missing
from foley.errors import FoleyError
from foley.media.ffmpeg import shown
from foley.media.reasons import OK, Reason
from foley.store.manifests import Event, Medium, Source, decode_path

logger = logging.getLogger(__name__)

UNLABELLED = "unlabelled"
"""Label of a recording in which no material is annotated."""
_NAME = re.compile(
    r"(?P<id>(?P<session>(?P<day>[0-9]{4}(?:-[0-9]{2}){2})(?:-[0-9]{2}){3})(?:-[0-9]+)?)"
    r"_(?P<sound>denoised|mic)\.mp4$"
)
_PAGE = "https://andrewowens.com/vis/"
_ARCHIVES = ("vis-data*",)
_FILMS = NeededFile(
    ("vis-data*.zip", "*_denoised.mp4", "*_mic.mp4", "*/*_denoised.mp4", "*/*/*_denoised.mp4", "*/*_mic.mp4"),
    "the archive vis-data.zip or vis-data-256.zip, or its films <recording>_denoised.mp4 and "
    "<recording>_mic.mp4",
    _PAGE,
)
_TIMES = NeededFile(
    ("*_times.txt", "*/*_times.txt", "*/*/*_times.txt"),
    "<recording>_times.txt: a line a hit, with time, material, action and reaction; without it the hits are "
    "detected",
    f"{_PAGE} (in the same archive)",
    optional=True,
)
_LISTS = NeededFile(
    ("train.txt", "*/train.txt", "*/*/train.txt"),
    "train.txt and test.txt beside the films: a recording a line (for split: published)",
    f"{_PAGE} (in the same archive)",
    optional=True,
)

INFO = DatasetInfo(
    title="Greatest Hits",
    summary="Films of a drumstick that hits and scratches things, every hit annotated.",
    citation="Owens et al., Visually Indicated Sounds, CVPR 2016",
    licence="CC BY 4.0 (as repeated by users of the set; see the home page)",
    home_page=_PAGE,
    counts=(
        "977 films (V2RA-GAN, 4.1); 46,577 annotated sounds, of them 19,619 hit and 9,016 scratch, in 17 "
        "materials (read from the annotations by the authors of video-physics-sound-diffusion)"
    ),
    split=(
        "train.txt and test.txt of the archive (split: published), or by seed in whole sessions (split: "
        "seeded)"
    ),
    files=(_FILMS, _TIMES, _LISTS),
    notes=(
        "Each recording is there with its sound as recorded (mic) and de-noised; `sound` chooses.",
        "The published lists put parts of one session into both splits (for example 2015-09-28-00-28-26); "
        "such sessions are not grouped, and the log of build_sources counts them.",
        "vis-data.zip has full pictures, vis-data-256.zip small ones (syncfusion's README): use one of them.",
    ),
)


class Settings(BaseModel):
    """Which sound, split and label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(
        "", description="folder of the archive or its films; empty takes <data_dir>/greatest_hits"
    )
    sound: Literal["denoised", "mic"] = Field(
        "denoised", description="which film of a pair; the other one where only that is there"
    )
    split: Literal["published", "seeded"] = Field(
        "published", description="train.txt and test.txt, or by seed"
    )
    group_by: Literal["session", "day"] = Field(
        "session", description="what never falls into two splits when the split is made by seed"
    )
    label_by: Literal["material", "none"] = Field(
        "material", description="label: the material that is hit most often, or greatest_hits for all"
    )
    most_recordings: int | None = Field(None, ge=1, description="take at most this many recordings")


def read_times(path: Path, recording_id: str) -> list[Event]:
    """Read the annotation of a recording.

    Parameters
    ----------
    path : Path
        A line a hit: time in seconds, material, action, reaction; ``None`` stands for not known. A
        line may also hold the time alone.
    recording_id : str
        Name of the recording in the events.

    Returns
    -------
    list of Event
        In the order of time, ``source="annotated"``; kind is the action, or ``unknown``.

    Raises
    ------
    FoleyError
        If a line is not of that form; names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise FoleyError(f"{shown(path)}: cannot be read ({error}); get it again") from error
    events = []
    for number, line in enumerate(lines, start=1):
        cells = line.split()
        if not cells:
            continue
        where = f"{shown(path)}: line {number}"
        if len(cells) not in (1, 4) or not all(cell.isprintable() for cell in cells):
            raise FoleyError(f"{where}: {line!r} is not time, material, action and reaction; correct it")
        try:
            time_s = float(cells[0])
        except ValueError:
            time_s = math.nan
        if not (math.isfinite(time_s) and time_s >= 0):
            raise FoleyError(f"{where}: {cells[0]!r} is no time in seconds; correct it")
        material, action, reaction = ("" if cell == "None" else cell for cell in [*cells[1:], "", "", ""][:3])
        events.append(
            Event(
                clip_id=recording_id,
                time_s=time_s,
                kind=action or "unknown",
                material=material,
                source="annotated",
                reaction=reaction,
            )
        )
    return sorted(events, key=lambda event: event.time_s)


def find_recordings(root: Path, sound: str) -> dict[str, Path]:
    """Find the films of a folder, one of each recording.

    Parameters
    ----------
    root : Path
        Films lie in it or up to two folders below.
    sound : str
        ``denoised`` or ``mic``: which one of a pair.

    Returns
    -------
    dict of str to Path
        Recording, for example ``2015-09-23-15-20-31-256``, to film; sorted. Anything may stand
        before the recording's name.

    Raises
    ------
    FoleyError
        If a film is there twice, as when both archives were unpacked: small or full pictures is for
        the user to say.
    """
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    n_other = 0
    for path in sorted({path for depth in ("", "*/", "*/*/") for path in root.glob(f"{depth}*.mp4")}):
        name = _NAME.search(path.name)
        if name is None:
            n_other += 1
        elif (first := found[name["id"]].setdefault(name["sound"], path)) != path:
            raise FoleyError(
                f"{shown(path)}: the same recording is {shown(first)}; set datasets.<name>.settings.path to "
                "the folder of one of them"
            )
    if n_other:
        logger.warning("%s: %d films are not named like recordings and are left out", shown(root), n_other)
    return {
        recording: films.get(sound) or next(iter(films.values()))
        for recording, films in sorted(found.items())
    }


def times_path(film: Path) -> Path:
    """Where the annotation of a film should be: the film's name with ``_times.txt`` at its end."""
    return film.with_name(_NAME.sub(r"\g<id>_times.txt", film.name))


def list_sources(settings: Settings, *, n_shards: int, data_dir: Path, seed: int) -> list[Source]:
    """List the recordings; an archive is unpacked first.

    With ``split: published``, what the lists name and the disk has not is listed too.

    Raises
    ------
    FoleyError
        If there is no film, a published list is missing, or an archive is refused.
    """
    root = data_root(settings.path, data_dir, "greatest_hits")
    unpack_all(root, _ARCHIVES)
    films = find_recordings(root, settings.sound) if root.is_dir() else {}
    if not films:
        raise missing(root, _FILMS)
    split_of = _published(root) if settings.split == "published" else dict.fromkeys(films, "")
    folder = next(iter(films.values())).parent
    chosen = by_lists(films, split_of, folder, f"_{settings.sound}.mp4")
    groups = _groups(split_of, settings.group_by)
    return [
        local_source(
            film,
            _label(film, settings),
            n_shards=n_shards,
            recording_id=f"greatest_hits_{recording}",
            group=groups[recording],
            split=split,
            licence=INFO.licence,
        )
        for recording, film, split in chosen[: settings.most_recordings]
    ]


def _published(root: Path) -> dict[str, str]:
    train = _LISTS.find(root)
    if train is None or not train.with_name("test.txt").is_file():
        raise missing(root, _LISTS, "set split: seeded")
    test = train.with_name("test.txt")
    return published_split(read_names(train), read_names(test), test)


def _groups(split_of: Mapping[str, str], group_by: str) -> dict[str, str]:
    """Group of every recording; none for a group that the published lists tear apart."""
    groups = {
        recording: found[group_by] if (found := _NAME.match(f"{recording}_mic.mp4")) else recording
        for recording in split_of
    }
    splits = defaultdict(set)
    for recording, group in groups.items():
        splits[group].add(split_of[recording])
    torn = {group for group, of in splits.items() if len(of) > 1}
    if torn:
        logger.warning(
            "the published lists put parts of %d of %d sessions into both splits", len(torn), len(splits)
        )
    return {recording: "" if group in torn else group for recording, group in groups.items()}


def _label(film: Path, settings: Settings) -> str:
    """Material that is hit most often; a damaged annotation is found out by :func:`fetch`."""
    if settings.label_by == "none":
        return "greatest_hits"
    try:
        events = read_times(times_path(film), "") if times_path(film).is_file() else []
    except FoleyError:
        events = []
    counts = Counter(sorted(event.material for event in events if event.material))
    return counts.most_common(1)[0][0] if counts else UNLABELLED


def fetch(
    settings: Settings, sources: list[Source], *, data_dir: Path, seed: int
) -> tuple[list[Medium], list[Event]]:
    """Find the films of one shard and read their annotations.

    A recording without an annotation has ``events_known`` false, so that its hits are detected; one
    with a damaged annotation has the reason ``bad_annotation``. See :mod:`foley.datasets` for the
    contract.
    """
    root = data_root(settings.path, data_dir, "greatest_hits")
    media, events = [], []
    for source in sources:
        times = times_path(decode_path(source.location))
        medium = local_medium(source, root, events_known=times.is_file())
        if medium.status == OK and medium.events_known:
            try:
                if not times.resolve().is_relative_to(root):
                    raise FoleyError(f"{shown(times)}: is a link that leads out of the data folder")
                events += read_times(times, source.recording_id)
            except FoleyError as error:
                medium = medium_of(source, source.location, Reason.BAD_ANNOTATION, str(error))
        media.append(medium)
    return media, events

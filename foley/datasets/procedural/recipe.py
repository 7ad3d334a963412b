"""The procedural data set as the workflow sees it: a list of recordings, and how to make them."""

import logging
from pathlib import Path

import foley
from foley.datasets.films import medium_of
from foley.datasets.info import DatasetInfo
from foley.datasets.procedural.config import ProceduralConfig
from foley.errors import DiskFullError, FoleyError, StoreError
from foley.media.reasons import OK, Reason
from foley.provenance import code_digest, config_digest, file_sha256
from foley.store.files import read_json, remove_leftovers
from foley.store.manifests import Event, Medium, Source, encode_path
from foley.store.shards import shard_of

logger = logging.getLogger(__name__)

INFO = DatasetInfo(
    title="Procedural Foley",
    summary="Rendered films of the 12 AFD classes with synchronous sound and exact event times (default).",
    citation="this software",
    licence="Apache-2.0, like the code that makes it",
    home_page="docs/procedural.md",
    counts="recordings_per_class for each class, as configured",
    split="recordings made from held-out parts are the test split",
    notes=("Made by code: nothing to download.",),
)
Settings = ProceduralConfig


def list_sources(settings: ProceduralConfig, *, n_shards: int, data_dir: Path, seed: int) -> list[Source]:
    """List the recordings that the configuration asks for.

    Parameters
    ----------
    settings : ProceduralConfig
        Its own seed freezes the data, whatever the run's seed is.
    n_shards : int
    data_dir, seed
        Not looked at.

    Returns
    -------
    list of Source
        Recordings made from held-out parts are the published test split.

    Raises
    ------
    ConfigError
        If a sound bank is configured and lacks a class.
    """
    from foley.datasets.procedural.make import list_recordings

    banks = {
        (label, held_out): _bank_option(settings, label, held_out)
        for _, label, _, held_out in list_recordings(settings)
    }
    return [
        Source(
            recording_id=recording_id,
            label=label,
            shard=shard_of(recording_id, n_shards),
            origin="procedural",
            location=f"seed={own_seed};held_out={held_out}{banks[label, held_out]}",
            split="test" if held_out else "train",
            licence="Apache-2.0 (made by code)",
        )
        for recording_id, label, own_seed, held_out in list_recordings(settings)
    ]


def _bank_option(settings: ProceduralConfig, label: str, held_out: bool) -> str:
    """Digest of the recordings of a sound bank that a class may use, as a generator argument."""
    from foley.datasets.procedural.bank import bank_digest

    if settings.sound_bank is None:
        return ""
    return f";bank={bank_digest(settings.sound_bank, label, held_out)}"


def fetch(
    settings: ProceduralConfig, sources: list[Source], *, data_dir: Path, seed: int
) -> tuple[list[Medium], list[Event]]:
    """Render the recordings of one shard; what an earlier run rendered whole is kept.

    Parameters
    ----------
    settings : ProceduralConfig
    sources : list of Source
    data_dir : Path
        Files go to a folder in it that is named after the settings and the code.
    seed : int
        Not looked at.

    Returns
    -------
    media : list of Medium
    events : list of Event
        When each event is heard, ``source="generated"``.
    """
    from foley.datasets.procedural.make import make_recording, read_truth

    # Named after settings and code, so that an edited class module renders anew.
    code = code_digest(["foley.datasets.procedural.make"], Path(foley.__file__).parents[1])
    folder = Path(f"procedural-{config_digest([settings.model_dump(mode='json'), code])}")
    remove_leftovers(data_dir / folder)
    media, events = [], []
    for source in sources:
        options = dict(part.split("=") for part in source.location.split(";"))
        place = folder / options.get("bank", "") / source.shard
        facts_path = data_dir / place / f"{source.recording_id}.json"
        try:
            if facts_path.is_file() and _is_whole(facts_path):
                facts = read_json(facts_path)
            else:
                facts = make_recording(
                    source.recording_id,
                    source.label,
                    int(options["seed"]),
                    options["held_out"] == "True",
                    settings,
                    data_dir / place,
                )
            truth = read_truth(data_dir / place, source.recording_id)
        except DiskFullError:
            raise
        except FoleyError as error:
            media.append(medium_of(source, "", Reason.RENDER_ERROR, str(error), events_known=True))
            continue
        path = encode_path(place / facts["path"])
        media.append(medium_of(source, path, OK, "", facts["sha256"], events_known=True))
        events += [
            Event(
                clip_id=source.recording_id,
                time_s=row.heard_s,
                kind=row.kind,
                material=row.material,
                source="generated",
                force=row.force,
            )
            for row in truth
        ]
    return media, events


def _is_whole(facts_path: Path) -> bool:
    """True when the film that the facts speak of is there, unchanged."""
    try:
        facts = read_json(facts_path)
        film = facts_path.parent / facts["path"]
        return film.is_file() and file_sha256(film) == str(facts["sha256"])
    except (StoreError, KeyError, TypeError):
        return False

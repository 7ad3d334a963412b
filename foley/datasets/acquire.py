"""Acquisition: ask a data set's module what there is, and fetch one shard of it."""

import itertools
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from foley import registry
from foley.errors import FoleyError
from foley.store.manifests import Event, Medium, Source, iterate_rows, write_rows
from foley.store.sorting import sorted_rows

logger = logging.getLogger(__name__)


def build_sources(
    *, kind: str, settings: dict[str, Any], n_shards: int, data_dir: str, seed: int, sources_path: str
) -> None:
    """Write ``sources.tsv``: every recording that a data set asks for, sorted by id.

    The module may give millions of rows one by one: only some tens of thousands are ever in memory.

    Parameters
    ----------
    kind : str
        Data set module, a name of the registry.
    settings : dict
        Its settings.
    n_shards : int
        Number of shards.
    data_dir : str
        Folder of raw media.
    seed : int
    sources_path : str
        Table to write.

    Raises
    ------
    FoleyError
        What the module raises, for example for a missing folder, or when it gives two recordings
        the same id.
    """
    module = registry.load("datasets", kind)
    sources = module.list_sources(
        module.Settings.model_validate(settings), n_shards=n_shards, data_dir=Path(data_dir), seed=seed
    )
    ordered = sorted_rows(sources, Source, _by_id, folder=Path(f"{sources_path}.sorting"))
    counter = itertools.count()
    write_rows(sources_path, Source, _distinct(ordered, kind, counter))
    logger.info("%d recordings asked for", next(counter))


def _by_id(row: Source) -> str:
    return row.recording_id


def _distinct(rows: Iterable[Source], kind: str, counter: Iterator[int]) -> Iterator[Source]:
    """Pass sorted rows on and count them; an id that comes again is an error."""
    for recording_id, same in itertools.groupby(rows, key=_by_id):
        row, *more = same
        if more:
            raise FoleyError(
                f"data set {kind}: {recording_id} is listed {1 + len(more)} times; give each its own id"
            )
        next(counter)
        yield row


def download_media(
    *,
    sources_path: str,
    shard: str,
    kind: str,
    settings: dict[str, Any],
    data_dir: str,
    seed: int,
    media_path: str,
    events_path: str,
) -> None:
    """Fetch or make the raw files of one shard; what fails is a row with a reason.

    Parameters
    ----------
    sources_path : str
        ``sources.tsv``.
    shard : str
        The shard's name.
    kind, settings, data_dir, seed
        As for :func:`build_sources`.
    media_path, events_path : str
        Tables to write: the ledger, and known events in the recording's own time.
    """
    module = registry.load("datasets", kind)
    sources = list(iterate_rows(sources_path, Source, where={"shard": shard}))
    media, events = module.fetch(
        module.Settings.model_validate(settings), sources, data_dir=Path(data_dir), seed=seed
    )
    write_rows(media_path, Medium, media)
    write_rows(events_path, Event, events)
    logger.info("shard %s: %d of %d fetched", shard, sum(row.status == "ok" for row in media), len(media))

"""Rule ``collect_clips``: one file for the clips of all shards."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.store.collect import join_shards, join_tables
from foley.store.manifests import Clip, Event

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    join_tables(list(snakemake.input.rows), Clip, snakemake.output.rows)
    join_tables(list(snakemake.input.events), Event, snakemake.output.events)
    join_shards(list(snakemake.input.clips), snakemake.output.clips, copies=snakemake.params.copies)

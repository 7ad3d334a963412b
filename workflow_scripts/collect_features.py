"""Rule ``collect_features``: one file for the features of all shards."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.store.collect import join_shards

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    join_shards(list(snakemake.input.shards), snakemake.output.index, copies=snakemake.params.copies)

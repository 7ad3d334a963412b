"""Rule ``collect_metrics``: every metric of every run in one table."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.metrics.evaluate import collect_metrics

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    collect_metrics(
        folders=list(snakemake.input.metrics),
        probe_paths=list(snakemake.input.probes),
        table_path=snakemake.output.table,
    )

"""Rule ``tabulate``: every table, ours beside the papers'."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.report.tables import tabulate

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    tabulate(
        metrics_path=snakemake.input.metrics,
        facts_paths=list(snakemake.input.facts),
        report=snakemake.params.report,
        scale_note=snakemake.params.scale_note,
        tables_dir=snakemake.output.tables,
    )

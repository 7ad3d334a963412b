"""Rule ``write_report``: tables, figures and provenance on one page."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.provenance import environment
from foley.report.page import write_report

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    write_report(
        tables_dir=snakemake.input.tables,
        figures=list(snakemake.input.figures),
        facts_paths=list(snakemake.input.facts),
        failures_path=snakemake.input.failures,
        config=snakemake.params.config,
        environment=environment(),
        report_path=snakemake.output.report,
    )

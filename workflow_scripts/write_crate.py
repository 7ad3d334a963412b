"""Rule ``write_crate``: where every table came from, as an RO-Crate."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.report.crate import write_crate

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    write_crate(
        tables_dir=snakemake.input.tables,
        figures=list(snakemake.input.figures),
        facts_paths=list(snakemake.input.facts),
        data_paths=list(snakemake.input.data),
        config=snakemake.params.config,
        crate_path=snakemake.output.crate,
    )

"""Rule ``write_check_page``: what checking found, on one page."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.report.check_page import write_check_page

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    write_check_page(
        details_paths=list(snakemake.input.details),
        evidence_paths=list(snakemake.input.evidence),
        duplicates_path=snakemake.input.duplicates,
        title=snakemake.wildcards.dataset,
        page_path=snakemake.output.page,
    )

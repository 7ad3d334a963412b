"""Rule ``find_duplicates``: recordings that are copies of others."""

from typing import TYPE_CHECKING

from foley.datasets.duplicates import DuplicateConfig, find_duplicates
from foley.logs import log_to_file

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    find_duplicates(
        recordings_paths=list(snakemake.input.recordings),
        evidence_paths=list(snakemake.input.evidence),
        config=DuplicateConfig(**snakemake.params.config),
        duplicates_path=snakemake.output.duplicates,
    )

"""Rule ``collect_recordings``: gather the shards' recordings and failures."""

from typing import TYPE_CHECKING

from foley.datasets.splits import collect_recordings
from foley.logs import log_to_file

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    collect_recordings(
        recordings_paths=list(snakemake.input.recordings),
        failures_paths=list(snakemake.input.failures),
        duplicates_path=snakemake.input.duplicates,
        max_missing_fraction=snakemake.params.dataset["max_missing_fraction"],
        recordings_path=snakemake.output.recordings,
        failures_path=snakemake.output.failures,
    )

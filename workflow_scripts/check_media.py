"""Rule ``check_media``: judge whether the raw files of one shard can be used."""

from typing import TYPE_CHECKING

from foley.datasets.check import CheckConfig, check_media
from foley.logs import log_to_file

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    check_media(
        media_path=snakemake.input.media,
        data_dir=snakemake.params.data_dir,
        config=CheckConfig(**snakemake.params.config),
        code=snakemake.params.code,
        recordings_path=snakemake.output.recordings,
        failures_path=snakemake.output.failures,
        details_path=snakemake.output.details,
        evidence_path=snakemake.output.evidence,
    )

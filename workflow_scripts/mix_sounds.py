"""Rule ``mix_sounds``: another sound laid over one shard's clips."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.preprocess.mixing import MixtureConfig, mix_shard

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    mix_shard(
        clips_path=snakemake.input.clips,
        all_clips_path=snakemake.input.all_clips,
        rows_path=snakemake.input.rows,
        mixture=snakemake.wildcards.mixture,
        config=MixtureConfig(**snakemake.params.config),
        seed=snakemake.params.seed,
        mixed_path=snakemake.output.mixed,
    )

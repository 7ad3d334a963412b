"""Rule ``denoise_audio``: the de-noised sound of one shard's recordings."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.preprocess.denoise import DenoiseConfig, denoise_shard

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    denoise_shard(
        recordings_path=snakemake.input.recordings,
        data_dir=snakemake.params.data_dir,
        sample_rate_hz=snakemake.params.sample_rate_hz,
        config=DenoiseConfig(**snakemake.params.config),
        denoised_path=snakemake.output.denoised,
    )

"""Rule ``interpolate_frames``: the frames of one shard's clips at the working rate."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.preprocess.interpolation import InterpolationConfig, interpolate_shard

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    interpolate_shard(
        clips_path=snakemake.input.clips,
        data_dir=snakemake.params.data_dir,
        config=InterpolationConfig(**snakemake.params.config),
        size_px=snakemake.params.size_px,
        frames_path=snakemake.output.frames,
    )

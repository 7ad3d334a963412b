"""Rule ``make_spacetime_images``: grey previous, current and next frame as one image."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.preprocess.spacetime import SpacetimeConfig, make_shard

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    make_shard(
        frames_path=snakemake.input.frames,
        config=SpacetimeConfig(**snakemake.params.config),
        images_path=snakemake.output.images,
    )

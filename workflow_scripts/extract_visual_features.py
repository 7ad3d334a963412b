"""Rule ``extract_visual_features``: one CNN over the pictures of one shard."""

from typing import TYPE_CHECKING

from foley.features.visual import BackboneConfig, extract_shard, extract_streamed
from foley.logs import log_to_file
from foley.preprocess.interpolation import InterpolationConfig
from foley.preprocess.spacetime import SpacetimeConfig

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

picture = snakemake.params.picture
common = {
    "kind": snakemake.wildcards.kind,
    "config": BackboneConfig(**snakemake.params.config),
    "features_path": snakemake.output.features,
    "n_threads": snakemake.params.n_threads,
    "device": snakemake.params.device,
}

with log_to_file(snakemake.log[0]):
    if picture:
        extract_streamed(
            clips_path=snakemake.input.images,
            data_dir=picture["data_dir"],
            interpolation=InterpolationConfig(**picture["interpolation"]),
            spacetime=SpacetimeConfig(**picture["spacetime"]),
            size_px=picture["size_px"],
            **common,
        )
    else:
        extract_shard(images_path=snakemake.input.images, **common)

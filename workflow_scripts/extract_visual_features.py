"""Rule ``extract_visual_features``: one CNN over the pictures of one shard."""

from typing import TYPE_CHECKING

from foley.features.visual import BackboneConfig, extract_shard
from foley.logs import log_to_file

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    extract_shard(
        images_path=snakemake.input.images,
        kind=snakemake.wildcards.kind,
        config=BackboneConfig(**snakemake.params.config),
        features_path=snakemake.output.features,
        n_threads=snakemake.params.n_threads,
        device=snakemake.params.device,
    )

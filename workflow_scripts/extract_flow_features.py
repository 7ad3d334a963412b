"""Rule ``extract_flow_features``: one network over the optical flow of one shard."""

from typing import TYPE_CHECKING

from foley.features.visual import BackboneConfig, extract_flow_shard
from foley.logs import log_to_file

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    extract_flow_shard(
        flow_path=snakemake.input.flow,
        config=BackboneConfig(**snakemake.params.config),
        features_path=snakemake.output.features,
        n_threads=snakemake.params.n_threads,
        device=snakemake.params.device,
    )

"""Rule ``compute_flow``: optical flow of one shard's clips."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.preprocess.flow_config import FlowConfig
from foley.preprocess.optical_flow import compute_shard

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    compute_shard(
        clips_path=snakemake.input.clips,
        data_dir=snakemake.params.data_dir,
        config=FlowConfig(**snakemake.params.config),
        flow_path=snakemake.output.flow,
        n_threads=snakemake.params.n_threads,
        device=snakemake.params.device,
    )

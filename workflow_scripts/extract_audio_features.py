"""Rule ``extract_audio_features``: one representation of one shard's clips."""

from typing import TYPE_CHECKING

from foley.features.audio import RepresentationConfig, extract_shard
from foley.logs import log_to_file

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    extract_shard(
        clips_path=snakemake.input.clips,
        config=RepresentationConfig(**snakemake.params.config),
        features_path=snakemake.output.features,
    )

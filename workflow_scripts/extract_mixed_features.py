"""Rule ``extract_mixed_features``: one representation of one shard's mixed sound and of what was added."""

from typing import TYPE_CHECKING

from foley.features.audio import MIXED, RepresentationConfig, extract_shard
from foley.logs import log_to_file

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    extract_shard(
        clips_path=snakemake.input.mixed,
        config=RepresentationConfig(**snakemake.params.config),
        features_path=snakemake.output.features,
        sounds=MIXED,
    )

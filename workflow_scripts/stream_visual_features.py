"""Rule ``stream_visual_features``: every CNN over the pictures of one shard, straight from the films."""

from typing import TYPE_CHECKING

from foley.features.streaming import FeatureJob, PictureSource, extract_streamed_together
from foley.features.visual import BackboneConfig
from foley.logs import log_to_file
from foley.preprocess.interpolation import InterpolationConfig
from foley.preprocess.spacetime import SpacetimeConfig

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

params = snakemake.params

with log_to_file(snakemake.log[0]):
    extract_streamed_together(
        PictureSource(
            clips_path=snakemake.input.clips,
            data_dir=params.data_dir,
            interpolation=InterpolationConfig(**params.interpolation),
            spacetime=SpacetimeConfig(**params.spacetime),
            size_px=params.size_px,
        ),
        [
            FeatureJob(BackboneConfig(**job["backbone"]), job["kind"], path)
            for job, path in zip(params.jobs, snakemake.output.features, strict=True)
        ],
        n_threads=params.n_threads,
        device=params.device,
    )

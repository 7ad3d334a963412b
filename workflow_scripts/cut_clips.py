"""Rule ``cut_clips``: clips of one length from one shard's recordings."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.preprocess.clipping import ClipConfig, cut_shard

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    cut_shard(
        recordings_path=snakemake.input.recordings,
        splits_path=snakemake.input.splits,
        denoised_path=snakemake.input.denoised,
        events_path=snakemake.input.events,
        data_dir=snakemake.params.data_dir,
        config=ClipConfig(**snakemake.params.config),
        clips_path=snakemake.output.clips,
        rows_path=snakemake.output.rows,
        clip_events_path=snakemake.output.events,
    )

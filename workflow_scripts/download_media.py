"""Rule ``download_media``: fetch or make the raw files of one shard."""

from typing import TYPE_CHECKING

from foley.datasets.acquire import download_media
from foley.logs import log_to_file

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    download_media(
        sources_path=snakemake.input.sources,
        shard=snakemake.wildcards.shard,
        kind=snakemake.params.dataset["kind"],
        settings=snakemake.params.dataset["settings"],
        data_dir=snakemake.params.data_dir,
        seed=snakemake.params.seed,
        media_path=snakemake.output.media,
        events_path=snakemake.output.events,
    )

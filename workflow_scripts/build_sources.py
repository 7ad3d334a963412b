"""Rule ``build_sources``: list what a data set asks for."""

from typing import TYPE_CHECKING

from foley.datasets.acquire import build_sources
from foley.logs import log_to_file

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    build_sources(
        kind=snakemake.params.dataset["kind"],
        settings=snakemake.params.dataset["settings"],
        n_shards=snakemake.params.shards,
        data_dir=snakemake.params.data_dir,
        seed=snakemake.params.seed,
        sources_path=snakemake.output.sources,
    )

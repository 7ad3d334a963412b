"""Rule ``split_dataset``: training or test, for every usable recording."""

from typing import TYPE_CHECKING

from foley.datasets.splits import SplitConfig, split_dataset
from foley.logs import log_to_file

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    split_dataset(
        recordings_path=snakemake.input.recordings,
        duplicates_path=snakemake.input.duplicates,
        config=SplitConfig(**snakemake.params.config),
        seed=snakemake.params.seed,
        splits_path=snakemake.output.splits,
        leakage_path=snakemake.output.leakage,
    )

"""Rule ``average_class_spectrograms``: the mean sound of each class."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.training.averages import average_class_spectrograms

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    average_class_spectrograms(
        audio_paths=[snakemake.input.audio],
        rows_paths=[snakemake.input.rows],
        averages_path=snakemake.output.averages,
    )

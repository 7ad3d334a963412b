"""Rule ``train_vocoder``: a network from spectrograms to sound."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.training.vocoder import train_vocoder

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    train_vocoder(
        vocoder=snakemake.wildcards.vocoder,
        config=snakemake.params.config,
        representation=snakemake.params.representation,
        base_seed=snakemake.params.base_seed,
        audio_paths=[snakemake.input.audio],
        clips_paths=[snakemake.input.clips],
        rows_paths=[snakemake.input.rows],
        model_path=snakemake.output.model,
        facts_path=snakemake.output.facts,
        curve_path=snakemake.output.curve,
        n_threads=snakemake.params.n_threads,
        device=snakemake.params.device,
    )

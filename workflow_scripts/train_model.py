"""Rule ``train_model``: train one experiment with one seed."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.training.experiment import train_experiment

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    train_experiment(
        experiment=snakemake.wildcards.experiment,
        config=snakemake.params.config,
        seed=int(snakemake.wildcards.seed),
        base_seed=snakemake.params.base_seed,
        visual_paths=list(snakemake.input.visual),
        audio_paths=[snakemake.input.audio],
        clips_paths=list(snakemake.input.clips),
        rows_paths=[snakemake.input.rows],
        averages_path=snakemake.input.averages,
        model_path=snakemake.output.model,
        facts_path=snakemake.output.facts,
        curve_path=snakemake.output.curve,
        n_threads=snakemake.params.n_threads,
        device=snakemake.params.device,
        pipeline=snakemake.params.pipeline,
    )

"""Rule ``compute_judgements``: what the sound classifier hears in the generated sound of one run."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.training.judging import judge_sounds

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    judge_sounds(
        sound_path=snakemake.input.sound,
        model_path=snakemake.input.model,
        facts_path=snakemake.input.facts,
        effects=snakemake.params.effects,
        n_threads=snakemake.params.n_threads,
        device=snakemake.params.device,
        judgements_path=snakemake.output.judgements,
    )

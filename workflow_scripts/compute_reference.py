"""Rule ``compute_reference``: what the sound classifier hears in the recorded sound of all clips."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.training.judging import judge_recordings

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    judge_recordings(
        clips_paths=[snakemake.input.clips],
        rows_paths=[snakemake.input.rows],
        model_path=snakemake.input.model,
        facts_path=snakemake.input.facts,
        effects=snakemake.params.effects,
        n_threads=snakemake.params.n_threads,
        device=snakemake.params.device,
        reference_path=snakemake.output.reference,
    )

"""Rule ``score_run``: every metric of one run."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.metrics.evaluate import score_run

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    score_run(
        settings=snakemake.params.settings,
        sound_path=snakemake.input.sound,
        judgements_path=next(iter(snakemake.input.judgements), None),
        clips_paths=[snakemake.input.clips],
        rows_paths=[snakemake.input.rows],
        events_paths=[snakemake.input.events],
        reference_path=next(iter(snakemake.input.reference), None),
        seed=snakemake.params.seed,
        metrics_folder=snakemake.output.metrics,
    )

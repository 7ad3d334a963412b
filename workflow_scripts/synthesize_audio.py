"""Rule ``synthesize_audio``: predictions for all clips, sound for the test clips."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.synthesis.generate import synthesize

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    synthesize(
        config=snakemake.params.config,
        representation=snakemake.params.representation,
        seed=int(snakemake.wildcards.seed),
        base_seed=snakemake.params.base_seed,
        model_path=snakemake.input.model,
        facts_path=snakemake.input.facts,
        visual_paths=list(snakemake.input.visual),
        rows_paths=[snakemake.input.rows],
        clips_paths=[snakemake.input.clips],
        audio_paths=list(snakemake.input.audio),
        vocoder_paths=list(snakemake.input.vocoder),
        n_threads=snakemake.params.n_threads,
        device=snakemake.params.device,
        sound_path=snakemake.output.sound,
    )

"""Rule ``train_sound_classifier``: the network that judges what a sound is of."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.training.sound_classifier import train_sound_classifier
from foley.training.sound_classifier_config import SoundClassifierConfig

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    train_sound_classifier(
        clips_paths=[snakemake.input.clips],
        rows_paths=[snakemake.input.rows],
        config=SoundClassifierConfig(**snakemake.params.config),
        seed=snakemake.params.seed,
        n_threads=snakemake.params.n_threads,
        device=snakemake.params.device,
        model_path=snakemake.output.model,
        facts_path=snakemake.output.facts,
        curve_path=snakemake.output.curve,
    )

"""Rule ``probe_model``: ask one run's audio forwarding regulariser what it has learned."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.synthesis.probes import probe_model

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    probe_model(
        config=snakemake.params.config,
        seed=int(snakemake.wildcards.seed),
        base_seed=snakemake.params.base_seed,
        model_path=snakemake.input.model,
        facts_path=snakemake.input.facts,
        others=list(zip(snakemake.input.other_models, snakemake.input.other_facts, strict=True)),
        rows_path=snakemake.input.rows,
        visual_paths=list(snakemake.input.visual),
        audio_path=snakemake.input.audio,
        mixed_paths=dict(zip(snakemake.params.mixtures, snakemake.input.mixed, strict=True)),
        n_threads=snakemake.params.n_threads,
        device=snakemake.params.device,
        metric_path=snakemake.output.metric,
    )

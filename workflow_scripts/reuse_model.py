"""Rule ``reuse_model``: the model of another experiment."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.training.reuse import reuse_model

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    reuse_model(
        model_path=snakemake.input.model,
        facts_path=snakemake.input.facts,
        curve_path=snakemake.input.curve,
        pipeline=snakemake.params.pipeline,
        out_model_path=snakemake.output.model,
        out_facts_path=snakemake.output.facts,
        out_curve_path=snakemake.output.curve,
    )

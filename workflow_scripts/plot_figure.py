"""Rule ``plot_figure``: one figure."""

from typing import TYPE_CHECKING

from foley.logs import log_to_file
from foley.report.figures import plot_figure

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to_file(snakemake.log[0]):
    plot_figure(
        figure=snakemake.wildcards.figure,
        results_dir=snakemake.output.figure.rsplit("/figures/", 1)[0],
        data_dir=snakemake.params.data_dir,
        dataset=snakemake.params.dataset,
        experiments=snakemake.params.experiments,
        report=snakemake.params.report,
        out_path=snakemake.output.figure,
    )

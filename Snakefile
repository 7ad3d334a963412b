"""Foley: raw clips in, the tables of the papers out."""

import logging

from snakemake.utils import min_version

min_version("9.12")
# What cannot be written to a log, on a full disk, must not bury under traces what is said about it.
logging.raiseExceptions = False


configfile: f"{workflow.basedir}/config.yaml"


report: "rules/report/workflow.rst"


include: "rules/common.smk"
include: "rules/starting.smk"
include: "rules/acquire.smk"
include: "rules/prepare.smk"
include: "rules/picture_streamed.smk" if CONFIG.picture.stream else "rules/picture.smk"
include: "rules/flow.smk"
include: "rules/features.smk"
include: "rules/train.smk"
include: "rules/make.smk"
include: "rules/probe.smk"
include: "rules/judge.smk"


# Seconds of work on small files: not worth a submission, so they run where Snakemake does.
localrules:
    all,
    build_sources,
    collect_recordings,
    split_dataset,
    collect_clips,
    collect_features,
    reuse_model,
    collect_metrics,
    tabulate,
    write_report,
    write_crate,


onstart:
    claim_folder()
    start_here()


onsuccess:
    print_costs()


rule all:
    """Every table, every figure and the report."""
    default_target: True
    input:
        tables="results/tables",
        figures=figure_files(),
        report="results/report.html",
        crate="results/ro-crate-metadata.json",
        check=f"results/{DATASET}/check.html",

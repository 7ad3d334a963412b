"""Judge: one number file a metric, one table of all of them, then tables, figures, report.

Reads   results/{dataset}/experiments/{experiment}/seed{seed}/{sound,judgements}.h5, clips
Writes  .../metrics/{metric}.json, results/{dataset}/metrics.tsv, results/{tables,figures}, report.html
"""


rule score_metric:
    """Score one run by one metric."""
    input:
        sound="results/{dataset}/experiments/{experiment}/seed{seed}/sound.h5",
        judgements="results/{dataset}/experiments/{experiment}/seed{seed}/judgements.h5",
        clips=per_shard("results/{dataset}/clips/{shard}.h5"),
        rows=per_shard("results/{dataset}/clips/{shard}.tsv"),
        events=per_shard("results/{dataset}/clips/{shard}.events.tsv"),
    output:
        metric="results/{dataset}/experiments/{experiment}/seed{seed}/metrics/{metric}.json",
    log:
        "results/logs/score_metric/{dataset}/{experiment}/{seed}/{metric}.log",
    conda:
        "../envs/foley.yaml"
    priority: 13
    params:
        settings=metric_settings,
        seed=CONFIG.seed,
        code=metric_code,
    script:
        "../workflow_scripts/score_metric.py"


rule collect_metrics:
    """Put every metric of every run into one table."""
    input:
        metrics=metric_files(),
    output:
        table=f"results/{DATASET}/metrics.tsv",
    log:
        "results/logs/collect_metrics.log",
    conda:
        "../envs/foley.yaml"
    params:
        code=stage_code("collect_metrics"),
    script:
        "../workflow_scripts/collect_metrics.py"


rule tabulate:
    """Write every table of every paper, ours beside theirs."""
    input:
        metrics=f"results/{DATASET}/metrics.tsv",
        facts=run_files("model.json"),
    output:
        tables=directory("results/tables"),
    log:
        "results/logs/tabulate.log",
    conda:
        "../envs/foley.yaml"
    params:
        report=CONFIG.report.model_dump(mode="json"),
        scale_note=CONFIG.scale_note,
        code=tables_code(),
    script:
        "../workflow_scripts/tabulate.py"

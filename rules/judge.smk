"""Judge: one folder of number files a run, one table of all of them, then tables, figures, report.

Reads   results/{dataset}/experiments/{experiment}/seed{seed}/{sound,judgements}.h5, clips
Writes  .../metrics/ (a number file a metric), results/{dataset}/metrics.tsv, results/{tables,figures}, report.html,
        ro-crate-metadata.json
"""


rule score_run:
    """Score one run by every metric that it can have."""
    input:
        sound="results/{dataset}/experiments/{experiment}/seed{seed}/sound.h5",
        judgements=judgements_file,
        clips="results/{dataset}/clips.h5",
        rows="results/{dataset}/clips.tsv",
        events="results/{dataset}/events.tsv",
        reference=reference_file,
    output:
        metrics=directory(
            "results/{dataset}/experiments/{experiment}/seed{seed}/metrics"
        ),
    log:
        "results/logs/score_run/{dataset}/{experiment}/{seed}.log",
    benchmark:
        "results/benchmarks/score_run/{dataset}/{experiment}/{seed}.tsv"
    priority: 13
    conda:
        "../envs/foley.yaml"
    params:
        settings=metric_settings,
        seed=CONFIG.seed,
        code=metric_code,
    script:
        "../workflow_scripts/score_run.py"


rule collect_metrics:
    """Put every metric of every run into one table."""
    input:
        metrics=run_files("metrics"),
        probes=probe_files(),
    output:
        table=f"results/{DATASET}/metrics.tsv",
    log:
        "results/logs/collect_metrics.log",
    benchmark:
        "results/benchmarks/collect_metrics/all.tsv"
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
        tables=report(
            directory("results/tables"),
            patterns=["{table}.html"],
            caption="report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        "results/logs/tabulate.log",
    benchmark:
        "results/benchmarks/tabulate/all.tsv"
    conda:
        "../envs/foley.yaml"
    params:
        report=CONFIG["report"],
        scale_note=CONFIG.scale_note,
        code=tables_code(),
    script:
        "../workflow_scripts/tabulate.py"


rule plot_figure:
    """Draw one figure."""
    input:
        metrics=f"results/{DATASET}/metrics.tsv",
        sounds=run_files("sound.h5"),
        facts=run_files("model.json"),
        curves=run_files("curve.jsonl"),
        clips=f"results/{DATASET}/clips.h5",
        rows=f"results/{DATASET}/clips.tsv",
        events=f"results/{DATASET}/events.tsv",
        features=figure_features,
    output:
        figure=report(
            "results/figures/{figure}.png",
            caption="report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        "results/logs/plot_figure/{figure}.log",
    benchmark:
        "results/benchmarks/plot_figure/{figure}.tsv"
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("plot_figure", "mem_mb"),
        runtime=need("plot_figure", "runtime"),
        disk_mb=need("plot_figure", "disk_mb"),
    params:
        data_dir=CONFIG.data_dir,
        dataset=DATASET,
        experiments={
            name: list(entry["seeds"]) for name, entry in CONFIG.experiments.items()
        },
        report=CONFIG["report"],
        code=stage_code("plot_figure"),
    script:
        "../workflow_scripts/plot_figure.py"


rule write_report:
    """Put tables, figures and provenance on one page."""
    input:
        tables="results/tables",
        figures=figure_files(),
        facts=run_files("model.json"),
        failures=f"results/{DATASET}/failures.tsv",
    output:
        report=report(
            "results/report.html", caption="report/page.rst", category="Whole page"
        ),
    log:
        "results/logs/write_report.log",
    benchmark:
        "results/benchmarks/write_report/all.tsv"
    conda:
        "../envs/foley.yaml"
    params:
        config={key: CONFIG[key] for key in CONFIG if key != "derived"},
        code=stage_code("write_report"),
    script:
        "../workflow_scripts/write_report.py"


rule write_crate:
    """Say where every table came from: commit, configuration, data, seeds, versions, machine."""
    input:
        tables="results/tables",
        figures=figure_files(),
        facts=run_files("model.json"),
        models=run_files("model.safetensors"),
        data=expand(
            f"results/{DATASET}/{{name}}.tsv",
            name=["sources", "recordings", "failures", "splits", "clips", "metrics"],
        ),
    output:
        crate=report(
            "results/ro-crate-metadata.json",
            caption="report/crate.rst",
            category="Provenance",
        ),
    log:
        "results/logs/write_crate.log",
    benchmark:
        "results/benchmarks/write_crate/all.tsv"
    conda:
        "../envs/foley.yaml"
    params:
        config={key: CONFIG[key] for key in CONFIG if key != "derived"},
        code=stage_code("write_crate"),
    script:
        "../workflow_scripts/write_crate.py"

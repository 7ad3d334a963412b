"""Acquire: what was asked for, what was got, what is usable, who is in which split.

Reads   config.yaml, data_dir
Writes  results/{dataset}/{sources,duplicates,recordings,failures,splits,leakage}.tsv, check.html and
        per-shard tables
"""


rule build_sources:
    """List every recording that the data set asks for."""
    output:
        sources="results/{dataset}/sources.tsv",
    log:
        "results/logs/build_sources/{dataset}.log",
    benchmark:
        "results/benchmarks/build_sources/{dataset}.tsv"
    conda:
        "../envs/foley.yaml"
    params:
        dataset=settings("datasets", "dataset"),
        shards=CONFIG.shards,
        data_dir=CONFIG.data_dir,
        seed=CONFIG.seed,
        code=dataset_code("build_sources"),
    script:
        "../workflow_scripts/build_sources.py"


rule download_media:
    """Fetch or make the raw files of one shard; keep a ledger of what failed."""
    input:
        sources="results/{dataset}/sources.tsv",
        again=asked_again,
    output:
        media="results/{dataset}/media/{shard}.tsv",
        events="results/{dataset}/media/{shard}.events.tsv",
    log:
        "results/logs/download_media/{dataset}/{shard}.log",
    benchmark:
        "results/benchmarks/download_media/{dataset}/{shard}.tsv"
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("download_media", "mem_mb"),
        runtime=need("download_media", "runtime"),
        disk_mb=need("download_media", "disk_mb"),
    params:
        dataset=settings("datasets", "dataset"),
        data_dir=CONFIG.data_dir,
        seed=CONFIG.seed,
        code=dataset_code("download_media"),
    script:
        "../workflow_scripts/download_media.py"


rule check_media:
    """Decode every raw file of one shard to its end and judge whether it can be used."""
    input:
        media="results/{dataset}/media/{shard}.tsv",
    output:
        recordings="results/{dataset}/recordings/{shard}.tsv",
        failures="results/{dataset}/failures/{shard}.tsv",
        details="results/{dataset}/checks/{shard}.jsonl",
        evidence="results/{dataset}/checks/{shard}.h5",
    log:
        "results/logs/check_media/{dataset}/{shard}.log",
    benchmark:
        "results/benchmarks/check_media/{dataset}/{shard}.tsv"
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("check_media", "mem_mb"),
        runtime=need("check_media", "runtime"),
        disk_mb=need("check_media", "disk_mb"),
    params:
        config=CONFIG["check"],
        data_dir=CONFIG.data_dir,
        code=stage_code("check_media"),
    script:
        "../workflow_scripts/check_media.py"


rule find_duplicates:
    """Find recordings that are copies of others, also when encoded anew, scaled or trimmed."""
    input:
        recordings=per_shard("results/{dataset}/recordings/{shard}.tsv"),
        evidence=per_shard("results/{dataset}/checks/{shard}.h5"),
    output:
        duplicates="results/{dataset}/duplicates.tsv",
    log:
        "results/logs/find_duplicates/{dataset}.log",
    benchmark:
        "results/benchmarks/find_duplicates/{dataset}.tsv"
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("find_duplicates", "mem_mb"),
        runtime=need("find_duplicates", "runtime"),
        disk_mb=need("find_duplicates", "disk_mb"),
    params:
        config=CONFIG["duplicates"],
        code=stage_code("find_duplicates"),
    script:
        "../workflow_scripts/find_duplicates.py"


rule write_check_page:
    """Show on one page what checking found: counts, cures, pictures of every odd file."""
    input:
        details=per_shard("results/{dataset}/checks/{shard}.jsonl"),
        evidence=per_shard("results/{dataset}/checks/{shard}.h5"),
        duplicates="results/{dataset}/duplicates.tsv",
    output:
        page="results/{dataset}/check.html",
    log:
        "results/logs/write_check_page/{dataset}.log",
    benchmark:
        "results/benchmarks/write_check_page/{dataset}.tsv"
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("write_check_page", "mem_mb"),
        runtime=need("write_check_page", "runtime"),
        disk_mb=need("write_check_page", "disk_mb"),
    params:
        code=stage_code("write_check_page"),
    script:
        "../workflow_scripts/write_check_page.py"


rule collect_recordings:
    """Gather the shards' tables; stop when too many recordings cannot be used."""
    input:
        recordings=per_shard("results/{dataset}/recordings/{shard}.tsv"),
        failures=per_shard("results/{dataset}/failures/{shard}.tsv"),
        duplicates="results/{dataset}/duplicates.tsv",
    output:
        recordings="results/{dataset}/recordings.tsv",
        failures="results/{dataset}/failures.tsv",
    log:
        "results/logs/collect_recordings/{dataset}.log",
    benchmark:
        "results/benchmarks/collect_recordings/{dataset}.tsv"
    conda:
        "../envs/foley.yaml"
    params:
        dataset=settings("datasets", "dataset"),
        code=stage_code("collect_recordings"),
    script:
        "../workflow_scripts/collect_recordings.py"


rule split_dataset:
    """Put every usable recording into the training or the test split."""
    input:
        recordings="results/{dataset}/recordings.tsv",
        duplicates="results/{dataset}/duplicates.tsv",
    output:
        splits="results/{dataset}/splits.tsv",
        leakage="results/{dataset}/leakage.tsv",
    log:
        "results/logs/split_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/split_dataset/{dataset}.tsv"
    conda:
        "../envs/foley.yaml"
    params:
        config=CONFIG["split"],
        seed=CONFIG.seed,
        code=stage_code("split_dataset"),
    script:
        "../workflow_scripts/split_dataset.py"

"""Sound features: what the networks learn to make, cached in one HDF5 file a shard.

Reads   results/{dataset}/clips/{shard}.h5, mixtures/{mixture}/{shard}.h5
Writes  results/{dataset}/features/audio/{representation}/{shard}.h5,
        features/mixed/{mixture}/{representation}/{shard}.h5
"""


rule extract_audio_features:
    """Compute one time-frequency representation of every clip of one shard."""
    input:
        clips="results/{dataset}/clips/{shard}.h5",
    output:
        features="results/{dataset}/features/audio/{representation}/{shard}.h5",
    log:
        "results/logs/extract_audio_features/{dataset}/{representation}/{shard}.log",
    benchmark:
        "results/benchmarks/extract_audio_features/{dataset}/{representation}/{shard}.tsv"
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("extract_audio_features", "mem_mb"),
        runtime=need("extract_audio_features", "runtime"),
        disk_mb=need("extract_audio_features", "disk_mb"),
    params:
        config=settings("representations", "representation"),
        code=representation_code("extract_audio_features"),
    script:
        "../workflow_scripts/extract_audio_features.py"


rule extract_mixed_features:
    """Compute one representation of the mixed sound of one shard, and of what was laid over it."""
    input:
        mixed="results/{dataset}/mixtures/{mixture}/{shard}.h5",
    output:
        features="results/{dataset}/features/mixed/{mixture}/{representation}/{shard}.h5",
    log:
        "results/logs/extract_mixed_features/{dataset}/{mixture}/{representation}/{shard}.log",
    benchmark:
        "results/benchmarks/extract_mixed_features/{dataset}/{mixture}/{representation}/{shard}.tsv"
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("extract_mixed_features", "mem_mb"),
        runtime=need("extract_mixed_features", "runtime"),
        disk_mb=need("extract_mixed_features", "disk_mb"),
    params:
        config=settings("representations", "representation"),
        code=representation_code("extract_mixed_features"),
    script:
        "../workflow_scripts/extract_mixed_features.py"


rule collect_features:
    """Let one file stand for the features of all shards."""
    input:
        shards=per_shard("results/{dataset}/features/{feature}/{shard}.h5"),
    output:
        index="results/{dataset}/features/{feature}.h5",
    log:
        "results/logs/collect_features/{dataset}/{feature}.log",
    benchmark:
        "results/benchmarks/collect_features/{dataset}/{feature}.tsv"
    priority: 4
    conda:
        "../envs/foley.yaml"
    params:
        copies=CONFIG.collected == "copies",
        code=stage_code("collect_features"),
    script:
        "../workflow_scripts/collect_features.py"

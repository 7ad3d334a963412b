"""Flow: optical flow of one shard, and what a network makes of it; made only where it is asked for.

Reads   results/{dataset}/clips/{shard}.h5, raw files
Writes  results/{dataset}/flow/{flow}/{shard}.h5 (temporary, unless it is itself the target),
        features/visual/{backbone}/{flow}/flow/{shard}.h5

With picture.stream, too, maps of flow are files: they cost much to make and little to keep for a while.
"""


rule compute_flow:
    """Estimate the optical flow between the pictures of one shard's clips."""
    input:
        clips="results/{dataset}/clips/{shard}.h5",
    output:
        flow=temp("results/{dataset}/flow/{flow}/{shard}.h5"),
    log:
        "results/logs/compute_flow/{dataset}/{flow}/{shard}.log",
    benchmark:
        "results/benchmarks/compute_flow/{dataset}/{flow}/{shard}.tsv"
    priority: 1
    conda:
        "../envs/foley.yaml"
    threads: CONFIG.threads_per_job
    resources:
        gpu=GPU,
        mem_mb=need("compute_flow", "mem_mb"),
        runtime=need("compute_flow", "runtime"),
        disk_mb=need("compute_flow", "disk_mb"),
    params:
        config=settings("flows", "flow"),
        data_dir=CONFIG.data_dir,
        n_threads=CONFIG.threads_per_job,
        device=CONFIG.device,
        code=stage_code("compute_flow"),
    script:
        "../workflow_scripts/compute_flow.py"


rule extract_flow_features:
    """Run one network over the optical flow of one shard."""
    input:
        flow="results/{dataset}/flow/{flow}/{shard}.h5",
    output:
        features="results/{dataset}/features/visual/{backbone}/{flow}/flow/{shard}.h5",
    log:
        "results/logs/extract_flow_features/{dataset}/{backbone}/{flow}/{shard}.log",
    benchmark:
        "results/benchmarks/extract_flow_features/{dataset}/{backbone}/{flow}/{shard}.tsv"
    priority: 3
    conda:
        "../envs/foley.yaml"
    threads: CONFIG.threads_per_job
    resources:
        gpu=GPU,
        mem_mb=need("extract_flow_features", "mem_mb"),
        runtime=need("extract_flow_features", "runtime"),
        disk_mb=need("extract_flow_features", "disk_mb"),
    params:
        config=settings("backbones", "backbone"),
        n_threads=CONFIG.threads_per_job,
        device=CONFIG.device,
        code=backbone_code("extract_flow_features"),
    script:
        "../workflow_scripts/extract_flow_features.py"

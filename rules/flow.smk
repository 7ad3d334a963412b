"""Flow: optical flow of one shard, for models that look at motion; made only where it is asked for.

Reads   results/{dataset}/clips/{shard}.h5, raw files
Writes  results/{dataset}/flow/{flow}/{shard}.h5 (temporary, unless it is itself the target)
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
    params:
        config=settings("flows", "flow"),
        data_dir=CONFIG.data_dir,
        n_threads=CONFIG.threads_per_job,
        device=CONFIG.device,
        code=stage_code("compute_flow"),
    script:
        "../workflow_scripts/compute_flow.py"

"""Probe: what REGNET's audio forwarding regulariser has learned, as one more metric of a run.

Reads   results/{dataset}/experiments/{experiment}/seed{seed}/model.*, features of clean and mixed sound
Writes  .../probes/regulariser.json
"""


rule probe_model:
    """Ask one run's regulariser what its experiment wants to know."""
    input:
        model="results/{dataset}/experiments/{experiment}/seed{seed}/model.safetensors",
        facts="results/{dataset}/experiments/{experiment}/seed{seed}/model.json",
        other_models=compared_files("model.safetensors"),
        other_facts=compared_files("model.json"),
        rows="results/{dataset}/clips.tsv",
        visual=visual_files,
        audio=clean_audio_file,
        mixed=probed_mixture_files,
    output:
        metric="results/{dataset}/experiments/{experiment}/seed{seed}/probes/regulariser.json",
    log:
        "results/logs/probe_model/{dataset}/{experiment}/{seed}.log",
    benchmark:
        "results/benchmarks/probe_model/{dataset}/{experiment}/{seed}.tsv"
    priority: 13
    conda:
        "../envs/foley.yaml"
    threads: CONFIG.threads_per_job
    resources:
        gpu=GPU,
        mem_mb=need("probe_model", "mem_mb"),
        runtime=need("probe_model", "runtime"),
        disk_mb=need("probe_model", "disk_mb"),
    params:
        config=probe_settings,
        mixtures=probed_mixtures,
        base_seed=CONFIG.seed,
        n_threads=CONFIG.threads_per_job,
        device=CONFIG.device,
        code=stage_code("probe_model"),
    script:
        "../workflow_scripts/probe_model.py"

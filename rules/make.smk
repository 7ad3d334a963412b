"""Make: the sound of every clip, and what the sound classifier hears in it.

Reads   results/{dataset}/experiments/{experiment}/seed{seed}/model.*, vocoders, features
Writes  results/{dataset}/experiments/{experiment}/seed{seed}/{sound,judgements}.h5,
        results/{dataset}/sound_classifier/reference.h5
"""


rule synthesize_audio:
    """Predict classes for all clips and make the sound of the test clips."""
    input:
        model="results/{dataset}/experiments/{experiment}/seed{seed}/model.safetensors",
        facts="results/{dataset}/experiments/{experiment}/seed{seed}/model.json",
        visual=visual_files,
        rows="results/{dataset}/clips.tsv",
        clips="results/{dataset}/clips.h5",
        audio=copied_audio,
        vocoder=vocoder_files,
        references=reference_files,
    output:
        sound="results/{dataset}/experiments/{experiment}/seed{seed}/sound.h5",
    log:
        "results/logs/synthesize_audio/{dataset}/{experiment}/{seed}.log",
    benchmark:
        "results/benchmarks/synthesize_audio/{dataset}/{experiment}/{seed}.tsv"
    priority: 11
    conda:
        "../envs/foley.yaml"
    threads: CONFIG.threads_per_job
    resources:
        gpu=GPU,
        mem_mb=need("synthesize_audio", "mem_mb"),
        runtime=need("synthesize_audio", "runtime"),
        disk_mb=need("synthesize_audio", "disk_mb"),
    params:
        config=synthesis_settings,
        representation=experiment_representation,
        base_seed=CONFIG.seed,
        n_threads=CONFIG.threads_per_job,
        device=CONFIG.device,
        code=synthesis_code,
    script:
        "../workflow_scripts/synthesize_audio.py"


rule compute_judgements:
    """Let the sound classifier judge the generated sound of one run."""
    input:
        sound="results/{dataset}/experiments/{experiment}/seed{seed}/sound.h5",
        model="results/{dataset}/sound_classifier/model.safetensors",
        facts="results/{dataset}/sound_classifier/model.json",
    output:
        judgements="results/{dataset}/experiments/{experiment}/seed{seed}/judgements.h5",
    log:
        "results/logs/compute_judgements/{dataset}/{experiment}/{seed}.log",
    benchmark:
        "results/benchmarks/compute_judgements/{dataset}/{experiment}/{seed}.tsv"
    priority: 12
    conda:
        "../envs/foley.yaml"
    threads: CONFIG.threads_per_job
    resources:
        gpu=GPU,
        mem_mb=need("compute_judgements", "mem_mb"),
        runtime=need("compute_judgements", "runtime"),
        disk_mb=need("compute_judgements", "disk_mb"),
    params:
        effects=hears_effects,
        n_threads=CONFIG.threads_per_job,
        device=CONFIG.device,
        code=stage_code("compute_judgements"),
    script:
        "../workflow_scripts/compute_judgements.py"


rule compute_reference:
    """Let the sound classifier judge the recorded sound of all clips, to compare with."""
    input:
        clips="results/{dataset}/clips.h5",
        rows="results/{dataset}/clips.tsv",
        model="results/{dataset}/sound_classifier/model.safetensors",
        facts="results/{dataset}/sound_classifier/model.json",
    output:
        reference="results/{dataset}/sound_classifier/reference.h5",
    log:
        "results/logs/compute_reference/{dataset}.log",
    benchmark:
        "results/benchmarks/compute_reference/{dataset}.tsv"
    priority: 12
    conda:
        "../envs/foley.yaml"
    threads: CONFIG.threads_per_job
    resources:
        gpu=GPU,
        mem_mb=need("compute_reference", "mem_mb"),
        runtime=need("compute_reference", "runtime"),
        disk_mb=need("compute_reference", "disk_mb"),
    params:
        effects=any("effects" in needs_of(name) for name in CONFIG.experiments),
        n_threads=CONFIG.threads_per_job,
        device=CONFIG.device,
        code=stage_code("compute_reference"),
    script:
        "../workflow_scripts/compute_reference.py"

"""Train: class averages, the sound classifier that judges, vocoders, and every experiment's model.

Reads   results/{dataset}/features/..., clips.{h5,tsv}
Writes  results/{dataset}/averages/, sound_classifier/, vocoders/{vocoder}/, experiments/{experiment}/seed{seed}/model.*
"""


rule average_class_spectrograms:
    """Average each class's representation over the training clips."""
    input:
        audio="results/{dataset}/features/audio/{representation}.h5",
        rows="results/{dataset}/clips.tsv",
    output:
        averages="results/{dataset}/averages/{representation}.h5",
    log:
        "results/logs/average_class_spectrograms/{dataset}/{representation}.log",
    benchmark:
        "results/benchmarks/average_class_spectrograms/{dataset}/{representation}.tsv"
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("average_class_spectrograms", "mem_mb"),
        runtime=need("average_class_spectrograms", "runtime"),
        disk_mb=need("average_class_spectrograms", "disk_mb"),
    params:
        code=stage_code("average_class_spectrograms"),
    script:
        "../workflow_scripts/average_class_spectrograms.py"


rule train_sound_classifier:
    """Train the classifier of recorded sounds that judges generated ones."""
    input:
        clips="results/{dataset}/clips.h5",
        rows="results/{dataset}/clips.tsv",
    output:
        model="results/{dataset}/sound_classifier/model.safetensors",
        facts="results/{dataset}/sound_classifier/model.json",
        curve="results/{dataset}/sound_classifier/curve.jsonl",
    log:
        "results/logs/train_sound_classifier/{dataset}.log",
    benchmark:
        "results/benchmarks/train_sound_classifier/{dataset}.tsv"
    priority: 10
    conda:
        "../envs/foley.yaml"
    threads: CONFIG.threads_per_job
    resources:
        gpu=GPU,
        mem_mb=need("train_sound_classifier", "mem_mb"),
        runtime=need("train_sound_classifier", "runtime"),
        disk_mb=need("train_sound_classifier", "disk_mb"),
    params:
        config=CONFIG["sound_classifier"],
        seed=CONFIG.seed,
        n_threads=CONFIG.threads_per_job,
        device=CONFIG.device,
        code=stage_code("train_sound_classifier"),
    script:
        "../workflow_scripts/train_sound_classifier.py"


rule train_vocoder:
    """Train one vocoder, from spectrograms to sound."""
    input:
        audio=vocoder_audio,
        clips="results/{dataset}/clips.h5",
        rows="results/{dataset}/clips.tsv",
    output:
        model="results/{dataset}/vocoders/{vocoder}/model.safetensors",
        facts="results/{dataset}/vocoders/{vocoder}/model.json",
        curve="results/{dataset}/vocoders/{vocoder}/curve.jsonl",
    log:
        "results/logs/train_vocoder/{dataset}/{vocoder}.log",
    benchmark:
        "results/benchmarks/train_vocoder/{dataset}/{vocoder}.tsv"
    priority: 10
    conda:
        "../envs/foley.yaml"
    threads: CONFIG.threads_per_job
    resources:
        gpu=GPU,
        mem_mb=need("train_vocoder", "mem_mb"),
        runtime=need("train_vocoder", "runtime"),
        disk_mb=need("train_vocoder", "disk_mb"),
    params:
        config=settings("vocoders", "vocoder"),
        representation=vocoder_representation,
        base_seed=CONFIG.seed,
        n_threads=CONFIG.threads_per_job,
        device=CONFIG.device,
        code=vocoder_code,
    script:
        "../workflow_scripts/train_vocoder.py"


rule reuse_model:
    """Take the model of another experiment, whose sound is only treated differently."""
    input:
        model=lent_file("model.safetensors"),
        facts=lent_file("model.json"),
        curve=lent_file("curve.jsonl"),
    output:
        model="results/{dataset}/experiments/{experiment}/seed{seed}/model.safetensors",
        facts="results/{dataset}/experiments/{experiment}/seed{seed}/model.json",
        curve="results/{dataset}/experiments/{experiment}/seed{seed}/curve.jsonl",
    log:
        "results/logs/reuse_model/{dataset}/{experiment}/{seed}.log",
    benchmark:
        "results/benchmarks/reuse_model/{dataset}/{experiment}/{seed}.tsv"
    wildcard_constraints:
        experiment=any_of(LENT),
    conda:
        "../envs/foley.yaml"
    params:
        pipeline=experiment_pipeline,
        code=stage_code("reuse_model"),
    script:
        "../workflow_scripts/reuse_model.py"


rule train_model:
    """Train one experiment with one seed."""
    input:
        visual=visual_files,
        audio=audio_file,
        clips=waveform_file,
        rows="results/{dataset}/clips.tsv",
        averages=average_file,
    output:
        model="results/{dataset}/experiments/{experiment}/seed{seed}/model.safetensors",
        facts="results/{dataset}/experiments/{experiment}/seed{seed}/model.json",
        curve="results/{dataset}/experiments/{experiment}/seed{seed}/curve.jsonl",
    log:
        "results/logs/train_model/{dataset}/{experiment}/{seed}.log",
    benchmark:
        "results/benchmarks/train_model/{dataset}/{experiment}/{seed}.tsv"
    wildcard_constraints:
        experiment=any_of(name for name in CONFIG.experiments if name not in LENT),
    priority: 10
    conda:
        "../envs/foley.yaml"
    threads: train_threads
    resources:
        gpu=train_gpus,
        mem_mb=need("train_model", "mem_mb"),
        runtime=need("train_model", "runtime"),
        disk_mb=need("train_model", "disk_mb"),
    params:
        config=training_settings,
        pipeline=experiment_pipeline,
        base_seed=CONFIG.seed,
        n_threads=CONFIG.threads_per_job,
        device=CONFIG.device,
        code=train_code,
    script:
        "../workflow_scripts/train_model.py"

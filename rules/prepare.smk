"""Prepare: de-noised sound, then clips of one length; where it is learned, other sound laid over them.

Reads   results/{dataset}/recordings/{shard}.tsv, splits.tsv, raw files
Writes  results/{dataset}/clips/{shard}.h5 with .tsv (clips) and .events.tsv (what happens in them), and
        clips.h5, clips.tsv, events.tsv of all shards; mixtures/{mixture}/{shard}.h5 (temporary, unless
        it is itself the target)
"""


rule denoise_audio:
    """Read the sound of every recording of one shard and remove its steady noise."""
    input:
        recordings="results/{dataset}/recordings/{shard}.tsv",
    output:
        denoised=temp("results/{dataset}/denoised/{shard}.h5"),
    log:
        "results/logs/denoise_audio/{dataset}/{shard}.log",
    benchmark:
        "results/benchmarks/denoise_audio/{dataset}/{shard}.tsv"
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("denoise_audio", "mem_mb"),
        runtime=need("denoise_audio", "runtime"),
        disk_mb=need("denoise_audio", "disk_mb"),
    params:
        config=CONFIG["denoise"],
        sample_rate_hz=CONFIG.clips.sample_rate_hz,
        data_dir=CONFIG.data_dir,
        code=stage_code("denoise_audio"),
    script:
        "../workflow_scripts/denoise_audio.py"


rule cut_clips:
    """Cut the recordings of one shard into clips; carry events over to clip time."""
    input:
        recordings="results/{dataset}/recordings/{shard}.tsv",
        splits="results/{dataset}/splits.tsv",
        denoised="results/{dataset}/denoised/{shard}.h5",
        events="results/{dataset}/media/{shard}.events.tsv",
    output:
        clips="results/{dataset}/clips/{shard}.h5",
        rows="results/{dataset}/clips/{shard}.tsv",
        events="results/{dataset}/clips/{shard}.events.tsv",
    log:
        "results/logs/cut_clips/{dataset}/{shard}.log",
    benchmark:
        "results/benchmarks/cut_clips/{dataset}/{shard}.tsv"
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("cut_clips", "mem_mb"),
        runtime=need("cut_clips", "runtime"),
        disk_mb=need("cut_clips", "disk_mb"),
    params:
        config=CONFIG["clips"],
        data_dir=CONFIG.data_dir,
        code=stage_code("cut_clips"),
    script:
        "../workflow_scripts/cut_clips.py"


rule collect_clips:
    """Let one file stand for the clips of all shards."""
    input:
        clips=per_shard("results/{dataset}/clips/{shard}.h5"),
        rows=per_shard("results/{dataset}/clips/{shard}.tsv"),
        events=per_shard("results/{dataset}/clips/{shard}.events.tsv"),
    output:
        clips="results/{dataset}/clips.h5",
        rows="results/{dataset}/clips.tsv",
        events="results/{dataset}/events.tsv",
    log:
        "results/logs/collect_clips/{dataset}.log",
    benchmark:
        "results/benchmarks/collect_clips/{dataset}.tsv"
    conda:
        "../envs/foley.yaml"
    params:
        copies=CONFIG.collected == "copies",
        code=stage_code("collect_clips"),
    script:
        "../workflow_scripts/collect_clips.py"


rule mix_sounds:
    """Lay sound that the picture does not show over the clips of one shard."""
    input:
        clips="results/{dataset}/clips/{shard}.h5",
        all_clips="results/{dataset}/clips.h5",
        rows="results/{dataset}/clips.tsv",
    output:
        mixed=temp("results/{dataset}/mixtures/{mixture}/{shard}.h5"),
    log:
        "results/logs/mix_sounds/{dataset}/{mixture}/{shard}.log",
    benchmark:
        "results/benchmarks/mix_sounds/{dataset}/{mixture}/{shard}.tsv"
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("mix_sounds", "mem_mb"),
        runtime=need("mix_sounds", "runtime"),
        disk_mb=need("mix_sounds", "disk_mb"),
    params:
        config=settings("mixtures", "mixture"),
        seed=CONFIG.seed,
        code=stage_code("mix_sounds"),
    script:
        "../workflow_scripts/mix_sounds.py"

"""Features: what the networks see and hear, cached in one HDF5 file a shard.

Reads   results/{dataset}/{frames,spacetime}/{interpolation}/{shard}.h5, clips/{shard}.h5
Writes  results/{dataset}/features/{visual,audio}/.../{shard}.h5
"""


rule extract_visual_features:
    """Run one CNN over the pictures of one shard."""
    input:
        images=images_of,
    output:
        features="results/{dataset}/features/visual/{backbone}/{interpolation}/{kind}/{shard}.h5",
    log:
        "results/logs/extract_visual_features/{dataset}/{backbone}/{interpolation}/{kind}/{shard}.log",
    benchmark:
        "results/benchmarks/extract_visual_features/{dataset}/{backbone}/{interpolation}/{kind}/{shard}.tsv"
    priority: 3
    conda:
        "../envs/foley.yaml"
    threads: CONFIG.threads_per_job
    resources:
        gpu=GPU,
    params:
        config=settings("backbones", "backbone"),
        picture=picture_settings,
        n_threads=CONFIG.threads_per_job,
        device=CONFIG.device,
        code=backbone_code,
    script:
        "../workflow_scripts/extract_visual_features.py"


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
    params:
        config=settings("representations", "representation"),
        code=representation_code("extract_audio_features"),
    script:
        "../workflow_scripts/extract_audio_features.py"

"""Picture, stage by stage: frames, space-time images, and the features of a CNN.

Reads   results/{dataset}/clips/{shard}.h5, raw files
Writes  results/{dataset}/{frames,spacetime}/{interpolation}/{shard}.h5 (temporary),
        features/visual/{backbone}/{interpolation}/{kind}/{shard}.h5

Later picture stages have the higher priority, so that a shard's pixels are used up before the
next shard's are made. With picture.stream, picture_streamed.smk takes this file's place.
"""


rule interpolate_frames:
    """Decode the clips of one shard and interpolate their frames to the working rate."""
    input:
        clips="results/{dataset}/clips/{shard}.h5",
    output:
        frames=temp("results/{dataset}/frames/{interpolation}/{shard}.h5"),
    log:
        "results/logs/interpolate_frames/{dataset}/{interpolation}/{shard}.log",
    benchmark:
        "results/benchmarks/interpolate_frames/{dataset}/{interpolation}/{shard}.tsv"
    priority: 1
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("interpolate_frames", "mem_mb"),
        runtime=need("interpolate_frames", "runtime"),
        disk_mb=need("interpolate_frames", "disk_mb"),
    params:
        config=settings("interpolations", "interpolation"),
        size_px=CONFIG.picture.size_px,
        data_dir=CONFIG.data_dir,
        code=stage_code("interpolate_frames"),
    script:
        "../workflow_scripts/interpolate_frames.py"


rule make_spacetime_images:
    """Stack the grey previous, current and next frame into one three-channel image."""
    input:
        frames="results/{dataset}/frames/{interpolation}/{shard}.h5",
    output:
        images=temp("results/{dataset}/spacetime/{interpolation}/{shard}.h5"),
    log:
        "results/logs/make_spacetime_images/{dataset}/{interpolation}/{shard}.log",
    benchmark:
        "results/benchmarks/make_spacetime_images/{dataset}/{interpolation}/{shard}.tsv"
    priority: 2
    conda:
        "../envs/foley.yaml"
    resources:
        mem_mb=need("make_spacetime_images", "mem_mb"),
        runtime=need("make_spacetime_images", "runtime"),
        disk_mb=need("make_spacetime_images", "disk_mb"),
    params:
        config=CONFIG["spacetime"],
        code=stage_code("make_spacetime_images"),
    script:
        "../workflow_scripts/make_spacetime_images.py"


rule extract_visual_features:
    """Run one CNN over the pictures of one shard."""
    input:
        images="results/{dataset}/{kind}/{interpolation}/{shard}.h5",
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
        mem_mb=need("extract_visual_features", "mem_mb"),
        runtime=need("extract_visual_features", "runtime"),
        disk_mb=need("extract_visual_features", "disk_mb"),
    params:
        config=settings("backbones", "backbone"),
        n_threads=CONFIG.threads_per_job,
        device=CONFIG.device,
        code=backbone_code("extract_visual_features"),
    script:
        "../workflow_scripts/extract_visual_features.py"

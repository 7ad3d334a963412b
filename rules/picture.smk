"""Picture: interpolated frames and space-time images of one shard, kept only while needed.

Reads   results/{dataset}/clips/{shard}.h5, raw files
Writes  results/{dataset}/{frames,spacetime}/{interpolation}/{shard}.h5 (temporary)

Later picture stages have the higher priority, so that a shard's pixels are used up before the
next shard's are made.
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
    params:
        config=CONFIG.spacetime.model_dump(mode="json"),
        code=stage_code("make_spacetime_images"),
    script:
        "../workflow_scripts/make_spacetime_images.py"

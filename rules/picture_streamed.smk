"""Picture, streamed: from raw films to features in one pass, without pixel files.

Reads   results/{dataset}/clips/{shard}.h5, raw files
Writes  results/{dataset}/features/visual/{backbone}/{interpolation}/{kind}/{shard}.h5

Included in place of picture.smk when picture.stream is true. A job decodes and interpolates a
shard once for every feature that an experiment wants of that interpolation; a new feature of an
interpolation therefore remakes the others, too.
"""

for _interpolation, _features in STREAMED.items():

    rule:
        name:
            f"stream_visual_features_{_interpolation}"
        input:
            clips="results/{dataset}/clips/{shard}.h5",
        output:
            features=[
                f"results/{{dataset}}/features/visual/{feature}/{{shard}}.h5"
                for feature in _features
            ],
        log:
            f"results/logs/stream_visual_features/{{dataset}}/{_interpolation}/{{shard}}.log",
        benchmark:
            f"results/benchmarks/stream_visual_features/{{dataset}}/{_interpolation}/{{shard}}.tsv"
        conda:
            "../envs/foley.yaml"
        threads: CONFIG.threads_per_job
        resources:
            gpu=GPU,
            mem_mb=need("stream_visual_features", "mem_mb"),
            runtime=need("stream_visual_features", "runtime"),
            disk_mb=need("stream_visual_features", "disk_mb"),
        params:
            interpolation=CONFIG.interpolations[_interpolation],
            spacetime=CONFIG["spacetime"],
            size_px=CONFIG.picture.size_px,
            jobs=streamed_jobs(_features),
            data_dir=CONFIG.data_dir,
            n_threads=CONFIG.threads_per_job,
            device=CONFIG.device,
            code=streamed_code(_features),
        script:
            "../workflow_scripts/stream_visual_features.py"

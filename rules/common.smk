"""Shared names: checked configuration, code digests, shard lists. No rules here."""

import sys
from functools import cache

from snakemake.exceptions import WorkflowError

from foley import registry
from foley.errors import FoleyError
from foley.provenance import code_digest, recall_sources
from foley.settings import keep_sources, read_settings
from foley.store.runs import begin_run

try:
    CONFIG = read_settings(config, ".snakemake/foley-settings.json")
except FoleyError as error:
    raise WorkflowError(str(error)) from None

ROOT = Path(workflow.basedir)
SOURCES = recall_sources()
SHARDS = CONFIG.derived.shard_names
DATASET = CONFIG.dataset
RUNS = [
    (name, seed)
    for name, entry in CONFIG.experiments.items()
    for seed in entry["seeds"]
]
LENT = {
    name: entry["trained_as"]
    for name, entry in CONFIG.experiments.items()
    if entry["trained_as"]
}
"""Experiments that train no model, and whose model they take."""
ASKS_FOR_GPU = (
    CONFIG.device == "cuda" if CONFIG.ask_for_gpu is None else CONFIG.ask_for_gpu
)
GPU = 1 if ASKS_FOR_GPU else 0
WANTED = sorted(
    {name for entry in CONFIG.experiments.values() for name in entry["visual"]}
)
PICTURED = [name for name in WANTED if ["flow"] != name.split("/")[2:]]
STREAMED = {
    interpolation: [name for name in PICTURED if name.split("/")[1] == interpolation]
    for interpolation in sorted({name.split("/")[1] for name in PICTURED})
}
"""Visual features of pictures that experiments want, by the interpolation that they share."""


def claim_folder():
    """Stop when another run is at work in this folder, or its disk is full."""
    try:
        begin_run(".snakemake/foley.lock", ["results", CONFIG.data_dir])
    except FoleyError as error:
        raise WorkflowError(str(error)) from None


def print_costs():
    """Say what the jobs in this folder took, by rule."""
    from foley.report.costs import costs_text, read_job_times

    print(costs_text(read_job_times("results/benchmarks")), file=sys.stderr)


wildcard_constraints:
    dataset="|".join(CONFIG.datasets),
    shard=r"\d{3}",
    interpolation="|".join(CONFIG.interpolations),
    flow="|".join(CONFIG.flows),
    kind="frames|spacetime",
    backbone="|".join(CONFIG.backbones),
    representation="|".join(CONFIG.representations),
    mixture="|".join(CONFIG.mixtures),
    vocoder="|".join(CONFIG.vocoders),
    feature=r"visual/\w+/\w+/(frames|spacetime|flow)|audio/\w+|mixed/\w+/\w+",
    experiment="|".join(CONFIG.experiments),
    seed=r"\d+",
    figure="|".join(CONFIG.report.figures),


@cache
def _digest(*entries):
    n_read = SOURCES.n_read
    digest = code_digest(list(entries), ROOT, SOURCES)
    if SOURCES.n_read > n_read:
        keep_sources(SOURCES)
    return digest


def train_gpus(wildcards):
    """GPUs that an experiment's training asks for: one for each of its processes."""
    processes = CONFIG.experiments[wildcards.experiment]["training"]["processes"]
    return GPU * processes


def train_threads(wildcards):
    """Threads of an experiment's training, all its processes together."""
    processes = CONFIG.experiments[wildcards.experiment]["training"]["processes"]
    return CONFIG.threads_per_job * processes


def need(rule_name, what):
    """Function of the attempt: what a rule's jobs need of a machine; as much again at each retry."""

    def of(wildcards, attempt):
        return CONFIG.derived.needs[rule_name][what] * attempt

    return of


def stage_code(rule_name, *modules):
    """Digest of the code of a stage: its script, and the registered modules it will load."""
    return _digest(f"workflow_scripts/{rule_name}.py", *modules)


def settings(block, wildcard):
    """Function of the wildcards: the settings of one named entry of a configuration block."""

    def of(wildcards):
        return CONFIG[block][getattr(wildcards, wildcard)]

    return of


def dataset_code(rule_name):
    """Function of the wildcards: code digest of a stage that loads the data set's module."""

    def of(wildcards):
        kind = CONFIG.datasets[wildcards.dataset]["kind"]
        return stage_code(rule_name, registry.module_name("datasets", kind))

    return of


def asked_again(wildcards):
    """Note of ``foley retry`` that a shard's failures are to be asked for again, if there is one."""
    note = f"results/{wildcards.dataset}/media/{wildcards.shard}.again"
    return [note] if Path(note).exists() else []


def backbone_code(rule_name):
    """Function of the wildcards: code digest of a stage that loads an image network's module."""

    def of(wildcards):
        network = CONFIG.backbones[wildcards.backbone]["network"]
        return stage_code(rule_name, registry.module_name("backbones", network))

    return of


def representation_code(rule_name):
    """Function of the wildcards: code digest of a stage that loads a representation's module."""

    def of(wildcards):
        kind = CONFIG.representations[wildcards.representation]["kind"]
        return stage_code(rule_name, registry.module_name("representations", kind))

    return of


def train_code(wildcards):
    system = CONFIG.experiments[wildcards.experiment]["system"]
    return stage_code("train_model", registry.module_name("systems", system))


def synthesis_code(wildcards):
    experiment = CONFIG.experiments[wildcards.experiment]
    kind = CONFIG.representations[experiment["representation"]]["kind"]
    name = experiment["synthesis"]["vocoder"]
    network = CONFIG.vocoders.get(name)
    return stage_code(
        "synthesize_audio",
        registry.module_name("systems", experiment["system"]),
        registry.module_name("representations", kind),
        *([registry.module_name("vocoders", network["kind"])] if network else []),
    )


def vocoder_code(wildcards):
    vocoder = CONFIG.vocoders[wildcards.vocoder]
    kind = CONFIG.representations[vocoder["representation"]]["kind"]
    return stage_code(
        "train_vocoder",
        registry.module_name("vocoders", vocoder["kind"]),
        registry.module_name("representations", kind),
    )


def metric_code(wildcards):
    kind = experiment_representation(wildcards)["kind"]
    metrics = [
        registry.module_name("metrics", name)
        for name in metrics_of(wildcards.experiment)
    ]
    return stage_code(
        "score_run", *metrics, registry.module_name("representations", kind)
    )


def per_shard(pattern):
    """Function of the wildcards: one file a shard."""

    def of(wildcards):
        return expand(pattern, shard=SHARDS, allow_missing=True)

    return of


def visual_files(wildcards):
    """Features that an experiment looks at."""
    names = CONFIG.experiments[wildcards.experiment]["visual"]
    return [f"results/{wildcards.dataset}/features/visual/{name}.h5" for name in names]


def audio_file(wildcards):
    """Audio features that an experiment learns: of the clips' own sound, or of mixed sound."""
    experiment = CONFIG.experiments[wildcards.experiment]
    mixture = experiment["mixture"]
    folder = "audio" if mixture is None else f"mixed/{mixture}"
    return f"results/{wildcards.dataset}/features/{folder}/{experiment['representation']}.h5"


def waveform_file(wildcards):
    """The clips themselves, for an experiment that learns from waveforms."""
    if not CONFIG.derived.needs_waveform[wildcards.experiment]:
        return []
    return [f"results/{wildcards.dataset}/clips.h5"]


def average_file(wildcards):
    """Class averages of the representation that an experiment learns; those of clean sound."""
    name = CONFIG.experiments[wildcards.experiment]["representation"]
    return f"results/{wildcards.dataset}/averages/{name}.h5"


def metrics_of(experiment):
    """Metrics of an experiment."""
    return CONFIG.experiments[experiment]["metrics"] or list(CONFIG.metrics)


def needs_of(experiment):
    """What the metrics of an experiment want of the clips beside the sound."""
    needed = CONFIG.derived.metric_needs
    return {wanted for name in metrics_of(experiment) for wanted in needed[name]}


def judgements_file(wildcards):
    """What is heard in a run's sound, for experiments with metrics that ask for it."""
    if "judgements" not in needs_of(wildcards.experiment):
        return []
    run = f"results/{wildcards.dataset}/experiments/{wildcards.experiment}/seed{wildcards.seed}"
    return [f"{run}/judgements.h5"]


def reference_file(wildcards):
    """What is heard in recorded sound, for experiments with metrics that compare with it."""
    if "reference" not in needs_of(wildcards.experiment):
        return []
    return [f"results/{wildcards.dataset}/sound_classifier/reference.h5"]


def hears_effects(wildcards):
    """Whether an experiment's sound goes through the effects embedding, too."""
    return "effects" in needs_of(wildcards.experiment)


def probe_files():
    """What the probes of every run that has some found."""
    return [
        f"results/{DATASET}/experiments/{name}/seed{seed}/probes/regulariser.json"
        for name, seed in RUNS
        if any(CONFIG.experiments[name]["probes"].values())
    ]


def compared_files(name):
    """Function of the wildcards: one file of every run that a run is compared with.

    These are runs of the same seed; an experiment without that seed is left out.
    """

    def of(wildcards):
        others = CONFIG.experiments[wildcards.experiment]["probes"]["compare"]
        return [
            f"results/{wildcards.dataset}/experiments/{other}/seed{wildcards.seed}/{name}"
            for other in others
            if (other, int(wildcards.seed)) in RUNS
        ]

    return of


def clean_audio_file(wildcards):
    """Audio features of the clips' own sound, whatever an experiment learns."""
    name = CONFIG.experiments[wildcards.experiment]["representation"]
    return f"results/{wildcards.dataset}/features/audio/{name}.h5"


def probed_mixtures(wildcards):
    """Mixtures that an experiment's probes hear."""
    own = CONFIG.experiments[wildcards.experiment]
    others = (CONFIG.experiments[name] for name in own["probes"]["compare"])
    learned = {entry["mixture"] for entry in (own, *others)} - {None}
    return sorted(learned | set(own["probes"]["mix_in"]))


def probed_mixture_files(wildcards):
    """Features of the mixtures that an experiment's probes hear."""
    name = CONFIG.experiments[wildcards.experiment]["representation"]
    return [
        f"results/{wildcards.dataset}/features/mixed/{mixture}/{name}.h5"
        for mixture in probed_mixtures(wildcards)
    ]


def probe_settings(wildcards):
    """What an experiment's probes ask."""
    return CONFIG.experiments[wildcards.experiment]["probes"]


def run_files(name):
    """One file of every run."""
    return [
        f"results/{DATASET}/experiments/{run}/seed{seed}/{name}" for run, seed in RUNS
    ]


def figure_files():
    """Every configured figure."""
    return [f"results/figures/{name}.png" for name in CONFIG.report.figures]


def figure_features(wildcards):
    """Spectrograms that a figure shows beside those that were made."""
    experiment = CONFIG.report.rows.get("regnet_table8", {}).get("S860D32")
    if wildcards.figure != "regnet_fig5" or experiment is None:
        return []
    entry = CONFIG.experiments[experiment]
    folders = ["audio", *([f"mixed/{entry['mixture']}"] if entry["mixture"] else [])]
    return [
        f"results/{DATASET}/features/{folder}/{entry['representation']}.h5"
        for folder in folders
    ]


def metric_settings(wildcards):
    """Settings of every metric of an experiment."""
    return {name: CONFIG.metrics[name] for name in metrics_of(wildcards.experiment)}


def experiment_representation(wildcards):
    """Settings of the representation that an experiment learns."""
    name = CONFIG.experiments[wildcards.experiment]["representation"]
    return CONFIG.representations[name]


def tables_code():
    """Digest of every table module and of the tabulating code."""
    return stage_code("tabulate", *registry.REGISTRY["tables"].values())


def training_settings(wildcards):
    """What decides an experiment's trained model."""
    return CONFIG.derived.trained_by[wildcards.experiment]


def any_of(names):
    """Regular expression of the names; of none, one that nothing matches."""
    return "|".join(names) or "(?!)"


def lent_file(name):
    """Function of the wildcards: a file of the run whose model an experiment takes."""

    def of(wildcards):
        lender = LENT[wildcards.experiment]
        return f"results/{wildcards.dataset}/experiments/{lender}/seed{wildcards.seed}/{name}"

    return of


def vocoder_audio(wildcards):
    """Spectrograms that a vocoder learns from."""
    name = CONFIG.vocoders[wildcards.vocoder]["representation"]
    return f"results/{wildcards.dataset}/features/audio/{name}.h5"


def vocoder_representation(wildcards):
    """Settings of the spectrograms that a vocoder learns from."""
    return CONFIG.representations[CONFIG.vocoders[wildcards.vocoder]["representation"]]


def vocoder_files(wildcards):
    """The trained vocoder that an experiment's sound goes through; none for Griffin-Lim."""
    name = CONFIG.experiments[wildcards.experiment]["synthesis"]["vocoder"]
    if name not in CONFIG.vocoders:
        return []
    folder = f"results/{wildcards.dataset}/vocoders/{name}"
    return [f"{folder}/model.safetensors", f"{folder}/model.json"]


def reference_files(wildcards):
    """A person's own recordings that peak-match takes its stretches from, where a folder is configured."""
    peak_match = CONFIG.experiments[wildcards.experiment]["synthesis"]["peak_match"]
    folder = peak_match and peak_match["references"]
    return sorted(map(str, Path(folder).glob("*/*"))) if folder else []


def copied_audio(wildcards):
    """The recorded sound's representation, for copies, bounds and likelihoods: no maker of sound sees it."""
    derived, name = CONFIG.derived, wildcards.experiment
    asked = derived.shown_target[name] or derived.has_likelihood[name]
    return [audio_file(wildcards)] if asked else []


def synthesis_settings(wildcards):
    """What decides the sound that a trained model makes."""
    experiment = CONFIG.experiments[wildcards.experiment]
    return {key: experiment[key] for key in ("visual", "labels", "synthesis")}


def experiment_pipeline(wildcards):
    """Settings of the stages before an experiment; kept with its model."""
    return CONFIG.derived.pipeline[wildcards.experiment]


def streamed_jobs(features):
    """Network and kind of pictures of each feature that is made in one streamed job."""
    jobs = []
    for feature in features:
        backbone, _, kind = feature.split("/")
        jobs.append({"backbone": CONFIG.backbones[backbone], "kind": kind})
    return jobs


def streamed_code(features):
    """Digest of the streamed route and of the networks that its features take."""
    networks = {job["backbone"]["network"] for job in streamed_jobs(features)}
    modules = [registry.module_name("backbones", name) for name in sorted(networks)]
    return stage_code("stream_visual_features", *modules)

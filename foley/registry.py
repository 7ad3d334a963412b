"""What can be named in the configuration: one line each, imported only when it is used.

This module is left out of code digests: what a line names is digested for the stages that use it,
so that a new line reruns nothing else.
"""

import importlib
from types import ModuleType

from foley.errors import ConfigError

REGISTRY: dict[str, dict[str, str]] = {
    "datasets": {
        "procedural": "foley.datasets.procedural.recipe",
        "folder": "foley.datasets.folder",
        "afd": "foley.datasets.afd",
        "vegas": "foley.datasets.vegas",
        "vas": "foley.datasets.vas",
        "greatest_hits": "foley.datasets.greatest_hits",
        "audioset": "foley.datasets.audioset",
        "youtube8m": "foley.datasets.youtube8m",
    },
    "backbones": {
        "efficientnet_lite0": "foley.features.backbones.efficientnet_lite0",
        "vgg16": "foley.features.backbones.vgg16",
        "resnet50": "foley.features.backbones.resnet50",
        "vgg19": "foley.features.backbones.vgg19",
        "vgg19_fc6": "foley.features.backbones.vgg19_fc6",
        "vgg19_fc6_linear": "foley.features.backbones.vgg19_fc6",
        "bninception": "foley.features.backbones.bninception",
        "flow_grid": "foley.features.backbones.flow_grid",
    },
    "representations": {
        "stft": "foley.features.representations.stft",
        "mel": "foley.features.representations.mel",
        "gan_stft": "foley.features.representations.gan_stft",
        "gan_cqt": "foley.features.representations.gan_cqt",
        "gan_ms": "foley.features.representations.gan_ms",
        "gan_mfcc": "foley.features.representations.gan_mfcc",
        "gan_lms": "foley.features.representations.gan_lms",
        "if_mel": "foley.features.representations.if_mel",
        "cochleagram": "foley.features.representations.cochleagram",
        "waveform": "foley.features.representations.waveform",
        "specgan": "foley.features.representations.specgan",
    },
    "systems": {
        "frame_sequence": "foley.models.frame_sequence",
        "frame_relation": "foley.models.frame_relation",
        "recorded": "foley.models.recorded",
        "regnet": "foley.models.regnet",
        "detect_and_play": "foley.models.detect_and_play",
        "mean_sound": "foley.models.mean_sound",
        "owens": "foley.models.owens",
        "retrieval_bound": "foley.models.retrieval_bound",
        "pocan": "foley.models.pocan",
        "v2ra": "foley.models.v2ra",
        "visual2sound": "foley.models.visual2sound",
        "wavegan": "foley.models.wavegan",
        "specgan": "foley.models.specgan",
        "gansynth": "foley.models.gansynth",
        "foleygan": "foley.models.foleygan",
    },
    "vocoders": {
        "hifigan": "foley.models.vocoders.hifigan",
        "wavenet": "foley.models.vocoders.wavenet",
    },
    "metrics": {
        "accuracy": "foley.metrics.accuracy",
        "log_loss": "foley.metrics.log_loss",
        "confusion": "foley.metrics.confusion",
        "correlation": "foley.metrics.correlation",
        "retrieval": "foley.metrics.retrieval",
        "sync": "foley.metrics.sync",
        "envelope": "foley.metrics.envelope",
        "l2": "foley.metrics.l2",
        "alignment": "foley.metrics.alignment",
        "odg": "foley.metrics.odg",
        "osg": "foley.metrics.osg",
        "nearest": "foley.metrics.nearest",
        "cross_entropy": "foley.metrics.cross_entropy",
        "shift": "foley.metrics.shift",
        "inception_score": "foley.metrics.inception_score",
        "fid": "foley.metrics.fid",
        "ndb": "foley.metrics.ndb",
        "fad": "foley.metrics.fad",
        "kl": "foley.metrics.kl",
    },
    "tables": {
        "autofoley": "foley.report.autofoley",
        "regnet": "foley.report.regnet",
        "v2ra": "foley.report.v2ra",
        "visual2sound": "foley.report.visual2sound",
        "foleygan": "foley.report.foleygan",
    },
}


def module_name(kind: str, name: str) -> str:
    """Name of the module that a configuration entry stands for.

    Raises
    ------
    ConfigError
        If nothing of that kind has that name; lists what there is.
    """
    known = REGISTRY[kind]
    if name not in known:
        raise ConfigError(f"no {kind} entry is called {name!r}; there are {', '.join(sorted(known))}")
    return known[name]


def load(kind: str, name: str) -> ModuleType:
    """Import and return the module that a configuration entry stands for."""
    return importlib.import_module(module_name(kind, name))

"""A model folder as training leaves it, but untrained and small enough for a film a second."""

from pathlib import Path
from typing import Any

import torch

from foley.features.audio import RepresentationConfig
from foley.features.recipe import recipe
from foley.features.visual import BackboneConfig
from foley.models.base import DataSpec
from foley.models.vocoders.base import build_vocoder
from foley.models.vocoders.config import VocoderConfig
from foley.preprocess.flow_config import FlowConfig
from foley.preprocess.interpolation import InterpolationConfig
from foley.preprocess.spacetime import SpacetimeConfig
from foley.store.files import write_json
from foley.synthesis.config import SynthesisConfig
from foley.training.checkpoint import build_system, save_weights, spec_as_json

CLASSES = ("hit", "hum")
HIT_FRAME = 285
"""The sound of class ``hit`` begins 1.5 s into a window."""
N_STEPS = 10
EVERY = 57


def averages(level: float) -> torch.Tensor:
    """Class averages (2, 129, 570): a hit in the middle, and a steady noise."""
    made = torch.zeros(2, 129, 570)
    made[0, 5:100, HIT_FRAME : HIT_FRAME + 20] = level
    made[1, 5:100] = level / 4
    return made


def write_model(folder: Path, *, level: float = 0.5, favourite: str = "hum") -> Path:
    """Write a Frame-Sequence model whose residual is zero and that always sees `favourite`."""
    settings: dict[str, Any] = {"n_fast": 8, "n_slow": 8, "n_projected": 8, "n_cells": 2}
    spec = DataSpec(
        classes=CLASSES,
        visual_dims=(1280, 1280),
        n_visual_steps=(N_STEPS, N_STEPS),
        visual_hz=(190 / EVERY, 190 / EVERY),
        n_bins=129,
        n_audio_frames=570,
        sample_rate_hz=44_100,
        duration_s=3.0,
    )
    system: Any = build_system("frame_sequence", settings, spec, averages(level), seed=0)
    with torch.no_grad():
        system.classify.weight.zero_()
        system.classify.bias.zero_()
        system.classify.bias[CLASSES.index(favourite)] = 2.0
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(system, folder / "model.safetensors")
    backbone = BackboneConfig(
        network="efficientnet_lite0", weights="random", input_px=64, every=EVERY, engine="torch"
    )
    facts = {
        "experiment": "tiny",
        "config": {
            "system": "frame_sequence",
            "model": settings,
            "visual": ["lite0/fast/spacetime", "lite0/fast/frames"],
        },
        "spec": spec_as_json(spec),
        "pipeline": {
            "clip_duration_s": 3.0,
            "size_px": 64,
            "spacetime": SpacetimeConfig(step=EVERY, every=EVERY).model_dump(mode="json"),
            "backbones": {"lite0": backbone.model_dump(mode="json")},
            "interpolations": {"fast": InterpolationConfig(method="blend").model_dump(mode="json")},
            "representation": RepresentationConfig(
                kind="stft", sample_rate_hz=44_100, duration_s=3.0, n_frames=570
            ).model_dump(mode="json"),
            "synthesis": SynthesisConfig(n_iterations=4).model_dump(mode="json"),
        },
    }
    write_json(folder / "model.json", facts)
    return folder


REGNET_S = 2.0
REGNET_FPS = 21.5


def write_vocoder(folder: Path, representation: RepresentationConfig) -> None:
    """Write a HiFi-GAN that has learned nothing."""
    config = VocoderConfig(
        kind="hifigan",
        representation="mel",
        model={"n_channels": 8, "upsampling": (16, 16), "kernels": (3,), "dilations": ((1,),)},
    )
    network = build_vocoder(config, representation.settings, seed=0)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(network.generator, folder / "model.safetensors")
    facts = {
        "config": config.model_dump(mode="json"),
        "representation": representation.model_dump(mode="json"),
        "recipe": recipe(representation),
    }
    write_json(folder / "model.json", facts)


def write_regnet(folder: Path, vocoder: str = "griffin_lim") -> Path:
    """Write a REGNET of windows of 2 s at 22,050 Hz whose sound depends much on the noise that it draws."""
    settings: dict[str, Any] = {
        "n_noise": 8,
        "n_encoded": 16,
        "n_units": 8,
        "n_generated": 16,
        "bottleneck_dim": 4,
        "n_judged": (8, 8, 8),
    }
    n_steps = round(REGNET_S * REGNET_FPS)
    spec = DataSpec(
        classes=CLASSES,
        visual_dims=(1280, 48),
        n_visual_steps=(n_steps, n_steps),
        visual_hz=(REGNET_FPS, REGNET_FPS),
        n_bins=80,
        n_audio_frames=4 * n_steps,
        sample_rate_hz=22_050,
        duration_s=REGNET_S,
    )
    system: Any = build_system("regnet", settings, spec, torch.zeros(2, 80, 4 * n_steps), seed=0)
    with torch.no_grad():
        for part in (system.encoder, system.generator):
            for name, value in part.named_parameters():
                if name.endswith("weight") and value.dim() > 1:
                    value.mul_(8)
        system.generator.draft[-1].bias.fill_(0.5)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(system, folder / "model.safetensors")
    lite0 = BackboneConfig(
        network="efficientnet_lite0", weights="random", input_px=32, batch_size=16, engine="torch"
    )
    grid = BackboneConfig(network="flow_grid", input_px=48, batch_size=16, engine="torch")
    mel = {"kind": "mel", "duration_s": REGNET_S, "n_frames": 4 * n_steps}
    flow = FlowConfig(method="dis", fps=REGNET_FPS, width_px=64, height_px=48)
    facts = {
        "experiment": "tiny",
        "config": {
            "system": "regnet",
            "model": settings,
            "visual": ["lite0/native/frames", "grid/dis/flow"],
        },
        "spec": spec_as_json(spec),
        "pipeline": {
            "clip_duration_s": REGNET_S,
            "size_px": 48,
            "spacetime": SpacetimeConfig().model_dump(mode="json"),
            "backbones": {"lite0": lite0.model_dump(mode="json"), "grid": grid.model_dump(mode="json")},
            "interpolations": {
                "native": InterpolationConfig(method="repeat", fps=REGNET_FPS).model_dump(mode="json")
            },
            "flows": {"dis": flow.model_dump(mode="json")},
            "representation": RepresentationConfig(**mel).model_dump(mode="json"),
            "synthesis": SynthesisConfig(n_iterations=2, vocoder=vocoder).model_dump(mode="json"),
        },
    }
    write_json(folder / "model.json", facts)
    return folder

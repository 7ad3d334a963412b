"""The benchmark of raw-waveform systems: what it times is whole, and what makes no waveform is refused."""

import pytest
import torch

from benchmarks.generation import generation_seconds, spec_of
from foley.training.checkpoint import build_system


def test_a_prediction_of_the_whole_clip_is_timed():
    spec = spec_of(1.5, sample_rate_hz=44_100, visual_hz=30.0, dim=16)
    assert (spec.n_samples, spec.n_visual_steps) == (66_150, (45,))
    system = build_system("v2ra", {"width": 1}, spec, torch.zeros(1, 1, 1), 0).eval()
    calls = []
    predict = system.predict
    system.predict = lambda *arguments: calls.append(1) or predict(*arguments)
    assert 0 < generation_seconds(system, 2, "cpu") < 5
    assert len(calls) > 2, "one call warms up"


def test_a_system_of_spectrograms_is_refused():
    spec = spec_of(1.0, sample_rate_hz=44_100, visual_hz=30.0, dim=16)
    system = build_system("mean_sound", {}, spec, torch.zeros(1, 1, 1), 0).eval()
    with pytest.raises(SystemExit, match="no waveform"):
        generation_seconds(system, 1, "cpu")

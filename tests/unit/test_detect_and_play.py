"""Detect and play: occurrences, the sound that is kept, and when it is played."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from foley.errors import ConfigError
from foley.models import detect_and_play
from foley.models.base import Batch, DataSpec

N_STEPS, RATE_HZ = 20, 1000
PER_STEP = 50
SPEC = DataSpec(("step",), (4, 6), (N_STEPS, N_STEPS), (20.0, 20.0), 5, 10, RATE_HZ, 1.0)
SMALL = {
    "n_encoded": 8,
    "n_units": 6,
    "n_hidden": 8,
    "dropout": 0.0,
    "crop_s": (0.05, 0.2),
    "sound_quantile": 0.85,
}


def make(spec: DataSpec = SPEC, **settings: object) -> detect_and_play.System:
    torch.manual_seed(0)
    config = detect_and_play.Config.model_validate(SMALL | settings)
    averages = torch.zeros(len(spec.classes), spec.n_bins, spec.n_audio_frames)
    return detect_and_play.System(config, spec, averages, torch.Generator().manual_seed(0))


def clips(n: int = 6) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """Features, sound, and marks (n, N_STEPS): two loud steps where something moves, quiet elsewhere."""
    rng = np.random.default_rng(0)
    marks = np.zeros((n, N_STEPS), dtype=bool)
    for row in marks:
        start = rng.integers(2, N_STEPS - 6)
        row[start : start + 2] = True
    sound = 0.001 * rng.standard_normal((n, N_STEPS * PER_STEP))
    sound += 0.5 * np.repeat(marks, PER_STEP, axis=1) * np.sin(np.arange(N_STEPS * PER_STEP))
    seen = rng.normal(size=(n, N_STEPS, 4)) * 0.1
    seen[..., 0] += marks
    flow = np.zeros((n, N_STEPS, 6))
    flow[..., 4:] = 3.0 * marks[..., None]  # cells' speeds come last
    return (seen.astype(np.float16), flow.astype(np.float16)), sound.astype(np.float32), marks


def learned(n_steps: int = 120) -> tuple[detect_and_play.System, Batch, np.ndarray]:
    features, sound, marks = clips()
    system = make().train()
    system.prepare(features)
    system.listen(features, sound)
    visual = tuple(torch.from_numpy(values).float() for values in features)
    batch = Batch(visual, torch.zeros(len(sound), dtype=torch.long), waveform=torch.from_numpy(sound))
    optimisers = system.optimisers(0.01, 0.0)
    for _ in range(n_steps):
        system.step(batch, optimisers, torch.Generator(), None)
    return system.eval(), batch, marks


def test_runs_are_unbroken() -> None:
    assert detect_and_play.runs([True, False, False, True, True]) == [(0, 1), (3, 2)]
    assert detect_and_play.runs([]) == []


def test_levels_are_those_of_equal_stretches() -> None:
    sound = torch.tensor([[3.0, 3.0, 0.0, 0.0, 9.0]])
    assert detect_and_play.step_levels(sound, 2).tolist() == [[3.0, 0.0]]


def test_it_plays_what_it_heard_where_it_sees_something_happen() -> None:
    system, batch, marks = learned()
    with torch.no_grad():
        made = system.predict(Batch(batch.visual, batch.labels), torch.Generator()).waveform
    assert made is not None
    assert made.shape == (6, N_STEPS * PER_STEP)
    # A run of two steps takes the longer stretch, which begins where the run begins.
    for sound, row in zip(made.numpy(), marks, strict=True):
        start = int(np.argmax(row)) * PER_STEP
        assert np.abs(sound[start : start + 2 * PER_STEP]).max() > 0.3
        assert np.abs(sound[:start]).max() == 0
        assert np.abs(sound[start + 200 :]).max(initial=0) == 0


def test_it_draws_nothing_and_ignores_the_recorded_sound() -> None:
    system, batch, _ = learned(5)
    with torch.no_grad():
        first = system.predict(batch, torch.Generator().manual_seed(1)).waveform
        second = system.predict(Batch(batch.visual, batch.labels), torch.Generator().manual_seed(2)).waveform
    assert first is not None
    assert second is not None
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_what_is_stored_is_all_that_it_needs() -> None:
    system, batch, _ = learned(5)
    other = make()
    other.load_state_dict(system.state_dict())
    with torch.no_grad():
        made = [one.eval().predict(batch, torch.Generator()).waveform for one in (system, other)]
    assert made[0] is not None
    torch.testing.assert_close(made[0], made[1], rtol=0, atol=0)


def test_sound_and_motion_must_both_be_strong() -> None:
    features, sound, _ = clips()
    still = (features[0], np.zeros_like(features[1]))
    system = make()
    system.listen(still, sound)
    assert float(system.crops.abs().max()) == 0  # nothing moves: nothing occurs, nothing is kept
    system.listen(features, sound)
    assert float(system.crops.abs().max()) > 0.3


def test_silence_is_learned_without_fuss() -> None:
    features, sound, _ = clips()
    system = make()
    system.listen(features, np.zeros_like(sound))
    with torch.no_grad():
        visual = tuple(torch.from_numpy(values).float() for values in features)
        made = system.eval().predict(Batch(visual, torch.zeros(6, dtype=torch.long)), torch.Generator())
    assert made.waveform is not None
    assert float(made.waveform.abs().max()) == 0


@pytest.mark.parametrize("motion", [0, 2])
def test_motion_must_be_a_feature_of_the_grid(motion: int) -> None:
    with pytest.raises(ConfigError, match="flow_grid"):
        make(motion=motion)


def test_sound_of_another_rate_is_refused() -> None:
    features, sound, _ = clips()
    with pytest.raises(ConfigError, match="clips' sample rate"):
        make().listen(features, sound[:, ::2])


def test_lengths_must_rise() -> None:
    with pytest.raises(ValidationError, match="rising"):
        make(crop_s=(0.2, 0.1))

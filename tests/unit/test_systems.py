"""The systems: shapes, gradients, what they may and may not look at."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.decomposition import PCA

from foley import registry
from foley.errors import ConfigError
from foley.models import frame_relation, frame_sequence, recorded
from foley.models.base import Batch, DataSpec, Standardiser, System
from foley.models.layers.principal_components import PrincipalComponents
from foley.models.losses import robust_loss

SPEC = DataSpec(
    classes=("bang", "drip", "tick"),
    visual_dims=(6, 5),
    n_visual_steps=(16, 16),
    visual_hz=(25.0, 25.0),
    n_bins=9,
    n_audio_frames=32,
    sample_rate_hz=8000,
    duration_s=0.64,
)
SMALL = {"n_fast": 12, "n_slow": 10, "n_cells": 3}
WINDOWED = {"standardise": True, "n_components": 4, "context_steps": 2, "skip": True, "n_projected": 7}
EXTRAS = {
    "n_projected": 7,
    "standardise": True,
    "differences": True,
    "delay_steps": 2,
    "shift_steps": 3,
    "noise": 0.1,
}


def averages() -> torch.Tensor:
    return torch.rand(3, 9, 32, generator=torch.Generator().manual_seed(0))


def batch(n: int = 6, spec: DataSpec = SPEC) -> Batch:
    generator = torch.Generator().manual_seed(1)
    visual = tuple(
        torch.randn(n, steps, dim, generator=generator)
        for steps, dim in zip(spec.n_visual_steps, spec.visual_dims, strict=True)
    )
    labels = torch.arange(n) % 3
    for values in visual:
        values[:, :, :3] += 3 * torch.eye(3)[labels][:, None]  # so that there is something to learn
    target = torch.rand(n, spec.n_bins, spec.n_audio_frames, generator=generator)
    return Batch(visual, labels, target, torch.rand(n, spec.n_samples, generator=generator))


def make(name: str, spec: DataSpec = SPEC, **settings) -> System:
    torch.manual_seed(2)
    module = registry.load("systems", name)
    return module.System(module.Config(**settings), spec, averages(), torch.Generator().manual_seed(2))


SYSTEMS = [
    ("frame_sequence", SMALL),
    ("frame_sequence", {**SMALL, **EXTRAS}),
    ("frame_sequence", {**SMALL, **WINDOWED}),
    ("frame_sequence", {**SMALL, "recurrent": "lstm", "class_from": "last"}),
    ("frame_relation", {"n_relations": 4, "n_hidden": 8, "keep_features": 0.8, "keep_hidden": 0.8}),
    (
        "frame_relation",
        {"n_relations": 4, "n_hidden": 8, "n_tuples": 100, "keep_features": 0.9, "standardise": True},
    ),
]


@pytest.mark.parametrize(("name", "settings"), SYSTEMS)
def test_every_parameter_learns_and_the_loss_of_one_batch_falls(name, settings):
    system = make(name, **settings)
    one = batch()
    system.prepare(tuple(values.numpy().astype(np.float16) for values in one.visual))
    optimisers = system.optimisers(lr=0.01, weight_decay=0.0)
    generator = torch.Generator().manual_seed(3)
    before = {key: value.detach().clone() for key, value in system.named_parameters()}
    system.train()
    curve = [system.step(one, optimisers, generator, 1.0)["total"] for _ in range(60)]
    for key, value in system.named_parameters():
        assert not torch.equal(value, before[key]), f"{key} has not moved"
    assert np.mean(curve[-5:]) < np.mean(curve[:5]) - 0.2
    assert system.n_parameters() == sum(value.numel() for value in before.values())


@pytest.mark.parametrize(("name", "settings"), SYSTEMS)
def test_prediction_has_its_shapes_repeats_itself_and_ignores_the_truth(name, settings):
    system = make(name, **settings).eval()
    one = batch()
    with torch.no_grad():
        found = system.predict(one, torch.Generator().manual_seed(4))
        blind = system.predict(
            Batch(one.visual, torch.full_like(one.labels, -1)), torch.Generator().manual_seed(5)
        )
    assert found.probabilities.shape == (6, 3)
    torch.testing.assert_close(found.probabilities.sum(dim=1), torch.ones(6))
    assert found.spectrogram.shape == (6, 9, 32)
    assert found.spectrogram.min() >= 0
    assert torch.equal(found.probabilities, blind.probabilities)
    assert torch.equal(found.spectrogram, blind.spectrogram)


@pytest.mark.parametrize(("name", "settings"), SYSTEMS)
def test_training_draws_only_from_the_given_generator_and_the_global_one(name, settings):
    one = batch()

    def losses(seed: int) -> float:
        system = make(name, **settings).train()
        torch.manual_seed(seed)
        return float(system.losses(one, torch.Generator().manual_seed(seed))["total"].detach())

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


# Frame-Sequence Network


def test_untrained_residual_is_zero_so_the_sound_is_the_average_of_the_chosen_class():
    system = make("frame_sequence", **SMALL).eval()
    found = system.predict(batch(), torch.Generator())
    chosen = found.probabilities.argmax(dim=1)
    assert torch.equal(found.spectrogram, averages()[chosen])


def test_training_adds_the_residual_to_the_average_of_the_true_class():
    system = make("frame_sequence", **SMALL).eval()
    one = batch()
    parts = system.losses(one, torch.Generator())
    by_hand = torch.log(1 / 625 + (averages()[one.labels] - one.target).square().sum(dim=1)).mean()
    torch.testing.assert_close(parts["sound"], by_hand)
    torch.testing.assert_close(parts["total"], parts["sound"] + parts["class"])


def test_a_picture_acts_on_its_own_audio_frames_and_later_ones_only():
    system = make("frame_sequence", **SMALL).eval()
    torch.nn.init.normal_(system.residual.weight)
    one = batch(1)
    changed = one.visual[0].clone()
    changed[:, 10] += 1
    _, before = system(one.visual)
    _, after = system((changed, one.visual[1]))
    moved = (before != after).any(dim=1)[0]
    assert not moved[: 10 * 2].any()  # two audio frames a step
    assert moved[10 * 2 :].any()


def test_delay_lets_an_answer_see_the_pictures_after_it():
    system = make("frame_sequence", **SMALL, delay_steps=3).eval()
    torch.nn.init.normal_(system.residual.weight)
    one = batch(1)
    changed = one.visual[0].clone()
    changed[:, 10] += 1
    _, before = system(one.visual)
    _, after = system((changed, one.visual[1]))
    moved = (before != after).any(dim=1)[0]
    assert not moved[: 7 * 2].any()
    assert moved[7 * 2 : 8 * 2].any()


def test_of_the_second_feature_only_the_first_step_counts():
    system = make("frame_sequence", **SMALL).eval()
    one = batch(2)
    later = one.visual[1].clone()
    later[:, 1:] += 1
    first = one.visual[1].clone()
    first[:, 0] += 1
    logits, _ = system(one.visual)
    assert torch.equal(logits, system((one.visual[0], later))[0])
    assert not torch.equal(logits, system((one.visual[0], first))[0])


def test_rolling_keeps_picture_and_sound_together():
    system = make("frame_sequence", **SMALL, shift_steps=8)
    picture = torch.zeros(2, 16, 6)
    picture[:, 5] = 1
    target = torch.zeros(2, 9, 32)
    target[:, :, 10:12] = 1
    shifts = set()
    for seed in range(20):
        one = Batch((picture, batch(2).visual[1]), torch.zeros(2, dtype=torch.long), target)
        rolled = system._rolled(one, torch.Generator().manual_seed(seed))
        steps = rolled.visual[0][:, :, 0].argmax(dim=1)
        assert torch.equal(rolled.target[:, 0].argmax(dim=1), 2 * steps)
        shifts.add(tuple(steps.tolist()))
    assert len({step for steps in shifts for step in steps}) > 5
    assert any(first != second for first, second in shifts)  # each clip by its own


def test_projection_is_that_of_the_joined_features():
    system = make("frame_sequence", **SMALL, n_projected=7, differences=True).eval()
    one = batch(2)
    sequence, first = one.visual
    differences = torch.cat([torch.zeros(2, 1, 6), sequence[:, 1:] - sequence[:, :-1]], dim=1)
    joined = torch.cat([sequence, differences, first[:, :1].expand(-1, 16, -1)], dim=2)
    expected = (joined @ system.projection.weight.t() + system.projection.bias).relu()
    torch.testing.assert_close(system._inputs(one.visual, None), expected)


def test_context_lets_an_answer_see_the_steps_around_it():
    system = make("frame_sequence", **SMALL, context_steps=2, skip=True).eval()
    system.residual.weight.data[:, : SMALL["n_fast"]] = 0  # only what skips the recurrent cells
    torch.nn.init.normal_(system.residual.weight[:, SMALL["n_fast"] :])
    one = batch(1)
    changed = one.visual[0].clone()
    changed[:, 10] += 1
    _, before = system(one.visual)
    _, after = system((changed, one.visual[1]))
    moved = (before != after).any(dim=1)[0].view(16, 2).all(dim=1)
    assert moved.nonzero()[:, 0].tolist() == [8, 9, 10, 11, 12]


def test_context_repeats_the_ends():
    system = make("frame_sequence", **SMALL, context_steps=1).eval()
    sequence = torch.arange(16.0).view(1, 16, 1).expand(1, 16, 6)
    windows = system._inputs((sequence, torch.zeros(1, 16, 5)), None)[0, :, :18].view(16, 6, 3)[:, 0]
    assert windows[0].tolist() == [0, 0, 1]
    assert windows[7].tolist() == [6, 7, 8]
    assert windows[15].tolist() == [14, 15, 15]


def test_principal_components_equal_scikit_learns_and_have_unit_mean_variance():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    values = (values - values.mean(axis=0)).astype(np.float32)
    layer = PrincipalComponents(6, 3)
    layer.measure(values)
    found = layer(torch.from_numpy(values)).numpy()
    expected = PCA(3, svd_solver="full").fit_transform(values)
    for mine, theirs in zip(found.T, expected.T, strict=True):
        assert abs(np.corrcoef(mine, theirs)[0, 1]) == pytest.approx(1, abs=1e-4)
    assert found.var(axis=0).mean() == pytest.approx(1, abs=1e-3)
    assert (np.diff(found.var(axis=0)) < 0).all()


def test_audio_frames_that_are_no_multiple_of_the_steps_are_refused():
    spec = DataSpec(**{**SPEC.__dict__, "n_visual_steps": (15, 15)})
    with pytest.raises(ConfigError, match="every"):
        make("frame_sequence", spec, **SMALL)


def test_paper_size_input_is_two_resnet_features():
    spec = DataSpec(**{**SPEC.__dict__, "visual_dims": (20, 20)})
    config = frame_sequence.Config()
    assert (config.n_cells, config.n_fast, config.n_slow) == (4, 1200, 1500)
    assert make("frame_sequence", spec, **SMALL).recurrent.fast[0].weight_x.shape[0] == 40


def test_robust_loss_by_hand():
    target = torch.zeros(1, 2, 3)
    predicted = torch.tensor([[[3.0, 0.0, 0.1], [4.0, 0.0, 0.0]]])
    expected = (math.log(0.0016 + 25) + math.log(0.0016) + math.log(0.0016 + 0.01)) / 3
    assert float(robust_loss(predicted, target)) == pytest.approx(expected)
    # A frame that is far off pulls less than one that is near: that is what makes it robust.
    far, near = torch.tensor([10.0], requires_grad=True), torch.tensor([0.1], requires_grad=True)
    for value in (far, near):
        robust_loss(value[:, None, None], torch.zeros(1, 1, 1)).backward()
    assert far.grad < near.grad


# Frame-Relation Network


def test_all_ordered_tuples_are_looked_at_in_testing():
    system = make("frame_relation", n_relations=4, n_hidden=8, n_test_tuples=100)
    for scale in (2, 3, 4):
        assert [tuple(row) for row in system.tuples(scale).tolist()] == list(combinations(range(4), scale))
    spec = DataSpec(**{**SPEC.__dict__, "n_visual_steps": (40, 40)})
    eight = make("frame_relation", spec, n_relations=8, n_hidden=4, n_test_tuples=100)
    assert [len(eight.tuples(scale)) for scale in range(2, 9)] == [28, 56, 70, 56, 28, 8, 1]


def test_training_tuples_are_few_ordered_and_decided_by_the_generator():
    system = make("frame_relation", n_relations=4, n_hidden=8, n_tuples=2)
    drawn = [system.tuples(2, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2, 3, 4)]
    assert torch.equal(drawn[0], drawn[1])
    assert len({str(rows.tolist()) for rows in drawn}) > 1
    for rows in drawn:
        assert rows.shape == (2, 2)
        assert (rows.diff(dim=1) > 0).all()


def test_testing_looks_at_the_first_quarter_only_and_training_at_the_whole_clip():
    system = make("frame_relation", n_relations=4, n_hidden=8)
    steps = system.test_steps()
    assert steps.tolist() == [0, 1, 2, 3]
    one = batch()
    changed = one.visual[0].clone()
    changed[:, 4:] += 5
    same = system.eval().predict(Batch((changed,), one.labels), torch.Generator())
    assert torch.equal(same.probabilities, system.predict(one, torch.Generator()).probabilities)
    seen = {
        int(step) for seed in range(60) for step in system.training_steps(torch.Generator().manual_seed(seed))
    }
    assert seen == set(range(16))


def test_training_takes_one_frame_a_segment_in_order():
    system = make("frame_relation", n_relations=4, n_hidden=8)
    for seed in range(20):
        steps = system.training_steps(torch.Generator().manual_seed(seed))
        assert [int(step) // 4 for step in steps] == [0, 1, 2, 3]


def test_order_of_frames_matters():
    system = make("frame_relation", n_relations=4, n_hidden=8).eval()
    frames = batch().visual[0][:, :4]
    assert not torch.allclose(system(frames), system(frames.flip(1)))


def test_sound_is_the_average_plus_the_probability_to_the_letter():
    one = batch()
    literal = make("frame_relation", n_relations=4, n_hidden=8).eval().predict(one, torch.Generator())
    best, chosen = literal.probabilities.max(dim=1)
    assert torch.equal(literal.spectrogram, averages()[chosen] + best[:, None, None])
    plain = make("frame_relation", n_relations=4, n_hidden=8, probability_gain=0.0).eval()
    assert torch.equal(plain.predict(one, torch.Generator()).spectrogram, averages()[chosen])


def test_more_relations_than_frames_are_refused():
    with pytest.raises(ConfigError, match="n_relations"):
        make("frame_relation", n_relations=8)


# Recorded sound


def test_recorded_sound_is_played_as_it_is():
    system = make("recorded")
    one = batch()
    found = system.predict(one, torch.Generator())
    assert found.waveform is one.waveform
    assert found.probabilities is None
    assert not system.trained
    assert system.n_parameters() == 0


@pytest.mark.parametrize("module", [frame_sequence, frame_relation, recorded])
def test_misspelt_settings_are_refused(module):
    with pytest.raises(ValidationError, match="n_fats"):
        module.Config(n_fats=3)


@pytest.mark.parametrize("n_steps", [1, 7, 63, 64, 200])
def test_a_standardiser_measures_mean_and_deviation(n_steps: int) -> None:
    """Of as many vectors as there are, with a mean that is large beside the deviation, and of a constant."""
    drawn = np.random.default_rng(0).normal(300.0, [0.5, 2.0, 40.0, 0.0], (2, n_steps, 4)).astype(np.float16)
    standardiser = Standardiser(4)
    standardiser.measure(drawn)
    values = drawn.reshape(-1, 4).astype(np.float64)
    np.testing.assert_allclose(standardiser.mean, values.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(standardiser.scale[:3], 1 / values.std(axis=0, ddof=1)[:3], rtol=1e-4)
    assert standardiser.scale[3] == 1

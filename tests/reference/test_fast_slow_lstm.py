"""The Fast-Slow LSTM against its equations, written again in NumPy, and its gradients by differences."""

import numpy as np
import pytest
import torch

from foley.models.layers.fast_slow_lstm import FastSlowLSTM, _CellRun

N_INPUTS, N_FAST, N_SLOW, N_CELLS = 5, 6, 4, 4


def network(*, keep: float = 1.0, keep_h: float = 0.9, keep_c: float = 0.6) -> FastSlowLSTM:
    net = FastSlowLSTM(
        N_INPUTS,
        n_fast=N_FAST,
        n_slow=N_SLOW,
        n_cells=N_CELLS,
        keep=keep,
        keep_h=keep_h,
        keep_c=keep_c,
        generator=torch.Generator().manual_seed(3),
    ).double()
    noise = torch.Generator().manual_seed(4)
    for parameter in net.parameters():  # gains of 1 and biases of 0 would hide mistakes
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=noise, dtype=torch.double)
    return net


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def normalised(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    return centred / np.sqrt((centred**2).mean() + 1e-3)


def reference_cell(cell, x, h, c, keep_h, keep_c):
    """One clip, one step: z = [x, h] W + b, gates i, j, f, o, each normalised; then zoneout's mean."""
    own = {name: value.detach().numpy() for name, value in cell.named_parameters()}
    joined, weight = h, own["weight_h"]
    if x is not None:
        joined, weight = np.concatenate([x, h]), np.vstack([own["weight_x"], own["weight_h"]])
    gates = np.split(joined @ weight + own["bias"], 4)
    i, j, f, o = (
        normalised(gate) * gain + bias
        for gate, gain, bias in zip(gates, own["gate_gain"], own["gate_bias"], strict=True)
    )
    new_c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
    new_h = np.tanh(normalised(new_c) * own["cell_gain"] + own["cell_bias"]) * sigmoid(o)
    return keep_h * new_h + (1 - keep_h) * h, keep_c * new_c + (1 - keep_c) * c


def reference(net: FastSlowLSTM, clip: np.ndarray) -> np.ndarray:
    """One clip (n_steps, n_inputs) through the network, in evaluation."""
    h, c = np.zeros(N_FAST), np.zeros(N_FAST)
    slow_h, slow_c = np.zeros(N_SLOW), np.zeros(N_SLOW)
    keep = net.keep_h, net.keep_c
    states = []
    for x in clip:
        h, c = reference_cell(net.fast[0], x, h, c, *keep)
        slow_h, slow_c = reference_cell(net.slow, h, slow_h, slow_c, *keep)
        h, c = reference_cell(net.fast[1], slow_h, h, c, *keep)
        for cell in net.fast[2:]:
            h, c = reference_cell(cell, None, h, c, *keep)
        states.append(h)
    return np.array(states)


@pytest.mark.parametrize("keep", [(1.0, 1.0), (0.95, 0.7)])
def test_equals_the_equations(keep):
    net = network(keep_h=keep[0], keep_c=keep[1]).eval()
    clips = torch.randn(3, 11, N_INPUTS, dtype=torch.double, generator=torch.Generator().manual_seed(5))
    found = net(clips).detach().numpy()
    for clip, states in zip(clips.numpy(), found, strict=True):
        np.testing.assert_allclose(states, reference(net, clip), rtol=0, atol=1e-12)


def test_gradients_equal_finite_differences():
    net = network(keep=0.8)
    clips = torch.randn(2, 4, N_INPUTS, dtype=torch.double, generator=torch.Generator().manual_seed(6))
    names = [name for name, _ in net.named_parameters()]

    def run(inputs, *values):
        parameters = dict(zip(names, values, strict=True))
        generator = torch.Generator().manual_seed(7)  # the same masks every time
        return torch.func.functional_call(net, parameters, (inputs, generator))

    values = [parameter.detach().clone().requires_grad_() for parameter in net.parameters()]
    for mode in (True, False):
        net.train(mode)
        inputs = (clips.clone().requires_grad_(), *values)
        assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


def test_without_gradients_gives_the_same_states():
    net = network().eval()
    clips = torch.randn(2, 7, N_INPUTS, dtype=torch.double)
    with torch.no_grad():
        quiet = net(clips)
    assert torch.equal(quiet, net(clips).detach())


def test_zoneout_and_dropout_keep_what_they_say():
    net = FastSlowLSTM(
        8, n_fast=64, n_slow=48, n_cells=2, keep=0.75, keep_h=0.95, keep_c=0.7, generator=torch.Generator()
    )
    seen: list[tuple[float, float]] = []
    original = net.fast[0].project

    def project(inputs):
        seen.append((float((inputs == 0).float().mean()), float(inputs.max())))
        return original(inputs)

    net.fast[0].project = project
    net(torch.ones(16, 50, 8), torch.Generator().manual_seed(1))
    assert seen[0] == (pytest.approx(0.25, abs=0.02), pytest.approx(1 / 0.75))  # dropout keeps the mean

    # With nothing renewed, the state stays where it starts; with everything, zoneout has no part.
    still = FastSlowLSTM(
        8, n_fast=6, n_slow=5, n_cells=2, keep=1, keep_h=1e-9, keep_c=0.5, generator=torch.Generator()
    )
    assert still(torch.ones(2, 9, 8), torch.Generator().manual_seed(1)).abs().max() == 0


def test_mean_of_many_zoned_steps_is_what_evaluation_gives():
    cell = network().fast[2]
    run = _CellRun(*cell.prepared(), taped=False)
    h, c = torch.randn(2, N_FAST, dtype=torch.double, generator=torch.Generator().manual_seed(8))
    n = 40000
    masks = torch.rand(2, n, N_FAST, dtype=torch.double, generator=torch.Generator().manual_seed(9))
    renew_h, renew_c = masks[0].lt(0.8).double(), masks[1].lt(0.3).double()
    drawn = run.forth(cell.bias, h.expand(n, -1), c.expand(n, -1), renew_h, renew_c)
    expected = run.forth(cell.bias, h[None], c[None], 0.8, 0.3)
    for many, one, old in zip(drawn, expected, (h, c), strict=True):
        torch.testing.assert_close(many.mean(dim=0), one[0], atol=0.02, rtol=0)
        assert torch.isclose(many, old).any()  # whole elements stay as they were


def test_weights_start_orthogonal_and_biases_at_zero():
    net = FastSlowLSTM(
        40, n_fast=8, n_slow=6, n_cells=3, keep=1, keep_h=1, keep_c=1, generator=torch.Generator()
    )
    matrices = {name: value for name, value in net.named_parameters() if "weight" in name}
    assert len(matrices) == 4 + 3  # a recurrent one each; inputs of the first, the second and the slow cell
    for matrix in matrices.values():
        small = min(matrix.shape)
        product = matrix @ matrix.t() if matrix.shape[0] == small else matrix.t() @ matrix
        torch.testing.assert_close(product, torch.eye(small), atol=1e-5, rtol=0)
    for name, value in net.named_parameters():
        if "bias" in name:
            assert value.abs().max() == 0


def test_training_without_a_generator_is_refused():
    with pytest.raises(ValueError, match="generator"):
        network().train()(torch.zeros(1, 2, N_INPUTS, dtype=torch.double))


def test_paper_size_parameters():
    """Counted by hand: recurrent and input matrices, biases, gains and biases of the normalisations."""
    net = FastSlowLSTM(
        4096, n_fast=120, n_slow=150, n_cells=4, keep=1, keep_h=1, keep_c=1, generator=torch.Generator()
    )
    fast = 4 * (120 * 480 + 480 + 2 * 480 + 2 * 120)
    slow = 150 * 600 + 600 + 2 * 600 + 2 * 150
    inputs = 4096 * 480 + 150 * 480 + 120 * 600
    assert sum(p.numel() for p in net.parameters()) == fast + slow + inputs

"""Fast-Slow LSTM: a chain of fast cells a step, and one slow cell between the first two.

Mujika, Meier, Steger, "Fast-Slow Recurrent Neural Networks", 2017; facts of their reference code
(``FSRNN.py``, ``LNLSTM.py`` in github.com/amujika/Fast-Slow-LSTM). One state is handed through all
fast cells of a step and on to the next step; AutoFoley's equation 3 writes the first fast cell's
own previous state instead, we follow the original.

The backward pass is written by hand: the network is thousands of small operations a batch, which
cost more to record and replay than to compute. By hand, the gradients of the weights also wait for
the end of the sequence, where each is one large product.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_LN_EPS = 1e-3
_N_GATES = 4  # i, j, f, o
_N_PARAMETERS = 6  # of a cell, in the order of _CellRun's arguments


def _orthogonal(n_rows: int, n_columns: int, generator: torch.Generator) -> Tensor:
    """Orthogonal matrix (by SVD of a Gaussian), rows or columns orthonormal, whichever are fewer."""
    gauss = torch.randn(n_rows, n_columns, generator=generator)
    u, _, v = torch.linalg.svd(gauss, full_matrices=False)
    product: Tensor = u @ v
    return product


class LayerNormLSTMCell(nn.Module):
    """Parameters of an LSTM cell with layer normalisation of each gate and of the cell state.

    With ``z = x weight_x + h weight_h + bias`` cut into the gates i, j, f, o, each normalised, times
    its gain, plus its bias: ``c' = c sigmoid(f + 1) + sigmoid(i) tanh(j)`` and
    ``h' = tanh(normalised c') sigmoid(o)``.

    Parameters
    ----------
    n_inputs : int
        Width of the input; 0 for a cell that gets none.
    n_units : int
        Width of the state.
    generator : torch.Generator
        Draws the weights: orthogonal as whole matrices, biases 0, forget bias 1 after the
        normalisation.
    """

    double_j: Tensor
    forget: Tensor

    def __init__(self, n_inputs: int, n_units: int, generator: torch.Generator) -> None:
        super().__init__()
        self.n_units = n_units
        self.weight_x = (
            nn.Parameter(_orthogonal(n_inputs, _N_GATES * n_units, generator)) if n_inputs else None
        )
        self.weight_h = nn.Parameter(_orthogonal(n_units, _N_GATES * n_units, generator))
        self.bias = nn.Parameter(torch.zeros(_N_GATES * n_units))
        self.gate_gain = nn.Parameter(torch.ones(_N_GATES, n_units))
        self.gate_bias = nn.Parameter(torch.zeros(_N_GATES, n_units))
        self.cell_gain = nn.Parameter(torch.ones(n_units))
        self.cell_bias = nn.Parameter(torch.zeros(n_units))
        self.register_buffer("forget", torch.tensor([[0.0], [0.0], [1.0], [0.0]]), persistent=False)
        self.register_buffer("double_j", torch.tensor([[1.0], [2.0], [1.0], [1.0]]), persistent=False)

    def project(self, inputs: Tensor) -> Tensor:
        """Input part of the gates, (..., 4 * n_units): for all time steps in one product."""
        if self.weight_x is None:
            raise ValueError("this cell gets no input")
        return inputs @ self.weight_x

    def prepared(self) -> tuple[Tensor, ...]:
        """Parameters as :class:`_CellRun` takes them.

        tanh(x) is 2 sigmoid(2 x) - 1, so with gate j doubled here one sigmoid serves all gates.
        """
        gain = self.gate_gain * self.double_j
        shift = (self.gate_bias + self.forget) * self.double_j
        return self.weight_h, self.bias, gain, shift, self.cell_gain, self.cell_bias


class _CellRun:
    """One cell through one sequence, forth and, newest step first, back.

    Parameters
    ----------
    weight_h : Tensor, (n_units, 4 * n_units)
    bias : Tensor, (4 * n_units,)
    gain, shift : Tensor, (4, n_units)
        After the normalisation of each gate; gate j doubled, the forget bias added.
    cell_gain, cell_bias : Tensor, (n_units,)
        After the normalisation of the cell state.
    taped : bool
        Keep what :meth:`back` needs.
    """

    def __init__(
        self,
        weight_h: Tensor,
        bias: Tensor,
        gain: Tensor,
        shift: Tensor,
        cell_gain: Tensor,
        cell_bias: Tensor,
        *,
        taped: bool,
    ) -> None:
        self.weight_h, self.bias = weight_h, bias
        self.gain, self.shift, self.cell_gain, self.cell_bias = gain, shift, cell_gain, cell_bias
        self.taped = taped
        self.tape: list[tuple[Any, ...]] = []
        self.slopes: list[tuple[Tensor, ...]] = []
        self.sums: list[Tensor] = []
        self.n_units = weight_h.shape[0]

    def forth(
        self, base: Tensor, h: Tensor, c: Tensor, renew_h: Tensor | float, renew_c: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        """Go one step from state (h, c); `base` is the input's part of the gates, bias included."""
        z = torch.addmm(base, h, self.weight_h).view(-1, _N_GATES, self.n_units)
        normal, mean, rstd = torch.native_layer_norm(z, (self.n_units,), None, None, _LN_EPS)
        gates = torch.sigmoid(torch.addcmul(self.shift, normal, self.gain))
        i, half_j, f, o = gates.unbind(1)
        j = half_j.mul(2).sub_(1)
        new_c = torch.addcmul(c * f, i, j)
        normal_c, mean_c, rstd_c = torch.native_layer_norm(
            new_c, (self.n_units,), self.cell_gain, self.cell_bias, _LN_EPS
        )
        squashed = normal_c.tanh_()
        if self.taped:
            inner = (z, mean, rstd, normal, gates, j)
            self.tape.append((h, c, renew_h, renew_c, inner, (new_c, mean_c, rstd_c), squashed))
        return torch.lerp(h, squashed * o, renew_h), torch.lerp(c, new_c, renew_c)

    def back(self, d_h: Tensor, d_c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Undo the newest step that has not been undone.

        Parameters
        ----------
        d_h, d_c : Tensor, (batch, n_units)
            Slope of the loss by the state after the step.

        Returns
        -------
        d_base : Tensor, (batch, 4 * n_units)
        d_h, d_c : Tensor, (batch, n_units)
            By the state before the step.
        """
        h, c, renew_h, renew_c, inner, state, squashed = self.tape[-1 - len(self.slopes)]
        z, mean, rstd, normal, gates, j = inner
        i, _, f, o = gates.unbind(1)
        d_new_h = d_h * renew_h
        d_new_c = d_c * renew_c
        d_old_c = d_c - d_new_c
        d_squash = torch.ops.aten.tanh_backward(d_new_h * o, squashed)
        new_c, mean_c, rstd_c = state
        by_state, d_cell_gain, d_cell_bias = _layer_norm_back(
            d_squash, new_c, mean_c, rstd_c, self.cell_gain, self.cell_bias
        )
        d_new_c = d_new_c.add_(by_state)
        d_gates = torch.empty_like(gates)
        torch.mul(d_new_c, j, out=d_gates[:, 0])
        torch.mul(d_new_c, i, out=d_gates[:, 1]).mul_(2)
        torch.mul(d_new_c, c, out=d_gates[:, 2])
        torch.mul(d_new_h, squashed, out=d_gates[:, 3])
        d_gates = torch.ops.aten.sigmoid_backward(d_gates, gates)
        d_z = _layer_norm_back(d_gates * self.gain, z, mean, rstd, None, None)[0].flatten(1)
        self.slopes.append((h, d_z))
        if self.sums:
            d_gain, d_shift, d_gain_of_cell, d_bias_of_cell = self.sums
            d_gain.addcmul_(d_gates, normal)
            d_shift.add_(d_gates)
            d_gain_of_cell.add_(d_cell_gain)
            d_bias_of_cell.add_(d_cell_bias)
        else:
            self.sums = [d_gates * normal, d_gates, d_cell_gain, d_cell_bias]
        return d_z, torch.addmm(d_h - d_new_h, d_z, self.weight_h.t()), d_old_c.addcmul_(d_new_c, f)

    def gradients(self) -> tuple[Tensor, ...]:
        """Slopes of the loss by the parameters, in the order of the constructor's arguments."""
        h = torch.cat([before for before, _ in self.slopes])
        d_z = torch.cat([slope for _, slope in self.slopes])
        d_gain, d_shift, d_cell_gain, d_cell_bias = self.sums
        self.slopes, self.sums = [], []  # the tape stays: a graph may be gone back through again
        return h.t() @ d_z, d_z.sum(dim=0), d_gain.sum(dim=0), d_shift.sum(dim=0), d_cell_gain, d_cell_bias


def _layer_norm_back(
    slope: Tensor, values: Tensor, mean: Tensor, rstd: Tensor, gain: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Slopes by the values and, where there are any, by gain and bias."""
    affine = gain is not None
    slopes: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_layer_norm_backward(
        slope, values, values.shape[-1:], mean, rstd, gain, bias, [True, affine, affine]
    )
    return slopes


class _Sequence(torch.autograd.Function):
    """The whole recurrence: (n_steps, batch, n_fast) states of the last fast cell."""

    @staticmethod
    def forward(
        ctx: Any,
        masks: "_Masks",
        taped: bool,
        projected: Tensor,
        slow_weight_x: Tensor,
        fast_weight_x: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        """Run the fast cells' parameters, first to last, then the slow cell's, over `projected`.

        `projected`, (n_steps, batch, 4 * n_fast), is the input's part of the first fast cell's gates,
        without its bias.
        """
        groups = [parameters[at : at + _N_PARAMETERS] for at in range(0, len(parameters), _N_PARAMETERS)]
        *fast, slow = [_CellRun(*group, taped=taped) for group in groups]
        n_steps, batch, _ = projected.shape
        h = c = projected.new_zeros(batch, fast[0].n_units)
        slow_h = slow_c = projected.new_zeros(batch, slow.n_units)
        based = projected + fast[0].bias
        outputs = projected.new_empty(n_steps, batch, fast[0].n_units)
        handed: list[tuple[Tensor, Tensor]] = []
        for step in range(n_steps):
            h, c = fast[0].forth(based[step], h, c, *masks.renew(step, 0))
            to_slow = masks.drop_at(step, 0, h)
            base = torch.addmm(slow.bias, to_slow, slow_weight_x)
            slow_h, slow_c = slow.forth(base, slow_h, slow_c, *masks.renew(step, -1))
            to_fast = masks.drop_at(step, 1, slow_h)
            base = torch.addmm(fast[1].bias, to_fast, fast_weight_x)
            h, c = fast[1].forth(base, h, c, *masks.renew(step, 1))
            for number in range(2, len(fast)):
                h, c = fast[number].forth(fast[number].bias, h, c, *masks.renew(step, number))
            outputs[step] = h
            if taped:
                handed.append((to_slow, to_fast))
        if taped:
            ctx.save_for_backward(slow_weight_x, fast_weight_x)
            ctx.run = (fast, slow, masks, handed)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Go back through time."""
        fast, slow, masks, handed = ctx.run
        slow_weight_x, fast_weight_x = ctx.saved_tensors
        n_steps, batch, n_fast = d_outputs.shape
        d_h = d_c = d_outputs.new_zeros(batch, n_fast)
        d_slow_h = d_slow_c = d_outputs.new_zeros(batch, slow.n_units)
        d_projected = d_outputs.new_empty(n_steps, batch, _N_GATES * n_fast)
        d_slow_z, d_fast_z = [], []
        for step in reversed(range(n_steps)):
            d_h = d_h + d_outputs[step]
            for cell in reversed(fast[2:]):
                _, d_h, d_c = cell.back(d_h, d_c)
            d_z, d_h, d_c = fast[1].back(d_h, d_c)
            d_fast_z.append(d_z)
            d_slow_h = d_slow_h + masks.drop_at(step, 1, d_z @ fast_weight_x.t())
            d_z, d_slow_h, d_slow_c = slow.back(d_slow_h, d_slow_c)
            d_slow_z.append(d_z)
            d_h = d_h + masks.drop_at(step, 0, d_z @ slow_weight_x.t())
            d_projected[step], d_h, d_c = fast[0].back(d_h, d_c)
        to_slow = torch.cat([values for values, _ in reversed(handed)])
        to_fast = torch.cat([values for _, values in reversed(handed)])
        parameters = [slope for cell in (*fast, slow) for slope in cell.gradients()]
        return (
            None,
            None,
            d_projected,
            to_slow.t() @ torch.cat(d_slow_z),
            to_fast.t() @ torch.cat(d_fast_z),
            *parameters,
        )


class FastSlowLSTM(nn.Module):
    """Fast-Slow LSTM over a sequence.

    Parameters
    ----------
    n_inputs : int
        Width of the input.
    n_fast, n_slow : int
        Units of a fast cell and of the slow cell.
    n_cells : int
        Fast cells, at least 2.
    keep : float
        Probability that an element of a non-recurrent connection survives dropout.
    keep_h, keep_c : float
        Probability that an element of the state takes its new value (zoneout); evaluation uses
        the expectation.
    generator : torch.Generator
        Draws the weights.
    """

    def __init__(
        self,
        n_inputs: int,
        *,
        n_fast: int,
        n_slow: int,
        n_cells: int,
        keep: float,
        keep_h: float,
        keep_c: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        if n_cells < 2:
            raise ValueError(f"a Fast-Slow LSTM needs at least 2 fast cells, got {n_cells}")
        widths = [n_inputs, n_slow] + [0] * (n_cells - 2)
        self.fast = nn.ModuleList(LayerNormLSTMCell(width, n_fast, generator) for width in widths)
        self.slow = LayerNormLSTMCell(n_fast, n_slow, generator)
        self.keep, self.keep_h, self.keep_c = keep, keep_h, keep_c
        self.n_fast, self.n_slow = n_fast, n_slow

    def forward(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Run over a sequence.

        Parameters
        ----------
        inputs : Tensor, (batch, n_steps, n_inputs)
        generator : torch.Generator or None
            Draws dropout and zoneout masks; needed in training mode.

        Returns
        -------
        Tensor, (batch, n_steps, n_fast)
            State of the last fast cell at each step.
        """
        batch, n_steps, _ = inputs.shape
        masks = _Masks(self, batch, n_steps, inputs, generator)
        cells = [*self.fast, self.slow]
        projected = cells[0].project(masks.drop(inputs)).transpose(0, 1)
        parameters = [values for cell in cells for values in cell.prepared()]
        states: Tensor = _Sequence.apply(  # type: ignore[no-untyped-call]
            masks,
            torch.is_grad_enabled(),
            projected,
            self.slow.weight_x,
            cells[1].weight_x,
            *parameters,
        )
        return masks.drop(states.transpose(0, 1))


class _Masks:
    """Dropout and zoneout of one pass, drawn for all steps at once because that is much faster."""

    def __init__(
        self, net: FastSlowLSTM, batch: int, n_steps: int, like: Tensor, generator: torch.Generator | None
    ) -> None:
        self.net, self.generator = net, generator
        self.active = net.training
        if not self.active:
            return
        if generator is None:
            raise ValueError("training needs a generator for dropout and zoneout")
        n_fast_cells = len(net.fast)
        fast = (n_steps * n_fast_cells, batch, net.n_fast)
        slow = (n_steps, batch, net.n_slow)
        # Cut up here, once, because indexing is slow.
        self.fast = list(
            zip(self._cut(like, fast, net.keep_h), self._cut(like, fast, net.keep_c), strict=True)
        )
        self.slow = list(
            zip(self._cut(like, slow, net.keep_h), self._cut(like, slow, net.keep_c), strict=True)
        )
        between = (n_steps, batch, net.n_fast), slow
        self.between = [self._cut(like, shape, net.keep, 1 / net.keep) for shape in between]

    def _draw(self, like: Tensor, shape: tuple[int, ...], keep: float) -> Tensor:
        """1 with probability `keep`, else 0; faster than drawing Bernoulli numbers."""
        return torch.rand(shape, generator=self.generator, dtype=like.dtype, device=like.device).lt_(keep)

    def _cut(
        self, like: Tensor, shape: tuple[int, ...], keep: float, gain: float = 1.0
    ) -> tuple[Tensor, ...]:
        drawn = self._draw(like, shape, keep)
        return (drawn.mul_(gain) if gain != 1 else drawn).unbind(0)

    def drop(self, values: Tensor) -> Tensor:
        """Dropout of a whole sequence."""
        if not self.active or self.net.keep >= 1:
            return values
        return values * self._draw(values, tuple(values.shape), self.net.keep).mul_(1 / self.net.keep)

    def drop_at(self, step: int, connection: int, values: Tensor) -> Tensor:
        """Dropout between fast and slow cells at one step (0: to the slow cell, 1: from it)."""
        return values * self.between[connection][step] if self.active else values

    def renew(self, step: int, cell: int) -> tuple[Tensor | float, Tensor | float]:
        """Zoneout of one cell: shares of h and c that take their new value; cell -1 is the slow one."""
        if not self.active:
            return self.net.keep_h, self.net.keep_c
        return self.slow[step] if cell < 0 else self.fast[step * len(self.net.fast) + cell]

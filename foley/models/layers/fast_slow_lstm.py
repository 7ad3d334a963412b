"""Fast-Slow LSTM: a chain of fast cells a step, and one slow cell between the first two.

Mujika, Meier, Steger, "Fast-Slow Recurrent Neural Networks", 2017; facts of their reference code
(``FSRNN.py``, ``LNLSTM.py`` in github.com/amujika/Fast-Slow-LSTM). One state is handed through all
fast cells of a step and on to the next step; AutoFoley's equation 3 writes the first fast cell's
own previous state instead, we follow the original.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_LN_EPS = 1e-3
_N_GATES = 4  # i, j, f, o


def _orthogonal(n_rows: int, n_columns: int, generator: torch.Generator) -> Tensor:
    """Orthogonal matrix (by SVD of a Gaussian), rows or columns orthonormal, whichever are fewer."""
    gauss = torch.randn(n_rows, n_columns, generator=generator)
    u, _, v = torch.linalg.svd(gauss, full_matrices=False)
    return u @ v


class LayerNormLSTMCell(nn.Module):
    """LSTM cell with layer normalisation of each gate and of the cell state.

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

    def project(self, inputs: Tensor) -> Tensor:
        """Input part of the gates, (..., 4 * n_units): for all time steps in one product."""
        if self.weight_x is None:
            raise ValueError("this cell gets no input")
        return inputs @ self.weight_x

    def forward(self, projected: Tensor | None, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Go one step.

        Parameters
        ----------
        projected : Tensor or None, (batch, 4 * n_units)
            From :meth:`project`; ``None`` for a cell without input.
        h, c : Tensor, (batch, n_units)
            State.

        Returns
        -------
        h, c : Tensor, (batch, n_units)
        """
        z = torch.addmm(self.bias, h, self.weight_h)
        if projected is not None:
            z = z + projected
        gates = functional.layer_norm(z.view(-1, _N_GATES, self.n_units), (self.n_units,), eps=_LN_EPS)
        gates = torch.addcmul(self.gate_bias + self.forget, gates, self.gate_gain)
        i, j, f, o = gates.unbind(1)
        new_c = torch.addcmul(c * torch.sigmoid(f), torch.sigmoid(i), torch.tanh(j))
        normal = functional.layer_norm(new_c, (self.n_units,), self.cell_gain, self.cell_bias, _LN_EPS)
        return torch.tanh(normal) * torch.sigmoid(o), new_c


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
        projected = self.fast[0].project(masks.drop(inputs)).unbind(1)
        h = c = inputs.new_zeros(batch, self.n_fast)
        slow_h = slow_c = inputs.new_zeros(batch, self.n_slow)
        outputs = []
        for step in range(n_steps):
            h, c = masks.zone(step, 0, self.fast[0](projected[step], h, c), (h, c))
            to_slow = self.slow.project(masks.drop_at(step, 0, h))
            slow_h, slow_c = masks.zone(step, -1, self.slow(to_slow, slow_h, slow_c), (slow_h, slow_c))
            to_fast = self.fast[1].project(masks.drop_at(step, 1, slow_h))
            h, c = masks.zone(step, 1, self.fast[1](to_fast, h, c), (h, c))
            for number in range(2, len(self.fast)):
                h, c = masks.zone(step, number, self.fast[number](None, h, c), (h, c))
            outputs.append(h)
        return masks.drop(torch.stack(outputs, dim=1))


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
        self.fast_h = self._draw(like, (n_steps, n_fast_cells, batch, net.n_fast), net.keep_h)
        self.fast_c = self._draw(like, (n_steps, n_fast_cells, batch, net.n_fast), net.keep_c)
        self.slow_h = self._draw(like, (n_steps, batch, net.n_slow), net.keep_h)
        self.slow_c = self._draw(like, (n_steps, batch, net.n_slow), net.keep_c)
        self.between = (
            self._draw(like, (n_steps, batch, net.n_fast), net.keep) / net.keep,
            self._draw(like, (n_steps, batch, net.n_slow), net.keep) / net.keep,
        )

    def _draw(self, like: Tensor, shape: tuple[int, ...], keep: float) -> Tensor:
        return torch.empty(shape, dtype=like.dtype, device=like.device).bernoulli_(
            keep, generator=self.generator
        )

    def drop(self, values: Tensor) -> Tensor:
        """Dropout of a whole sequence."""
        if not self.active or self.net.keep >= 1:
            return values
        return values * (self._draw(values, tuple(values.shape), self.net.keep) / self.net.keep)

    def drop_at(self, step: int, connection: int, values: Tensor) -> Tensor:
        """Dropout between fast and slow cells at one step (0: to the slow cell, 1: from it)."""
        return values * self.between[connection][step] if self.active else values

    def zone(
        self, step: int, cell: int, new: tuple[Tensor, Tensor], old: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Zoneout of one cell's state; cell -1 is the slow one."""
        if not self.active:
            return torch.lerp(old[0], new[0], self.net.keep_h), torch.lerp(old[1], new[1], self.net.keep_c)
        masks_h, masks_c = (
            (self.slow_h[step], self.slow_c[step])
            if cell < 0
            else (self.fast_h[step, cell], self.fast_c[step, cell])
        )
        return torch.lerp(old[0], new[0], masks_h), torch.lerp(old[1], new[1], masks_c)

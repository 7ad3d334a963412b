"""SampleRNN: the likelihood of sound, sample by sample, by recurrent tiers of falling pace.

Mehri et al. 2017, "SampleRNN: An Unconditional End-to-End Neural Audio Generation Model", as
Visual2Sound uses it (Zhou et al. 2018, section 3.1). Every tier but the last is recurrent and works
on frames of samples: it sees the frame that has just passed and tells the tier below about the next
one. The last tier is a perceptron that sees the last k samples and gives a distribution over the
quantised levels of the next. Nothing sees a sample that it must predict.

Sizes by default are those of the released three-tier model (GRU of 1024 units, weight norm, learned
first state, embedding of 256) with Visual2Sound's k = 4. Two facts of the released code are not
followed: its GRU resets the state before the recurrent product, here it is PyTorch's, after it; and
tiers are given conditions, which there only the text mentions.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import cached

_INPUT_RANGE = 2.0
"""Frames are given to the tiers in [-2, 2], as the released code does."""

State = tuple[Tensor, ...]
"""Recurrent state of each tier, (n_layers, batch, n_units), coarsest first."""


@dataclass(frozen=True)
class Conditions:
    """What the coarsest tier is told beside the samples.

    Parameters
    ----------
    values : Tensor, (batch, n, n_units)
        Added to what the tier makes of its frames. (A linear layer on samples and features concatenated
        is the sum of one on each.)
    places : Tensor of int64, (n_steps,)
        Which of the n each step of the tier is told.
    """

    values: Tensor
    places: Tensor

    def at(self, steps: slice) -> Tensor:
        """What some steps are told, (batch, n_steps, n_units)."""
        return self.values[:, self.places[steps]]


def dequantise(levels: Tensor, n_levels: int) -> Tensor:
    """Map levels linearly to [-1, 1], as Visual2Sound's paper does (its Fig. 2)."""
    return levels.float() * (2 / (n_levels - 1)) - 1


class SampleRNNConfig(BaseModel):
    """Sizes of SampleRNN."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_levels: int = Field(256, ge=2, description="quantised values of a sample")
    frame_sizes: tuple[int, ...] = Field(
        (16, 4), min_length=1, description="samples a step of each recurrent tier, coarsest first; last is k"
    )
    n_units: int = Field(1024, ge=1, description="units of every layer")
    n_layers: int = Field(1, ge=1, description="GRU layers of each recurrent tier")
    n_embedded: int = Field(256, ge=1, description="width of a sample's embedding in the perceptron")
    weight_norm: bool = Field(True, description="learn direction and length of every weight vector apart")

    @field_validator("frame_sizes")
    @classmethod
    def _frames_divide(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if sizes[-1] < 1 or any(coarse <= fine or coarse % fine for coarse, fine in pairwise(sizes)):
            raise ValueError("frame_sizes must fall, each a multiple of the next, such as [16, 4]")
        return sizes


def _normed(module: nn.Module, config: SampleRNNConfig, *names: str) -> nn.Module:
    if config.weight_norm:
        for name in names:
            weight_norm(module, name)
    return module


def _linear(n_in: int, n_out: int, config: SampleRNNConfig, *, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(n_in, n_out, bias=bias)
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    if bias:
        nn.init.zeros_(layer.bias)
    return cast(nn.Linear, _normed(layer, config, "weight"))


class _GRULayer(nn.Module):
    """One layer of gated recurrent units whose weights can be parametrised."""

    def __init__(self, n_in: int, n_units: int, config: SampleRNNConfig) -> None:
        super().__init__()
        self.weight_in = nn.Parameter(torch.empty(3 * n_units, n_in))
        self.weight_state = nn.Parameter(torch.empty(3 * n_units, n_units))
        self.bias_in = nn.Parameter(torch.zeros(3 * n_units))
        self.bias_state = nn.Parameter(torch.zeros(3 * n_units))
        bound = (3 / n_in) ** 0.5  # LeCun's
        nn.init.uniform_(self.weight_in, -bound, bound)
        for gate in self.weight_state.detach().reshape(3, n_units, n_units):
            nn.init.orthogonal_(gate)
        _normed(self, config, "weight_in", "weight_state")

    def forward(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Run over (batch, n, n_in) from a state (batch, n_units): outputs, and the last state."""
        weights: list[Tensor] = [self.weight_in, self.weight_state, self.bias_in, self.bias_state]
        outputs, last = torch.gru(
            inputs, state[None].contiguous(), weights, True, 1, 0.0, self.training, False, True
        )
        return outputs, last[0]


class _Tier(nn.Module):
    """A recurrent tier: from frames that have passed to a vector for each step of the tier below."""

    def __init__(self, frame_size: int, n_below: int, config: SampleRNNConfig) -> None:
        super().__init__()
        n_units = config.n_units
        self.frame_size, self.n_below = frame_size, n_below
        self.expand = _linear(frame_size, n_units, config)
        self.layers = nn.ModuleList(_GRULayer(n_units, n_units, config) for _ in range(config.n_layers))
        self.upsample = _linear(n_units, n_below * n_units, config)
        self.first: nn.Parameter | None = nn.Parameter(torch.zeros(config.n_layers, n_units))

    def forward(self, frames: Tensor, above: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        """Run over frames (batch, n, frame_size), told (batch, n, n_units) from above.

        Returns
        -------
        below : Tensor, (batch, n * n_below, n_units)
        state : Tensor, (n_layers, batch, n_units)
        """
        values = self.expand(frames)
        if above is not None:
            values = values + above
        states = []
        for layer, before in zip(self.layers, state, strict=True):
            values, after = layer(values, before)
            states.append(after)
        below = self.upsample(values)
        return below.reshape(len(below), -1, below.shape[2] // self.n_below), torch.stack(states)


class SampleRNN(nn.Module):
    """The tiers together.

    Parameters
    ----------
    config : SampleRNNConfig
    told_start : bool
        The coarsest tier's first state is given at :meth:`start`, not learned.
    """

    def __init__(self, config: SampleRNNConfig, *, told_start: bool = False) -> None:
        super().__init__()
        self.config = config
        sizes = (*config.frame_sizes, 1)
        self.tiers = nn.ModuleList(_Tier(size, size // below, config) for size, below in pairwise(sizes))
        if told_start:
            cast(_Tier, self.tiers[0]).first = None
        self.embedding = nn.Embedding(config.n_levels, config.n_embedded)
        self.before = _linear(self.n_before * config.n_embedded, config.n_units, config, bias=False)
        self.hidden = nn.ModuleList(_linear(config.n_units, config.n_units, config) for _ in range(2))
        self.output = _linear(config.n_units, config.n_levels, config)

    @property
    def n_context(self) -> int:
        """Samples before the first one that the coarsest tier sees."""
        return self.config.frame_sizes[0]

    @property
    def n_before(self) -> int:
        """Samples that the perceptron sees: the paper's k."""
        return self.config.frame_sizes[-1]

    @property
    def middle(self) -> int:
        """Level of silence, which comes before every clip."""
        return self.config.n_levels // 2

    def start(self, n_clips: int, coarsest: Tensor | None = None) -> State:
        """State before a clip.

        Parameters
        ----------
        n_clips : int
        coarsest : Tensor, optional, (n_layers, n_clips, n_units)
            First state of the coarsest tier, where it is told and not learned.
        """
        states = [] if coarsest is None else [coarsest]
        for tier in self.tiers[len(states) :]:
            first = cast(_Tier, tier).first
            if first is None:
                raise ValueError("the coarsest tier has no first state of its own, give one")
            states.append(first[:, None].expand(-1, n_clips, -1))
        return tuple(states)

    def scaled(self, levels: Tensor) -> Tensor:
        """Levels as the tiers see them, in [-2, 2]."""
        return dequantise(levels, self.config.n_levels) * _INPUT_RANGE

    def forward(
        self, levels: Tensor, state: State, conditions: Conditions | None = None
    ) -> tuple[Tensor, State]:
        """Distribution of every sample given those before it.

        Parameters
        ----------
        levels : Tensor of int64, (batch, n_context + n)
            Levels, of which the first `n_context` are not predicted; n is a multiple of the largest
            frame. The last sample is not looked at.
        state : tuple of Tensor
            From :meth:`start`, or of the stretch before.
        conditions : Conditions, optional
            Of n / n_context steps.

        Returns
        -------
        logits : Tensor, (batch, n, n_levels)
        state : tuple of Tensor
        """
        n = levels.shape[1] - self.n_context
        sound = self.scaled(levels)
        above = None if conditions is None else conditions.at(slice(None))
        states = []
        for module, before in zip(self.tiers, state, strict=True):
            tier = cast(_Tier, module)
            first = self.n_context - tier.frame_size
            frames = sound[:, first : first + n].reshape(len(sound), -1, tier.frame_size)
            above, after = tier(frames, above, before)
            states.append(after)
        embedded = self.embedding(levels[:, self.n_context - self.n_before : -1])
        seen = embedded.unfold(1, self.n_before, 1).transpose(2, 3).flatten(2)
        return self.classify(self.before(seen) + above), tuple(states)

    def classify(self, values: Tensor) -> Tensor:
        """Logits (..., n_levels) of the perceptron's first sums (..., n_units)."""
        for layer in self.hidden:
            values = functional.relu(layer(values))
        logits: Tensor = self.output(values)
        return logits

    def nats(
        self, levels: Tensor, state: State, conditions: Conditions | None = None
    ) -> tuple[Tensor, State]:
        """Negative log-likelihood of every sample, (batch, n); parameters as :meth:`forward`."""
        logits, after = self(levels, state, conditions)
        targets = levels[:, self.n_context :]
        flat = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        return flat.reshape(targets.shape), after


class Stepper:
    """A SampleRNN that goes sample by sample and computes nothing twice.

    Each tier is run when a frame of its own has passed, and what it tells the tiers below is kept. The
    embedding and the first layer of the perceptron become one table for each of the k samples. Within
    ``torch.nn.utils.parametrize.cached()`` weight norms are computed once, too.

    Parameters
    ----------
    network : SampleRNN
    state : tuple of Tensor
        From :meth:`SampleRNN.start`.
    n_samples : int
        Samples to go.
    conditions : Conditions, optional
        Of n_samples / n_context steps, rounded up.
    """

    def __init__(
        self, network: SampleRNN, state: State, n_samples: int, conditions: Conditions | None = None
    ) -> None:
        self.network = network
        self.state = list(state)
        self.conditions = conditions
        self.t = 0
        n_clips, device = state[0].shape[1], state[0].device
        n_context, n_before = network.n_context, network.n_before
        shape = (n_clips, n_context + n_samples)
        self.levels = torch.full(shape, network.middle, dtype=torch.int64, device=device)
        weights = network.before.weight.reshape(network.config.n_units, n_before, -1)
        tables = torch.einsum("qe,uke->kqu", network.embedding.weight, weights)
        self._table = tables.reshape(-1, network.config.n_units).contiguous()
        self._offsets = torch.arange(n_before, device=device) * network.config.n_levels
        self._told: list[Tensor] = [torch.zeros(0)] * len(network.tiers)

    def logits(self) -> Tensor:
        """Logits of the next sample, (batch, n_levels); ask once, then :meth:`push`."""
        network, now = self.network, self.t + self.network.n_context
        above: Tensor | None = None
        for number, module in enumerate(network.tiers):
            tier = cast(_Tier, module)
            place = self.t % tier.frame_size
            if place == 0:
                frame = network.scaled(self.levels[:, now - tier.frame_size : now])[:, None]
                if number == 0 and self.conditions is not None:
                    step = self.t // tier.frame_size
                    above = self.conditions.at(slice(step, step + 1))
                self._told[number], self.state[number] = tier(frame, above, self.state[number])
            step = place * tier.n_below // tier.frame_size
            above = self._told[number][:, step : step + 1]
        indices = self.levels[:, now - network.n_before : now] + self._offsets
        values = functional.embedding_bag(indices, self._table, mode="sum")
        if above is not None:
            values = values + above[:, 0]
        return network.classify(values)

    def push(self, levels: Tensor) -> None:
        """Say what the next sample is, int64 (batch,)."""
        self.levels[:, self.t + self.network.n_context] = levels
        self.t += 1


def draw(
    network: SampleRNN,
    state: State,
    n_samples: int,
    generator: torch.Generator,
    *,
    conditions: Conditions | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """Draw sound of all clips of a batch at once.

    Parameters
    ----------
    network : SampleRNN
    state : tuple of Tensor
        From :meth:`SampleRNN.start`.
    n_samples : int
    generator : torch.Generator
        On the device of the network.
    conditions : Conditions, optional
        See :class:`Stepper`.
    temperature : float
        Divides the logits; 1 draws from the learned distribution.

    Returns
    -------
    Tensor of int64, (batch, n_samples)
        Levels.
    """
    with torch.inference_mode(), cached():
        stepper = Stepper(network, state, n_samples, conditions)
        shape = (n_samples, state[0].shape[1], 1)
        chances = torch.rand(shape, generator=generator, device=state[0].device)
        for chance in chances:
            summed = torch.softmax(stepper.logits() / temperature, dim=1).cumsum(dim=1)
            # The sum may fall short of 1 by rounding: draw below the sum itself.
            drawn = (summed <= chance * summed[:, -1:]).sum(dim=1)
            stepper.push(drawn.clamp_(max=network.config.n_levels - 1))
        return stepper.levels[:, network.n_context :].clone()

"""Visual2Sound: raw sound from pictures, by a SampleRNN that is told what is seen.

Zhou, Wang, Fang, Bui and Berg 2018, "Visual to Sound: Generating Natural Sound for Videos in the Wild".
Three ways of telling it, as an encoder each (sections 3.2 to 3.4):

``frame``
    Every step of the coarsest tier gets the feature of the picture that is on the screen then: the
    paper's feature duplicated s times, s being samples a picture, rounded up.
``sequence``
    A recurrent network looks at all pictures first; its last state, through a linear layer, is the
    first state of the coarsest tier.
``flow``
    The same, looking at features of pictures and of optical flow beside each other.

Training is by truncated back-propagation, as SampleRNN's: a clip is learned in chunks, the state is
carried from one to the next and starts anew with every clip. What a ``sequence`` encoder says reaches
later chunks through that state, but it learns from the first chunk of each clip alone.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from foley.errors import ConfigError
from foley.models.base import Batch, DataSpec, Prediction
from foley.models.base import System as BaseSystem
from foley.models.layers.side_by_side import SideBySide, SideBySideConfig, check_steps
from foley.models.samplernn import Conditions, SampleRNN, SampleRNNConfig, State, dequantise, draw

_STILL = 1e-5
"""Half a range under which a clip counts as silent: a third of a 16-bit step."""


class Config(SampleRNNConfig, SideBySideConfig):
    """Sizes and options of Visual2Sound; the defaults are the paper's, or SampleRNN's where it is silent."""

    encoder: Literal["frame", "sequence", "flow"] = Field("frame", description="how the pictures are told")
    n_encoded: int = Field(1024, ge=1, description="units of the sequence encoder")
    quantiser: Literal["min_max", "peak", "fixed"] = Field(
        "min_max",
        description="what becomes the lowest and highest level: the clip's extremes (SampleRNN's code), plus "
        "and minus its peak (silence is in the middle), or -1 and 1",
    )
    loudness: Literal["full_scale", "training"] = Field(
        "full_scale",
        description="of what is made, where the quantiser forgets it: levels span [-1, 1], or what "
        "training clips span on (geometric) average",
    )
    temperature: float = Field(1.0, gt=0, description="divides the logits that sound is drawn from")
    chunk_samples: int = Field(512, ge=1, description="samples between two steps of the optimiser")
    clip_gradient: float | None = Field(1.0, gt=0, description="largest entry of the gradient")

    @model_validator(mode="after")
    def _chunks_are_frames(self) -> "Config":
        if self.chunk_samples % self.frame_sizes[0]:
            raise ValueError(f"chunk_samples must be a multiple of the largest frame, {self.frame_sizes[0]}")
        return self


def quantise(sound: Tensor, n_levels: int, quantiser: str) -> tuple[Tensor, Tensor]:
    """Tell samples in levels that lie evenly.

    Parameters
    ----------
    sound : Tensor of float, (batch, n_samples)
        In [-1, 1].
    n_levels : int
    quantiser : {"min_max", "peak", "fixed"}
        See :class:`Config`. Silence, and what never changes, becomes the middle level.

    Returns
    -------
    levels : Tensor of int64, (batch, n_samples)
        In [0, n_levels - 1].
    spans : Tensor of float, (batch,)
        Half of what the levels span.
    """
    if quantiser == "min_max":
        low, high = sound.amin(dim=1), sound.amax(dim=1)
    else:
        high = sound.abs().amax(dim=1) if quantiser == "peak" else torch.ones_like(sound[:, 0])
        low = -high
    spans, centre = (high - low) / 2, (high + low) / 2
    moving = spans > _STILL
    gain = torch.where(moving, 1 / spans.clamp(min=_STILL), torch.zeros_like(spans))
    inside = ((sound - centre[:, None]) * gain[:, None]).clamp(-1, 1)
    levels = ((inside + 1) * ((n_levels - 1) / 2)).round().long()
    # Between the two middle levels lies none: silence takes the upper.
    return torch.where(moving[:, None], levels, torch.full_like(levels, n_levels // 2)), spans


def samples_a_step(sample_rate_hz: float, visual_hz: float) -> int:
    """How often a picture's feature is duplicated: the paper's s (section 3.2).

    Examples
    --------
    >>> samples_a_step(15974.4, 15.6), samples_a_step(16000, 15.6), samples_a_step(5504, 21.5)
    (1024, 1026, 256)
    """
    exact = sample_rate_hz / visual_hz
    return int(np.ceil(exact - 1e-6 * exact))


class System(BaseSystem):
    """Encoder of pictures and SampleRNN.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        The target is the waveform itself, a representation of kind ``waveform``.
    averages : Tensor, (n_classes, 1, n_samples)
        Not used.
    generator : torch.Generator
        Not used: the weights are drawn from torch's own, which is seeded before.

    Raises
    ------
    ConfigError
        If there is no visual feature, features differ in their steps, the target is not a waveform, or
        encoder ``flow`` sees one feature only.
    """

    classifies = False
    has_likelihood = True
    log_span_sum: Tensor
    n_spans: Tensor
    places: Tensor

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(spec, averages)
        _check(config, spec)
        self.config = config
        self.side_by_side = SideBySide(spec.visual_dims, config)
        self.sound = SampleRNN(config, told_start=config.encoder != "frame")
        n_visual = self.side_by_side.n_outputs
        self.project: nn.Linear | None = None
        self.encoder: nn.GRU | None = None
        if config.encoder == "frame":
            self.project = nn.Linear(n_visual, config.n_units, bias=False)
        else:
            self.encoder = nn.GRU(n_visual, config.n_encoded, batch_first=True)
            self.bridge = nn.Linear(config.n_encoded, config.n_layers * config.n_units)
        self.n_padded = -(-spec.n_samples // self.sound.n_context) * self.sound.n_context
        held = samples_a_step(spec.sample_rate_hz, spec.visual_hz[0])
        starts = torch.arange(0, self.n_padded, self.sound.n_context)
        places = (starts // held).clamp(max=spec.n_visual_steps[0] - 1)
        self.register_buffer("places", places, persistent=False)
        # The mean span of the training clips is counted up as they come, as batch norm counts.
        self.register_buffer("log_span_sum", torch.zeros((), dtype=torch.float64))
        self.register_buffer("n_spans", torch.zeros((), dtype=torch.int64))

    def prepare(self, features: tuple[NDArray[np.float16], ...]) -> None:
        """Measure the features, where they are standardised."""
        self.side_by_side.measure(features)

    def conditions(self, visual: Tensor, start: int, stop: int) -> Conditions | None:
        """What the coarsest tier is told in a stretch of the clip; nothing but for encoder ``frame``.

        Parameters
        ----------
        visual : Tensor, (batch, n_steps, n_visual)
        start, stop : int
            Samples, multiples of the largest frame.
        """
        if self.project is None:
            return None
        places = self.places[start // self.sound.n_context : stop // self.sound.n_context]
        first, last = int(places[0]), int(places[-1])
        return Conditions(self.project(visual[:, first : last + 1]), places - first)

    def start(self, visual: Tensor) -> State:
        """State before the first sample, of what is seen (batch, n_steps, n_visual)."""
        if self.encoder is None:
            return self.sound.start(len(visual))
        _, last = self.encoder(visual)
        told = self.bridge(last[0]).reshape(len(visual), self.config.n_layers, -1)
        return self.sound.start(len(visual), told.transpose(0, 1))

    def levels(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Recorded sound in levels, after a frame of silence, (batch, n_context + n_padded), and spans."""
        if batch.target is None:
            raise ValueError("the likelihood needs the recorded sound")
        levels, spans = quantise(batch.target[:, 0], self.config.n_levels, self.config.quantiser)
        n_after = self.n_padded - levels.shape[1]
        padded = nn.functional.pad(levels, (self.sound.n_context, n_after), value=self.sound.middle)
        return padded, spans

    def _chunks(self, batch: Batch) -> Iterator[tuple[Tensor, State]]:
        """Nats of every sample, chunk by chunk, (batch, n); gradients end at the chunk's start.

        Whoever asks for the next chunk may have changed the weights in between.
        """
        levels, _ = self.levels(batch)
        visual = self.side_by_side(batch.visual)
        state: State | None = None
        for start in range(0, self.n_padded, self.config.chunk_samples):
            stop = min(start + self.config.chunk_samples, self.n_padded)
            state = self.start(visual) if state is None else tuple(part.detach() for part in state)
            heard = levels[:, start : stop + self.sound.n_context]
            nats, state = self.sound.nats(heard, state, self.conditions(visual, start, stop))
            yield nats[:, : self.spec.n_samples - start], state

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy of the whole clip in nats a sample, with the gradient of truncation."""
        return {"total": torch.cat([nats for nats, _ in self._chunks(batch)], dim=1).mean()}

    def step(
        self,
        batch: Batch,
        optimisers: Mapping[str, torch.optim.Optimizer],
        generator: torch.Generator,
        clip_norm: float | None,
    ) -> dict[str, float]:
        """A step of the optimiser for each chunk of the clips; see the base class."""
        (optimiser,) = optimisers.values()
        total = 0.0
        for nats, _ in self._chunks(batch):
            optimiser.zero_grad(set_to_none=True)
            nats.mean().backward()  # type: ignore[no-untyped-call]
            if self.config.clip_gradient is not None:
                nn.utils.clip_grad_value_(self.parameters(), self.config.clip_gradient)
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(self.parameters(), clip_norm)
            optimiser.step()
            total += float(nats.detach().sum())
        _, spans = self.levels(batch)
        heard = spans[spans > _STILL].double()
        self.log_span_sum += heard.log().sum()
        self.n_spans += len(heard)
        nats_a_sample = total / (len(spans) * self.spec.n_samples)
        return {"total": nats_a_sample, "bits": nats_a_sample / float(np.log(2))}

    def cross_entropy(self, batch: Batch) -> Tensor:
        """Nats a sample of the recorded sound, (batch,); see the base class."""
        return torch.cat([nats for nats, _ in self._chunks(batch)], dim=1).mean(dim=1)

    @property
    def span(self) -> float:
        """What levels span in what is made: 1, or the geometric mean over the training clips."""
        by_training = self.config.loudness == "training" and self.config.quantiser != "fixed"
        if not by_training or not int(self.n_spans):
            return 1.0
        return float((self.log_span_sum / self.n_spans).exp())

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Draw sound sample by sample; recorded sound is not looked at."""
        visual = self.side_by_side(batch.visual)
        levels = draw(
            self.sound,
            self.start(visual),
            self.spec.n_samples,
            generator,
            conditions=self.conditions(visual, 0, self.n_padded),
            temperature=self.config.temperature,
        )
        sound = self.span * dequantise(levels, self.config.n_levels)
        return Prediction(spectrogram=sound[:, None])


def _check(config: Config, spec: DataSpec) -> None:
    """Refuse data that Visual2Sound cannot learn from."""
    check_steps(spec, "visual2sound")
    if config.encoder == "flow" and len(spec.visual_dims) < 2:
        raise ConfigError(
            "visual2sound: encoder flow looks at pictures and at optical flow; name a feature of each under "
            "visual, or take encoder sequence"
        )
    if (spec.n_bins, spec.n_audio_frames) != (1, spec.n_samples):
        raise ConfigError(
            f"visual2sound learns samples, but its representation has {spec.n_bins} bins and "
            f"{spec.n_audio_frames} frames; give the experiment a representation of kind waveform"
        )

"""V2RA-GAN: from pictures straight to samples, a second at a time.

Liu, Li and Cheng, "Towards an End-to-End Visual-to-Raw-Audio Generation with GAN". A second is one
example: ten feature vectors laid end to end, as long as its 44,100 samples, go through an
encoder-decoder (Table 1); a discriminator sees them beside the sound (Table 2). Seconds are laid end
to end when sound is made, without a fade. The rows of Table 7 are settings:

=====================  ====================================
row                    setting
=====================  ====================================
+ z as input           ``noise_channel: true``
+ skip connections     ``skip: true``
- audio filter         ``audio_filter: false``
+ random crop          ``random_crop: true``
L1 + CE                ``adversarial: cross_entropy``
LS                     ``l1_weight: 0``
L1                     ``adversarial: none``
CE                     the second and the third of these
=====================  ====================================

What the paper leaves open, and what was chosen, is in ``docs/v2ra.md``.
"""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from foley.errors import ConfigError
from foley.models.base import Batch, DataSpec, Prediction, check_rate
from foley.models.base import System as BaseSystem
from foley.models.descent import descend
from foley.models.layers.side_by_side import SideBySide, SideBySideConfig, check_steps
from foley.models.v2ra_networks import (
    N_SLOTS,
    SAMPLE_RATE_HZ,
    DecoderKernels,
    Discriminator,
    Generator,
    encode_second,
    shown_at_s,
)

_AT_ONCE = 64
"""Seconds that are made together."""
_MEASURED_AT_ONCE = 64
"""Clips whose features are looked at together."""

Adversarial = Literal["least_squares", "cross_entropy", "none"]


class Config(SideBySideConfig):
    """Sizes and options of V2RA-GAN; the defaults are the paper's full system."""

    width: int = Field(64, ge=1, description="d: channels of the first layers")
    decoder_kernels: DecoderKernels = Field(
        "mirrored", description="of the transposed convolutions: three times the stride, or as Table 1 prints"
    )
    # Table 7.
    noise_channel: bool = Field(False, description="Gaussian noise z, as long as the sound, beside the input")
    skip: bool = Field(False, description="skip connections from encoder to decoder")
    audio_filter: bool = Field(True, description="the filter of 513 samples at the end")
    random_crop: bool = Field(False, description="learn seconds from anywhere in a clip, not one by one")
    adversarial: Adversarial = Field("least_squares", description="what discriminator and generator descend")
    l1_weight: float = Field(100.0, ge=0, description="lambda; 0 leaves the L1 loss out")
    # Everything else.
    d_updates: int = Field(2, ge=1, description="steps of the discriminator for one of the generator")
    one_score: bool = Field(False, description="one channel of scores; Table 2 prints 8 d")
    dropout: float = Field(0.5, ge=0, lt=1, description="in the first three decoder layers")
    dropout_in_use: bool = Field(False, description="drop also when sound is made, as pix2pix does")
    betas: tuple[float, float] = Field((0.9, 0.999), description="of Adam")
    # Not in the paper: for few clips and small machines.
    full_scale: bool = Field(False, description="learn sound whose loudest training sample is 1")

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        if self.adversarial == "none" and self.l1_weight == 0:
            raise ValueError("nothing to learn from: adversarial is none and l1_weight is 0")
        return self


class System(BaseSystem):
    """V2RA-GAN.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        The representation is not made, but its sample rate must be 44,100 Hz and the clips'.
        ``visual`` features lie side by side; the paper's is VGG19's fc6, 4096 numbers.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
        Not used.
    generator : torch.Generator
        Not used: layers start as PyTorch starts them.

    Raises
    ------
    ConfigError
        If the rate is another, a clip is shorter than a second, or the features do not fit the slots
        of their encoding.
    """

    needs_waveform = True
    classifies = False
    largest: Tensor
    loudest: Tensor

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(spec, averages)
        if spec.sample_rate_hz != SAMPLE_RATE_HZ or spec.n_samples < SAMPLE_RATE_HZ:
            raise ConfigError(
                f"v2ra makes seconds of {SAMPLE_RATE_HZ} samples: clips have {spec.duration_s:g} s at "
                f"{spec.sample_rate_hz} Hz; set clips.sample_rate_hz, clips.duration_s and the "
                "representation's rate"
            )
        check_steps(spec, "v2ra")
        self.config = config
        self.side_by_side = SideBySide(spec.visual_dims, config)
        if self.side_by_side.n_outputs > N_SLOTS:
            raise ConfigError(
                f"v2ra has {N_SLOTS} slots for a picture, but its features have "
                f"{self.side_by_side.n_outputs} numbers; name fewer, or set n_components"
            )
        self.generator = Generator(
            config.width,
            n_inputs=2 if config.noise_channel else 1,
            skip=config.skip,
            audio_filter=config.audio_filter,
            dropout=config.dropout,
            kernels=config.decoder_kernels,
        )
        self.discriminator = (
            None if config.adversarial == "none" else Discriminator(config.width, one_score=config.one_score)
        )
        self.register_buffer("largest", torch.ones(()))
        self.register_buffer("loudest", torch.ones(()))

    def prepare(self, features: tuple[NDArray[np.float16], ...]) -> None:
        """Measure the features: their largest number becomes 1 (Table 1's input is within [-1, 1])."""
        self.side_by_side.measure(features)
        largest = 0.0
        for start in range(0, len(features[0]), _MEASURED_AT_ONCE):
            some = [torch.from_numpy(part[start : start + _MEASURED_AT_ONCE]).float() for part in features]
            largest = max(largest, float(self.side_by_side(some).abs().max()))
        self.largest.fill_(max(largest, 1e-6))

    def listen(self, features: tuple[NDArray[np.float16], ...], waveforms: NDArray[np.float32]) -> None:
        """Check the rate, and find the loudest sample where the sound is brought to full scale.

        Raises
        ------
        ConfigError
            If the representation has another sample rate than the clips.
        """
        check_rate(self.spec, waveforms, "v2ra learns waveforms")
        if self.config.full_scale:
            self.loudest.fill_(max(float(np.abs(waveforms).max()), 1e-6))

    def optimisers(self, lr: float, weight_decay: float) -> dict[str, torch.optim.Optimizer]:
        """Adam, one for the generator and one for the discriminator."""
        parts = {"generator": self.generator, "discriminator": self.discriminator}
        return {
            name: torch.optim.Adam(
                part.parameters(), lr=lr, betas=self.config.betas, weight_decay=weight_decay
            )
            for name, part in parts.items()
            if part is not None
        }

    def encoded(self, batch: Batch, starts_s: Tensor) -> Tensor:
        """Encode the pictures of some seconds.

        Parameters
        ----------
        batch : Batch
        starts_s : Tensor, (batch, n_seconds)
            Where each second starts, from the start of its clip.

        Returns
        -------
        Tensor, (batch * n_seconds, 1, 44100)
            Within [-1, 1]. A picture after the end of the clip is its last one.
        """
        beside = self.side_by_side(batch.visual)
        steps = (shown_at_s(starts_s) * self.spec.visual_hz[0]).round().long()
        steps = steps.clamp(0, beside.shape[1] - 1)
        clips = torch.arange(len(beside), device=beside.device)[:, None, None]
        return (encode_second(beside[clips, steps]) / self.largest).clamp(-1, 1).flatten(0, 1)[:, None]

    def _examples(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Encoded pictures and recorded sound of the seconds of a batch, (n, 1, 44100) each."""
        if batch.waveform is None:
            raise ValueError("training needs waveforms")
        n_clips, n_samples = batch.waveform.shape
        n_seconds = n_samples // SAMPLE_RATE_HZ
        device = batch.waveform.device
        if self.config.random_crop:
            starts = torch.randint(
                n_samples - SAMPLE_RATE_HZ + 1, (n_clips, n_seconds), generator=generator, device=device
            )
        else:
            starts = (torch.arange(n_seconds, device=device) * SAMPLE_RATE_HZ).expand(n_clips, -1)
        places = starts[:, :, None] + torch.arange(SAMPLE_RATE_HZ, device=device)
        sound = batch.waveform[:, None].expand(-1, n_seconds, -1).gather(2, places)
        return self.encoded(batch, starts / SAMPLE_RATE_HZ), sound.flatten(0, 1)[:, None] / self.loudest

    def generate(self, seen: Tensor, generator: torch.Generator) -> Tensor:
        """Make seconds of sound, (n, 1, 44100), of encoded ones, (n, 1, 44100)."""
        if self.config.noise_channel:
            noise = torch.randn(seen.shape, generator=generator, device=generator.device)
            seen = torch.cat([seen, noise.to(seen)], dim=1)
        drop = self.training or self.config.dropout_in_use
        made: Tensor = self.generator(seen, generator, drop=drop)
        return made

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """What the generator descends (equation 9)."""
        seen, sound = self._examples(batch, generator)
        return self._generator_losses(seen, sound, generator)

    def _generator_losses(self, seen: Tensor, sound: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        made = self.generate(seen, generator)
        parts = {"l1": functional.l1_loss(made, sound)}
        total = self.config.l1_weight * parts["l1"]
        if self.discriminator is not None:
            parts["adversarial"] = self._judged(self.discriminator(made, seen), recorded=True)
            total = total + parts["adversarial"]
        return {"total": total, **parts}

    def _judged(self, scores: Tensor, *, recorded: bool) -> Tensor:
        wanted = torch.full_like(scores, float(recorded))
        if self.config.adversarial == "cross_entropy":
            return functional.binary_cross_entropy_with_logits(scores, wanted)
        return 0.5 * functional.mse_loss(scores, wanted)

    def step(
        self,
        batch: Batch,
        optimisers: Mapping[str, torch.optim.Optimizer],
        generator: torch.Generator,
        clip_norm: float | None,
    ) -> dict[str, float]:
        """Some steps of the discriminator (equation 8), each on new drafts, then one of the generator."""
        seen, sound = self._examples(batch, generator)
        parts: dict[str, Tensor] = {}
        if self.discriminator is not None:
            for _ in range(self.config.d_updates):
                with torch.no_grad():
                    made = self.generate(seen, generator)
                real = self._judged(self.discriminator(sound, seen), recorded=True)
                fake = self._judged(self.discriminator(made, seen), recorded=False)
                parts["discriminator"] = real + fake
                descend(parts["discriminator"], optimisers["discriminator"], clip_norm, self.share_gradients)
        parts |= self._generator_losses(seen, sound, generator)
        descend(parts["total"], optimisers["generator"], clip_norm, self.share_gradients)
        return {name: float(value.detach()) for name, value in parts.items()}

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Sound from pictures alone, second by second; the recorded sound is not looked at."""
        n_clips, n_samples = len(batch.labels), self.spec.n_samples
        n_seconds = math.ceil(n_samples / SAMPLE_RATE_HZ)
        starts_s = torch.arange(n_seconds, device=batch.labels.device).float().expand(n_clips, -1)
        seen = self.encoded(batch, starts_s)
        made = torch.cat([self.generate(part, generator) for part in torch.split(seen, _AT_ONCE)])
        waveform = made.reshape(n_clips, n_seconds * SAMPLE_RATE_HZ)[:, :n_samples] * self.loudest
        return Prediction(waveform=waveform.clamp(-1, 1))

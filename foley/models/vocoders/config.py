"""Settings of vocoders: networks from spectrograms to sound. Light: imports no numerical code."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class VocoderTrainingConfig(BaseModel):
    """Settings of a vocoder's training; the defaults are those of HiFi-GAN V1 (Kong et al. 2020)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(2_500_000, ge=1)
    batch_size: int = Field(16, ge=1, description="stretches of sound in a step")
    segment_frames: int = Field(32, ge=2, description="length of a stretch, in frames of the spectrogram")
    n_clips: int | None = Field(
        None, ge=1, description="training clips to draw from, all in memory; null takes every one"
    )
    lr: float = Field(2e-4, gt=0, description="learning rate: at the start, or at the peak of noam")
    schedule: Literal["constant", "cosine", "exponential", "noam"] = Field(
        "exponential", description="course of the learning rate"
    )
    decay: float = Field(0.999, gt=0, le=1, description="exponential: factor of each pass over the clips")
    warm_up_steps: int = Field(4000, ge=1, description="noam: steps to the peak")
    betas: tuple[float, float] = Field((0.8, 0.99), description="of Adam")
    weight_decay: float = Field(0.01, ge=0, description="decoupled weight decay")
    clip_norm: float | None = Field(None, gt=0, description="largest norm of the gradient")
    averaging: float | None = Field(
        None, gt=0, lt=1, description="share of the old in the moving average of the weights that is kept"
    )
    log_every: int = Field(100, ge=1, description="steps of one line of the curve")
    save_every: int = Field(1000, ge=1, description="steps between two states that a killed run resumes from")


class VocoderConfig(BaseModel):
    """A vocoder: which network, of which spectrogram, how trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(description="entry of ``vocoders`` in ``foley/registry.py``")
    representation: str = Field(description="entry of ``representations``, of kind mel")
    model: dict[str, Any] = Field(default_factory=dict, description="settings of the kind's ``Config``")
    training: VocoderTrainingConfig = VocoderTrainingConfig()

"""Settings of the way from a spectrogram to finished sound. Light: imports no numerical code."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

GRIFFIN_LIM = "griffin_lim"


class BlockThresholdConfig(BaseModel):
    """Settings of :mod:`foley.synthesis.block_threshold`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_s: float = Field(0.05, ge=0.005, le=0.5, description="length of the analysis window")
    noise_std: float | None = Field(
        None, ge=0, description="of the noise in samples of [-1, 1]; null: estimated from the quietest frames"
    )
    quiet_share: float = Field(0.1, gt=0, le=1, description="share of frames that the estimate listens to")


class PeakMatchConfig(BaseModel):
    """Settings of :mod:`foley.synthesis.peak_match`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    references: str | None = Field(
        None, description="folder of <class>/*.wav or other sound; null: training clips of the class"
    )
    interval_s: float = Field(0.25, gt=0, description="length of a stretch, and least distance of peaks")
    floor: float = Field(0.1, gt=0, lt=1, description="peaks below this share of the highest are left out")


class ShiftConfig(BaseModel):
    """A second sound of test clips, whose picture comes later: metric ``shift`` asks whether it follows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by_s: float = Field(0.5, gt=0, description="how much later the picture comes; its start is held")
    labels: tuple[str, ...] = Field((), description="only clips of these classes; empty: all")


class SynthesisConfig(BaseModel):
    """How a waveform is made of a spectrogram, and what is done to any waveform after it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocoder: str = Field(
        GRIFFIN_LIM, description=f"{GRIFFIN_LIM}, or an entry of ``vocoders`` trained on the representation"
    )
    n_iterations: int = Field(
        16,
        ge=0,
        description="of Griffin-Lim (AutoFoley, section III-C: 16), where 0 inverts the phase as it is; "
        "or of the representation's own way back",
    )
    phase: Literal["zero", "random"] = Field(
        "zero", description="phase to start from, where the representation holds none"
    )
    contrast: float = Field(
        1.0,
        gt=0,
        description="power of magnitudes before Griffin-Lim, each row's mean kept: what is predicted "
        "is a mean of what might be, and too even; 1 leaves it as it is, as the papers do",
    )
    momentum: float = Field(0.0, ge=0, description="of the fast variant; 0 is Griffin and Lim's own")
    denoise: Literal["none", "block_threshold"] = Field(
        "none", description="V2RA's de-noising of what was made (Liu et al., section 3.3)"
    )
    block_threshold: BlockThresholdConfig = BlockThresholdConfig()
    peak_match: PeakMatchConfig | None = Field(
        None, description="V2RA's Algorithm 1 on what was made, after de-noising; null: not done"
    )
    shift: ShiftConfig | None = Field(
        None, description="also make the sound of a picture that comes later, for metric ``shift``"
    )

"""Settings of the way from a spectrogram to sound. Light: imports no numerical code."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

GRIFFIN_LIM = "griffin_lim"


class SynthesisConfig(BaseModel):
    """How a waveform is made of a spectrogram."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocoder: str = Field(
        GRIFFIN_LIM, description=f"{GRIFFIN_LIM}, or an entry of ``vocoders`` trained on the representation"
    )
    n_iterations: int = Field(
        16,
        ge=0,
        description="Griffin-Lim iterations (AutoFoley, section III-C: 16); 0 inverts the phase as it is",
    )
    phase: Literal["zero", "random"] = Field(
        "zero", description="phase to start from, where the representation holds none"
    )
    momentum: float = Field(0.0, ge=0, description="of the fast variant; 0 is Griffin and Lim's own")

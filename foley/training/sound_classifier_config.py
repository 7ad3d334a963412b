"""Settings of the sound classifier. Light: imports no numerical code."""

from pydantic import BaseModel, ConfigDict, Field


class SoundClassifierConfig(BaseModel):
    """Input, size and training of the classifier that judges generated sound."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_fft: int = Field(2048, ge=64, multiple_of=2, description="window and transform length in samples")
    hop_s: float = Field(0.02, gt=0, description="time step of the log-mel spectrogram")
    n_mels: int = Field(64, ge=8, description="mel bands, from 30 Hz up to half the sample rate")
    range_db: float = Field(80.0, gt=0, description="level under the top that counts as silence")
    level_normalised: bool = Field(
        True, description="levels are relative to the clip's loudest point, not to full scale"
    )
    width: int = Field(20, ge=1, description="channels of the first stage; doubled in each of the next two")
    epochs: int = Field(30, ge=1)
    batch_size: int = Field(32, ge=2)
    learning_rate: float = Field(3e-3, gt=0, description="peak of the cosine schedule")
    weight_decay: float = Field(1e-2, ge=0)
    label_smoothing: float = Field(0.05, ge=0, lt=1)
    crop_s: float = Field(2.4, gt=0, description="random stretch of a clip that an epoch sees")
    noise_db: float = Field(2.0, ge=0, description="standard deviation of noise on the log-mel values")
    floor_db: float = Field(
        35.0, ge=0, description="background noise is laid under the clip up to this far above silence"
    )
    tilt_db: float = Field(6.0, ge=0, description="largest random tilt of the spectrum, at its ends")

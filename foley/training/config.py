"""Settings of experiments. Light: imports no numerical code."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from foley.synthesis.config import SynthesisConfig
from foley.synthesis.probe_config import ProbeConfig


class TrainingConfig(BaseModel):
    """Settings of the training loop; the defaults are AutoFoley's (section IV-B)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(100, ge=1)
    batch_size: int = Field(128, ge=1, description="clips")
    lr: float = Field(0.001, gt=0, description="learning rate at the start")
    schedule: Literal["constant", "cosine", "linear_after"] = Field(
        "constant", description="course of the learning rate; linear_after falls to 0 in the last epoch"
    )
    constant_epochs: int = Field(100, ge=1, description="epochs before a linear_after begins to fall")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay")
    clip_norm: float | None = Field(1.0, gt=0, description="largest norm of the gradient")
    shared_start: bool = Field(
        False, description="draw the first weights from the seed alone, not from the experiment's name too"
    )
    processes: int = Field(
        1, ge=1, description="processes that share every batch; on cuda as many GPUs of one machine"
    )
    save_every: int = Field(10, ge=1, description="epochs between two states that a killed run resumes from")
    score_every: int = Field(5, ge=1, description="epochs between two scores for the curve")

    @model_validator(mode="after")
    def _falls_after_constant_epochs(self) -> "TrainingConfig":
        if self.schedule == "linear_after" and self.constant_epochs > self.epochs:
            raise ValueError(
                f"constant_epochs is {self.constant_epochs}, but there are {self.epochs} epochs; schedule "
                "linear_after takes no more"
            )
        return self


class ExperimentConfig(BaseModel):
    """One row of the tables: a system, what it sees and learns, and how it is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    system: str = Field(description="entry of ``systems`` in ``foley/registry.py``")
    visual: tuple[str, ...] = Field(
        (), description="<backbone>/<interpolation>/<frames|spacetime> or <backbone>/<flow>/flow, in order"
    )
    representation: str = Field(description="entry of ``representations``")
    mixture: str | None = Field(
        None, description="entry of ``mixtures``: mixed sound is learned, clean sound is what judges it"
    )
    labels: tuple[str, ...] = Field((), description="only these classes are learned and made; empty: all")
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    model: dict[str, Any] = Field(default_factory=dict, description="settings of the system's ``Config``")
    training: TrainingConfig = TrainingConfig()
    trained_as: str | None = Field(
        None, description="experiment whose trained model is taken: only what becomes of its sound differs"
    )
    synthesis: SynthesisConfig = SynthesisConfig()
    metrics: tuple[str, ...] = Field((), description="metrics to score; empty means all")
    probes: ProbeConfig = ProbeConfig()

    def trained_by(self) -> dict[str, Any]:
        """What decides the trained model, as JSON-like values: a change here retrains, no other."""
        return self.model_dump(
            mode="json",
            include={"system", "visual", "representation", "mixture", "labels", "model", "training"},
        )

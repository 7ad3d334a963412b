"""Settings of probes. Light: imports no numerical code."""

from pydantic import BaseModel, ConfigDict, Field


class ProbeConfig(BaseModel):
    """What to ask REGNET's audio forwarding regulariser once it is trained; by default nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alone: bool = Field(False, description="what is made of its output without a picture (REGNET, Table VI)")
    mix_in: tuple[str, ...] = Field(
        (), description="mixtures whose sound is fed to it when sound is made (Table VII)"
    )
    compare: tuple[str, ...] = Field(
        (), description="experiments whose regularisers' outputs are compared with its own (Table V)"
    )

    @property
    def asked(self) -> bool:
        """Whether there is anything to ask."""
        return self.alone or bool(self.mix_in) or bool(self.compare)

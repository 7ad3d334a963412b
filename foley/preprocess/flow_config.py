"""Settings of optical flow. Light: imports no numerical code."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TvL1Config(BaseModel):
    """Parameters of TV-L1; the defaults are OpenCV's, which REGNET's code leaves as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tau: float = Field(0.25, gt=0, description="time step of the dual variable; above 0.25 it may diverge")
    lambda_: float = Field(0.15, gt=0, description="weight of the data term, grey levels 0 to 255")
    theta: float = Field(0.3, gt=0, description="coupling of the two terms")
    n_scales: int = Field(5, ge=1, description="at most so many pictures in the pyramid")
    scale_step: float = Field(0.8, gt=0, lt=1, description="size of a scale, of the finer one")
    n_warps: int = Field(5, ge=1, description="warps on each scale")
    epsilon_px: float = Field(0.01, ge=0, description="root mean square change of the flow that ends a warp")
    n_outer: int = Field(10, ge=1, description="rounds between warps, each started by the median filter")
    n_inner: int = Field(30, ge=1, description="iterations of a round")
    median_px: Literal[1, 3, 5] = Field(5, description="side of the median filter of the flow; 1 for none")


class FlowConfig(BaseModel):
    """How flow is estimated and stored; the defaults are REGNET's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["tvl1", "dis"] = Field("tvl1", description="TV-L1, or dense inverse search")
    engine: Literal["torch", "opencv"] = Field("torch", description="who computes TV-L1; DIS is OpenCV's")
    fps: float = Field(21.5, gt=0, description="pictures a second between which flow is estimated")
    width_px: int = Field(340, ge=16, description="pictures are squeezed to this size first")
    height_px: int = Field(256, ge=16)
    bound_px: float = Field(20.0, gt=0, description="faster motion is cut off")
    tvl1: TvL1Config = TvL1Config()
    preset: Literal["ultrafast", "fast", "medium"] = Field("medium", description="effort of DIS")
    batch_size: int = Field(32, ge=1, description="pairs at a time on a GPU; on a CPU one is fastest")

    @property
    def by_torch(self) -> bool:
        """True where our own TV-L1 works, which is torch's and may be a GPU's."""
        return self.method == "tvl1" and self.engine == "torch"

"""What all configs share: plain, finite numbers within bounds."""

from __future__ import annotations

from typing import Annotated

import pydantic
from bench_depth.core.bounds import BOUNDS

# Far above what anyone trains, far below what exhausts the memory by a slip of the hand.
MAX_SIDE = 4096
MAX_CHANNELS = 8192
MAX_EPOCHS = int(BOUNDS["epochs"][1])
MAX_SEED = 2**63 - 2
Channels = Annotated[int, pydantic.Field(gt=0, le=MAX_CHANNELS)]
Weight = Annotated[float, pydantic.Field(ge=0, le=1e6)]


class Config(pydantic.BaseModel):
    """Plain, finite numbers: an unknown field is an error, nothing changes after reading."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

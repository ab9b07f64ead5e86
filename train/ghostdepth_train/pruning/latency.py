"""What predicts the milliseconds of an exported file, and the budget that it is held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import pydantic

from ghostdepth_train.config import Config
from ghostdepth_train.models.network import DepthNet

TargetFile = Literal["int8", "fp32"]


class Budget(Config):
    """A time that an exported file may take.

    Attributes:
        ms: Milliseconds of one invocation, as predicted.
        threads: Of the runtime.
        file: Which .tflite file it is.
    """

    ms: float = pydantic.Field(gt=0)
    threads: int = pydantic.Field(default=4, ge=1, le=4)
    file: TargetFile = "int8"

    @property
    def what(self) -> str:
        """Whose time it is, for messages."""
        return f"{self.file} file with {self.threads} thread{'s' * (self.threads > 1)}"


@dataclass(frozen=True)
class OpTime:
    """One op of the exported file.

    Attributes:
        kind: Its type, like `CONV_2D`.
        layer: The convolution that it is or whose channels it works on, named as in the state
            dict; empty where no width changes the op: resizing the camera's picture and the depth.
        own: Whether it is the convolution itself.
        ms: Predicted milliseconds.
    """

    kind: str
    layer: str
    own: bool
    ms: float


class Clock(Protocol):
    """Predicts the ops of a network's file, in the file's order."""

    def __call__(self, network: DepthNet, budget: Budget) -> list[OpTime]:
        """The ops of the file that `budget` names; `budget.ms` does not matter."""

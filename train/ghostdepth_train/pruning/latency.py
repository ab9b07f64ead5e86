"""The predicted latency of an exported file, and the budget that it must stay within."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import pydantic
from bench_depth.core.screen import counted

from ghostdepth_train.config import Config, parse_config
from ghostdepth_train.config.fields import Positive
from ghostdepth_train.models.network import DepthNet

TargetFile = Literal["int8", "fp32"]
# As in ghostdepth_export/pi4/latency/boards.py, which this package does not import.
TargetBoard = Literal["rpi4", "rpi4-1800", "rpi5", "zero2"]
# As in ghostdepth_export/pi4/counter/runtimes.py.
TargetRuntime = Literal["2.5", "litert", "onnxruntime"]
_OLDEST: TargetRuntime = "2.5"


class LatencyBudget(Config):
    """The largest predicted latency that an exported file may have.

    Attributes:
        ms: Milliseconds of one invocation, predicted.
        threads: Number of threads of the runtime, 1 to 4.
        file: Which file is meant: `int8` or `fp32`; a .onnx file in ONNX Runtime, else .tflite.
        board: Board that the latency is predicted for.
        runtime: Runtime that the latency is predicted for: `2.5`, TensorFlow Lite 2.5; `litert`,
            LiteRT; or `onnxruntime`, ONNX Runtime.
    """

    ms: Positive
    threads: int = pydantic.Field(default=4, ge=1, le=4)
    file: TargetFile = "int8"
    board: TargetBoard = "rpi4"
    # Left out where it is the oldest, as in the runs and studies from before there were others.
    runtime: TargetRuntime = pydantic.Field(
        default=_OLDEST, exclude_if=lambda name: name == _OLDEST
    )

    @property
    def what(self) -> str:
        """The file, its threads, and runtime and board if not the default, for messages."""
        threads = counted(self.threads, "thread")
        return f"{self.file} file with {threads}{self.elsewhere}"

    @property
    def elsewhere(self) -> str:
        """Runtime and board where they are not the default, for messages; empty otherwise."""
        where = f" in {self.runtime}" * (self.runtime != _OLDEST)
        return where + f" on {self.board}" * (self.board != "rpi4")


def time_budget(ms: float, threads: int, file: str, board: str, runtime: str) -> LatencyBudget:
    """The budget of a command's arguments, see `LatencyBudget`.

    Raises:
        UserError: One of them is out of its bounds or unknown; the line names it.
    """
    wanted = {"ms": ms, "threads": threads, "file": file, "board": board, "runtime": runtime}
    return parse_config(LatencyBudget, wanted, "the time budget")


@dataclass(frozen=True)
class LayerLatency:
    """The predicted latency of one op of an exported file, and the layer that the op belongs to.

    Attributes:
        kind: Type of the op, like `CONV_2D`.
        layer: Name, as in the state dict, of the convolution that the op is or whose channels it
            processes; empty where no width changes the op: resizing the camera's image and the
            depth map.
        own: Whether the op is the convolution itself.
        ms: Predicted milliseconds.
    """

    kind: str
    layer: str
    own: bool
    ms: float


class LatencyPredictor(Protocol):
    """Predicts the latency of every op of a network's exported file, in the file's order."""

    def __call__(self, network: DepthNet, budget: LatencyBudget) -> list[LayerLatency]:
        """Predicts for everything that `budget` names but `budget.ms`, which is not used."""

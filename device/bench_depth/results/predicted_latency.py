"""A latency that ghostdepth predicted, stored beside the measured ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PredictedLatency:
    """The predicted latency of a model on another machine.

    Attributes:
        board: Name of the machine, like `Raspberry Pi 4`.
        runtime: Name and version of the runtime, like `TensorFlow Lite 2.5`.
        threads: Number of threads of the interpreter.
        clock_mhz: Clock frequency of the processor, MHz.
        ms: Milliseconds of one invocation, predicted.
        low_ms: Lower end of the error band, milliseconds.
        high_ms: Upper end of the error band, milliseconds.
        method: Basis of the prediction.
    """

    board: str
    runtime: str
    threads: int
    clock_mhz: float
    ms: float
    low_ms: float
    high_ms: float
    method: str

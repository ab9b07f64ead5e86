"""A time that was not measured: what ghostdepth latencys, carried beside what was."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PredictedLatency:
    """The predicted time of a run on another machine; nothing of it was measured.

    Attributes:
        board: The machine, like `Raspberry Pi 4`.
        runtime: Like `TensorFlow Lite 2.5`.
        threads: Of the interpreter.
        clock_mhz: Of the processor.
        ms: Milliseconds of a warm run.
        low_ms: Lower end of the error band.
        high_ms: Upper end.
        method: What it was predicted from.
    """

    board: str
    runtime: str
    threads: int
    clock_mhz: float
    ms: float
    low_ms: float
    high_ms: float
    method: str

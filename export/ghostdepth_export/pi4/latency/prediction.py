"""Counts and coefficients -> milliseconds, op by op."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench_depth.core.errors import UserError
from ghostdepth_export.pi4.counter import ModelCounts, count
from ghostdepth_export.pi4.counter.graph import read_ops
from ghostdepth_export.pi4.counter.plugin import find_qemu
from ghostdepth_export.pi4.latency.coefficients import Coefficients, shipped
from ghostdepth_export.pi4.latency.costs import op_costs, outside_costs
from ghostdepth_export.pi4.latency.threads import threads_used
from ghostdepth_export.pi4.latency.work import OpWork, read_work

RUNTIMES = ("2.5",)
MOST_THREADS = 4
# What a Raspberry Pi 4 can be set to: slower than idle, faster than any overclock.
CLOCKS_MHZ = (300.0, 2500.0)


@dataclass(frozen=True)
class OpLatency:
    """One op's part of a prediction.

    Attributes:
        index: Its place in the order of execution, from 0.
        name: Its type, like `CONV_2D`.
        output: The name of its first output tensor.
        shape: Of that tensor, like `1x480x640x1`.
        threads: That share its work.
        compute_ms: The cycles of its busiest thread.
        memory_ms: Its lines to and from DRAM.
        wake_ms: Waking its threads.
        calibrated: Whether the networks of the fit hold enough ops of its type.
    """

    index: int
    name: str
    output: str
    shape: str
    threads: int
    compute_ms: float
    memory_ms: float
    wake_ms: float
    calibrated: bool

    @property
    def ms(self) -> float:
        """The sum."""
        return self.compute_ms + self.memory_ms + self.wake_ms

    @property
    def bound(self) -> Literal["issue", "memory"]:
        """What most of its time goes to."""
        return "memory" if self.memory_ms > self.compute_ms + self.wake_ms else "issue"


@dataclass(frozen=True)
class LatencyPrediction:
    """The predicted time of one warm invocation.

    Attributes:
        file: The model's file name.
        board: For which.
        runtime: TensorFlow Lite's version.
        threads: Of the interpreter.
        clock_mhz: Of the processor.
        ms: Milliseconds: the ops and what is outside them.
        low: Of the error band, milliseconds.
        high: Of the error band; more above than below, where ops are outside the calibration.
        outside_ms: Between and around the ops.
        ops: In the order of execution.
    """

    file: str
    board: str
    runtime: str
    threads: int
    clock_mhz: float
    ms: float
    low: float
    high: float
    outside_ms: float
    ops: list[OpLatency]

    @property
    def uncalibrated(self) -> dict[str, float]:
        """Milliseconds by type of op, of the types outside the calibration, longest first."""
        table: dict[str, float] = {}
        for op in self.ops:
            if not op.calibrated:
                table[op.name] = table.get(op.name, 0.0) + op.ms
        return dict(sorted(table.items(), key=lambda item: -item[1]))


def check_request(threads: int, clock_mhz: float | None, runtime: str) -> None:
    """Refuses what no prediction exists for.

    Raises:
        UserError: Of threads, clock or runtime.
    """
    if not 1 <= threads <= MOST_THREADS:
        raise UserError(f"--threads {threads}: a Raspberry Pi 4 has 1..{MOST_THREADS}")
    low, high = CLOCKS_MHZ
    if clock_mhz is not None and not low <= clock_mhz <= high:
        raise UserError(f"--clock {clock_mhz:g}: the clock is in MHz, {low:g}..{high:g}")
    if runtime not in RUNTIMES:
        raise UserError(
            f"--runtime {runtime}: only TensorFlow Lite {', '.join(RUNTIMES)} can be predicted"
        )


def predict_latency(
    counts: ModelCounts,
    work: Sequence[OpWork],
    coefficients: Coefficients,
    threads: int = MOST_THREADS,
    clock_mhz: float | None = None,
) -> LatencyPrediction:
    """Predicts the milliseconds of one warm invocation.

    ms = cycle * C + line * D + wake * N: C in million cycles, of each op those of its busiest
    thread; D in million lines read from or written to DRAM, which all cores share; N is the
    number of ops on several threads. Another clock scales the cycles only.

    Args:
        counts: Of one thread.
        work: The same model's ops, in the same order.
        coefficients: Of the board.
        threads: Of the interpreter, 1..4.
        clock_mhz: Of the processor; the coefficients' own where None.

    Returns:
        The sum, its error band, and every op.
    """
    clock = clock_mhz or coefficients.clock_mhz
    stretch = coefficients.clock_mhz / clock
    per_cycle = coefficients.cycle.value * stretch / 1e6
    per_line = coefficients.line.value / 1e6

    ops = []
    for op, of, cost in zip(counts.ops, work, op_costs(counts, work, threads), strict=True):
        assert op.name == of.name, (op, of)
        ops.append(
            OpLatency(
                op.index,
                op.name,
                op.output,
                op.shape,
                threads_used(of, threads),
                per_cycle * cost.cycles,
                per_line * cost.lines,
                coefficients.wake.value * cost.wakes,
                op.name in coefficients.calibrated,
            )
        )
    around = outside_costs(counts)
    outside = per_cycle * around.cycles + per_line * around.lines
    ms = outside + sum(op.ms for op in ops)
    error = coefficients.error(ms)
    unknown = sum(op.ms for op in ops if not op.calibrated)
    return LatencyPrediction(
        file=counts.file,
        board=coefficients.board,
        runtime=coefficients.runtime,
        threads=threads,
        clock_mhz=clock,
        ms=ms,
        low=ms * (1 - error),
        high=ms * (1 + error) + unknown * coefficients.uncalibrated_error,
        outside_ms=outside,
        ops=ops,
    )


def predict_file_latencies(
    models: Sequence[Path],
    threads: int = MOST_THREADS,
    clock_mhz: float | None = None,
    coefficients: Coefficients | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Iterator[LatencyPrediction]:
    """Counts models on the emulated processor and predicts their time; some ten seconds each.

    Args:
        models: .tflite files; all are looked at before the first is counted.
        threads: Of the interpreter, 1..4.
        clock_mhz: Of the processor; the coefficients' own where None.
        coefficients: Of the board; the shipped Raspberry Pi 4 where None.
        progress: Takes one line whenever something slow begins.

    Yields:
        One prediction a model, in order.

    Raises:
        UserError: A model cannot be counted, or a program is missing.
    """
    from ghostdepth_export.pi4.emulator import build_root

    check_request(threads, clock_mhz, RUNTIMES[0])
    for path in models:
        read_ops(path)
    find_qemu()
    root = build_root("bullseye", progress)
    for path in models:
        progress(f"counting {path.name}")
        counts = count(path, root)
        yield predict_latency(
            counts, read_work(path), coefficients or shipped(), threads, clock_mhz
        )

"""Instruction counts and coefficients -> latency, op by op."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench_depth.core.bounds import require_bounds
from bench_depth.core.errors import UserError
from bench_depth.model.released import find_model
from ghostdepth_export.pi4.counter import ModelCounts, OpCounts, choose_runtime, count, find_runtime
from ghostdepth_export.pi4.counter.graph import read_ops
from ghostdepth_export.pi4.counter.plugin import find_qemu
from ghostdepth_export.pi4.latency.boards import DEFAULT_BOARD, board_coefficients, find_board
from ghostdepth_export.pi4.latency.coefficients import Coefficients
from ghostdepth_export.pi4.latency.costs import Costs, op_costs, outside_costs
from ghostdepth_export.pi4.latency.roofline import RooflineLimit, op_limit
from ghostdepth_export.pi4.latency.threads import is_checked, threads_used
from ghostdepth_export.pi4.latency.work import OpWork, read_work

# The runtime whose threads `threads.py` models; the others are in the folder `runtimes`.
RUNTIMES = ("2.5",)
MOST_THREADS = 4


@dataclass(frozen=True)
class OpLatency:
    """Predicted latency of one op.

    Attributes:
        index: Position in the order of execution, from 0.
        name: Type of the op, like `CONV_2D`.
        output: Name of the first output tensor.
        shape: Shape of that tensor, like `1x480x640x1`.
        threads: Number of threads that share the work.
        compute_ms: Milliseconds for the cycles of the busiest thread.
        memory_ms: Milliseconds for lines read from and written to DRAM.
        wake_ms: Milliseconds for waking the threads.
        calibrated: Whether ops of this type are frequent enough in the fitted networks, with data
            types that occur there.
        split_checked: Whether it was checked how ops of this type and data type are split among
            threads; otherwise the time is that of one thread.
        dtype: Data type of the first output, like `INT8`; with that of the weights where it
            differs, like `FLOAT32 x INT8`.
        limit: Cycles of the whole op and the least that the chip allows; None where not known.
        delegated: Whether XNNPACK runs the op; None in a runtime without XNNPACK.
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
    split_checked: bool = True
    dtype: str = ""
    limit: RooflineLimit | None = None
    delegated: bool | None = None

    @property
    def ms(self) -> float:
        """Milliseconds in total."""
        return self.compute_ms + self.memory_ms + self.wake_ms

    @property
    def bound(self) -> Literal["issue", "memory"]:
        """The larger fraction of the latency: issuing instructions or memory."""
        return "memory" if self.memory_ms > self.compute_ms + self.wake_ms else "issue"


@dataclass(frozen=True)
class LatencyPrediction:
    """Predicted latency of one warm invocation.

    Attributes:
        file: Name of the model file.
        board: Name of the board that the prediction is for.
        runtime: Version of the runtime.
        threads: Number of threads of the interpreter.
        clock_mhz: CPU clock in MHz.
        ms: Milliseconds of one invocation, including the time outside the ops.
        low: Lower end of the error band, in milliseconds.
        high: Upper end of the error band, in milliseconds; ops outside the calibration raise it.
        outside_ms: Milliseconds between and around the ops.
        ops: Latency of each op, in the order of execution.
        label: Name of the runtime.
        judged: Whether nothing was fitted to published times of the runtime.
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
    label: str = "TensorFlow Lite"
    judged: bool = False

    @property
    def uncalibrated(self) -> dict[str, float]:
        """Milliseconds by type of op for types outside the calibration, longest first."""
        return _longest((op.name, op.ms) for op in self.ops if not op.calibrated)

    @property
    def kept(self) -> dict[str, float]:
        """Milliseconds by type of op that LiteRT keeps from XNNPACK, longest first."""
        return _longest((op.name, op.ms) for op in self.ops if op.delegated is False)

    @property
    def unsplit(self) -> dict[str, float]:
        """Milliseconds by type of op and data type where the split is unknown, longest first."""
        ops = (op for op in self.ops if not op.split_checked)
        return _longest((f"{op.name} {op.dtype}".strip(), op.ms) for op in ops)


def _longest(entries: Iterable[tuple[str, float]]) -> dict[str, float]:
    table: dict[str, float] = {}
    for name, ms in entries:
        table[name] = table.get(name, 0.0) + ms
    return dict(sorted(table.items(), key=lambda item: -item[1]))


def check_request(threads: int, clock_mhz: float | None, runtime: str) -> None:
    """Refuses settings that cannot be predicted.

    Raises:
        UserError: The threads, the clock or the runtime is not supported.
    """
    if not 1 <= threads <= MOST_THREADS:
        raise UserError(f"--threads {threads}: a Raspberry Pi has 1..{MOST_THREADS}")
    require_bounds(clock=clock_mhz)
    find_runtime(runtime)


def predict_latency(
    counts: ModelCounts,
    work: Sequence[OpWork],
    coefficients: Coefficients,
    threads: int = MOST_THREADS,
    clock_mhz: float | None = None,
) -> LatencyPrediction:
    """Predicts the latency of one warm invocation.

    ms = cycle * C + line * D + wake * N, where C is in million issue-limited cycles of each op's
    busiest thread, D in million lines read from or written to DRAM, which all cores share, and N is
    the number of ops on several threads. Another clock scales only the cycles. No op takes fewer
    cycles than the core needs to decode its instructions.

    Args:
        counts: Instruction counts of the model on one thread.
        work: Ops of the same model, in the same order.
        coefficients: Coefficients of the board.
        threads: Number of threads of the interpreter, 1..4.
        clock_mhz: CPU clock in MHz; None for the clock of the coefficients.

    Returns:
        The latency, its error band, and the latency of each op.
    """
    ops = []
    costs = op_costs(counts, work, threads, coefficients.least_cycles)
    for op, of, cost in zip(counts.ops, work, costs, strict=True):
        assert op.name == of.name, (op, of)
        calibrated = op.name in coefficients.calibrated and of.dtype in coefficients.types
        ops.append(
            op_latency(
                op,
                threads_used(of, threads),
                milliseconds(cost, coefficients, clock_mhz),
                calibrated=calibrated and is_checked(of),
                split_checked=is_checked(of),
                dtype=of.dtype if of.weights in (None, of.dtype) else f"{of.dtype} x {of.weights}",
                limit=op_limit(of, op.counts, counts.cpu),
            )
        )
    return summed(counts, ops, coefficients, threads, clock_mhz)


def op_latency(
    op: OpCounts, threads: int, ms: tuple[float, float, float], **more: Any
) -> OpLatency:
    """The latency of one op.

    Args:
        op: Counts of the op.
        threads: Number of threads that share its work.
        ms: Milliseconds as `milliseconds` returns them.
        more: The other fields of `OpLatency`.
    """
    return OpLatency(op.index, op.name, op.output, op.shape, threads, *ms, **more)


def milliseconds(
    cost: Costs, coefficients: Coefficients, clock_mhz: float | None = None
) -> tuple[float, float, float]:
    """Milliseconds of the cycles, of memory, and of waking threads.

    Args:
        cost: Costs of an op, or between the ops.
        coefficients: Coefficients of the board.
        clock_mhz: CPU clock in MHz; None for the clock of the coefficients.
    """
    stretch = coefficients.clock_mhz / (clock_mhz or coefficients.clock_mhz)
    return (
        coefficients.cycle.value * stretch / 1e6 * cost.cycles,
        (coefficients.line.value * cost.lines + coefficients.near * stretch * cost.near) / 1e6,
        coefficients.wake.value * cost.wakes,
    )


def summed(
    counts: ModelCounts,
    ops: list[OpLatency],
    coefficients: Coefficients,
    threads: int,
    clock_mhz: float | None = None,
) -> LatencyPrediction:
    """The latency of a model from that of its ops; arguments as in `predict_latency`."""
    outside = sum(
        milliseconds(outside_costs(counts, coefficients.least_cycles), coefficients, clock_mhz)
    )
    ms = outside + sum(op.ms for op in ops)
    error = coefficients.error(ms)
    unknown = sum(op.ms for op in ops if not op.calibrated)
    return LatencyPrediction(
        file=counts.file,
        board=coefficients.board,
        runtime=coefficients.runtime,
        threads=threads,
        clock_mhz=clock_mhz or coefficients.clock_mhz,
        ms=ms,
        low=ms * (1 - error),
        high=ms * (1 + error) + unknown * coefficients.uncalibrated_error,
        outside_ms=outside,
        ops=ops,
    )


def predict_file_latencies(
    models: Sequence[Path | str],
    threads: int = MOST_THREADS,
    clock_mhz: float | None = None,
    coefficients: Coefficients | None = None,
    progress: Callable[[str], None] = lambda line: None,
    board: str = DEFAULT_BOARD,
) -> Iterator[LatencyPrediction]:
    """Counts models on the emulated CPU and predicts their latency; about ten seconds each.

    Args:
        models: .tflite files, or names of released models; all are checked before the first is
            counted.
        threads: Number of threads of the interpreter, 1..4.
        clock_mhz: CPU clock in MHz; None for the clock of the coefficients.
        coefficients: Coefficients of a board with a Cortex-A72; None for those of `board`.
        progress: Called with one line of progress text at each slow step.
        board: Name of the board, one of `BOARDS`.

    Yields:
        One prediction per model, in order.

    Raises:
        UserError: A model cannot be counted, a program is missing, or there is no such board.
    """
    from ghostdepth_export.pi4.emulator import build_root

    check_request(threads, clock_mhz, RUNTIMES[0])
    known, cpu = coefficients or board_coefficients(board), find_board(board).cpu
    paths = [find_model(model) for model in models]
    for path in paths:
        choose_runtime(path, RUNTIMES[0])
        read_ops(path)
    find_qemu()
    root = build_root("bullseye", progress)
    for path in paths:
        progress(f"counting {path.name}")
        counts = count(path, root, cpu=cpu)
        yield predict_latency(counts, read_work(path), known, threads, clock_mhz)

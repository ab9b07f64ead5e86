"""Instruction counts in LiteRT or ONNX Runtime, stored or made, to latency."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench_depth.core.errors import UserError
from bench_depth.model.released import find_model
from ghostdepth_export.pi4.counter import (
    RUNTIMES,
    ModelCounts,
    OpCounts,
    choose_runtime,
    count,
)
from ghostdepth_export.pi4.counter.plugin import CPU, find_qemu
from ghostdepth_export.pi4.emulator import build_root
from ghostdepth_export.pi4.latency.boards import A76, DEFAULT_BOARD, find_board
from ghostdepth_export.pi4.latency.coefficients import Coefficients
from ghostdepth_export.pi4.latency.costs import split_cost
from ghostdepth_export.pi4.latency.prediction import (
    MOST_THREADS,
    LatencyPrediction,
    OpLatency,
    check_request,
    milliseconds,
    op_latency,
    summed,
)
from ghostdepth_export.pi4.latency.roofline import op_limit
from ghostdepth_export.pi4.latency.runtimes.evidence import runtime_coefficients
from ghostdepth_export.pi4.latency.runtimes.operators import match_work
from ghostdepth_export.pi4.latency.runtimes.pools import in_nhwc, share
from ghostdepth_export.pi4.latency.runtimes.stored import Key, read_stored
from ghostdepth_export.pi4.latency.runtimes.structure import Structure, read_structure
from ghostdepth_export.pi4.latency.ruy import ALONE
from ghostdepth_export.pi4.latency.work import OpWork, read_work


def predict_runtime_latencies(
    models: Sequence[Path | str],
    runtime: str,
    threads: int = MOST_THREADS,
    clock_mhz: float | None = None,
    board: str = DEFAULT_BOARD,
    progress: Callable[[str], None] = lambda line: None,
) -> Iterator[LatencyPrediction]:
    """Predicts the latency of models in LiteRT or ONNX Runtime.

    Structures whose counts are stored, those of the released models, need no emulator; others are
    counted, which takes some ten seconds for a network like those.

    Args:
        models: .tflite or .onnx files, or names of released models.
        runtime: `litert` or `onnxruntime`.
        threads: Number of threads of the interpreter or session, 1..4.
        clock_mhz: CPU clock in MHz; None for that of the board.
        board: Name of the board, one of `BOARDS`.
        progress: Called with one line of progress text at each slow step.

    Yields:
        One prediction per model, in order.

    Raises:
        UserError: A model cannot be counted, a program is missing, or there is no such board.
    """
    check_request(threads, clock_mhz, runtime)
    coefficients = runtime_coefficients(runtime, board)
    stored = read_stored()
    sources = [_by_name(model, runtime, board, stored) or _file(model, runtime) for model in models]
    for source in sources:
        if isinstance(source, ModelCounts):
            counts, work = source, None
        else:
            path, structure = source
            key = structure.key, runtime, core(structure.eight_bit, board)
            known = stored.get(key)
            counts = known or _count(path, runtime, key[-1], progress)
            counts = dataclasses.replace(counts, file=path.name)
            work = read_work(path) if runtime == "litert" else None
        yield predict_counts(counts, coefficients, threads, clock_mhz, work)


def core(eight_bit: bool, board: str) -> str:
    """QEMU's name of the core that a file is counted on for a board.

    Only 8-bit ops execute other instructions on a Cortex-A76 (SDOT). The library is told that it
    runs on a Raspberry Pi 4, so that its float kernels are a Cortex-A72's on every board.
    """
    return A76 if eight_bit and find_board(board).cpu == A76 else CPU


def predict_counts(
    counts: ModelCounts,
    coefficients: Coefficients,
    threads: int = MOST_THREADS,
    clock_mhz: float | None = None,
    work: Sequence[OpWork] | None = None,
) -> LatencyPrediction:
    """Predicts the latency of one warm invocation in the runtime of the counts.

    The sum is that of `predict_latency`, and `near` for each line that the first cache had not,
    which threads do not divide; lines that a stream of stores writes count as written only.
    `pools.share` gives how the work of an op is shared.

    Args:
        counts: Instruction counts of the model on one thread.
        coefficients: Coefficients of the runtime on the board.
        threads: Number of threads of the interpreter or session, 1..4.
        clock_mhz: CPU clock in MHz; None for the clock of the coefficients.
        work: Ops of the file of counts in LiteRT, for the limit of the chip; None without it.
    """
    ops, nhwc = [], in_nhwc(counts)
    of = match_work(counts, work) if work is not None else [None] * len(counts.ops)
    for op, its in zip(counts.ops, of, strict=True):
        found = share(op, counts.library, threads, nhwc)
        split = found or ALONE
        cost = split_cost(op, split, coefficients.least_cycles)
        latency = op_latency(
            op,
            split.threads,
            milliseconds(cost, coefficients, clock_mhz),
            # On another core 8-bit ops execute instructions that nothing was fitted to.
            calibrated=op.name in coefficients.calibrated and counts.cpu == CPU,
            split_checked=found is not None,
            delegated=op.tasks is not None if counts.library == "litert" else None,
        )
        ops.append(latency if its is None else _described(latency, op, its, counts.cpu))
    predicted = summed(counts, ops, coefficients, threads, clock_mhz)
    label = RUNTIMES[counts.library].label
    judged = not coefficients.calibrated
    return dataclasses.replace(predicted, runtime=counts.runtime, label=label, judged=judged)


def _described(latency: OpLatency, op: OpCounts, of: OpWork, cpu: str) -> OpLatency:
    """With what the file tells of an op that XNNPACK or LiteRT runs."""
    return dataclasses.replace(
        latency,
        shape="x".join(map(str, of.output)),
        dtype=of.dtype,
        limit=op_limit(of, op.counts, cpu, packs=False),
    )


def _by_name(
    model: Path | str, runtime: str, board: str, stored: Mapping[Key, ModelCounts]
) -> ModelCounts | None:
    """The counts of a released .onnx file that is asked for by name, which need not be here."""
    if RUNTIMES[runtime].suffix != ".onnx" or Path(model).suffix or Path(model).exists():
        return None
    names = {f"{model}.onnx": "int8" in str(model), f"{model}-int8.onnx": True}
    for (_, library, cpu), counts in stored.items():
        eight_bit = names.get(counts.file)
        if library == runtime and eight_bit is not None and cpu == core(eight_bit, board):
            return counts
    return None


def _file(model: Path | str, runtime: str) -> tuple[Path, Structure]:
    path = find_model(model)
    choose_runtime(path, runtime)
    return path, read_structure(path)


def _count(path: Path, runtime: str, cpu: str, progress: Callable[[str], None]) -> ModelCounts:
    label = RUNTIMES[runtime].label
    try:
        find_qemu()
    except UserError as error:
        raise UserError(
            f"{path.name} has to be counted in {label}: {error}; without QEMU only the released "
            "models are predicted",
            error.exit_code,
        ) from error
    root = build_root(RUNTIMES[runtime].root, progress)
    progress(f"counting {path.name} in {label}")
    return count(path, root, runtime, cpu)

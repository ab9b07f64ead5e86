"""What each thread does in every op of a model, on as many emulated CPUs as threads."""

from __future__ import annotations

from pathlib import Path

from ghostdepth_export.pi4.counter.counts import (
    model_section,
    ops_before,
    regions_of,
    run_model,
)
from ghostdepth_export.pi4.counter.graph import GraphOp
from ghostdepth_export.pi4.counter.listing import ThreadCounts
from ghostdepth_export.pi4.counter.plugin import THREADS


def count_threads(
    model: Path, root: Path, runtime: str = "2.5", threads: int = 4
) -> list[tuple[GraphOp, ThreadCounts]]:
    """Counts what the threads do in a warm invocation of a model, op by op.

    Every thread has an emulated CPU of its own, and all are equally fast whatever else the host
    does: one that is ahead waits. Two counts of the cycles differ by less than 1 %, as which thread
    takes the next piece of work is still not the same every time.

    Args:
        model: A .tflite or .onnx file.
        root: The emulator's root of the runtime.
        runtime: A key of `RUNTIMES`.
        threads: Number of threads of the interpreter or session.

    Returns:
        The ops in the order of execution, with their counts.

    Raises:
        UserError: The model cannot be counted, a program is missing, or the counts are
            inconsistent.
    """
    ops = ops_before(model, runtime)
    run = run_model(model, root, THREADS, runtime=runtime, threads=threads)
    strays = run.listing.strays
    doubts = [f"{strays} waits for a slower thread were given up; count again"] if strays else []
    section = model_section(model, run.listing, lambda counts: counts.cycles, doubts)
    return regions_of(model, run.kept if ops is None else ops, run.delegated, section)

"""What bench-depth's measuring loop adds to a run of the interpreter.

Measured: `bench_depth.timing.measure.measure` around the loaded model, as the command runs it.
Bare: the same interpreter called in a plain loop. Short blocks of both take turns; the ratio of
the medians of a block's time per run should be at most 1.01. The int8 file is the fastest, so the
one on which overhead weighs most.

    python benchmarks/bench_overhead.py [--model FILE.tflite]

Without --model the int8 file is exported from models/ghostdepth-s first.
"""

from __future__ import annotations

import argparse
import functools
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from bench_depth.machine.board import default_threads
from bench_depth.machine.guard import HANG
from bench_depth.timing.measure import TimingPlan, measure
from harness import ROOT, interleave, ready_model, run, write_result

ROUNDS = 120
RUNS = 8


def main() -> None:
    """Measures, prints the table, writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.model or _export(Path(folder))
        model = ready_model(path)
    # The same interpreter object, so that both use the same memory.
    bare = model.interpreter.invoke  # type: ignore[attr-defined]
    contenders = {"bare": _plain(bare), "measured": _measured(model.invoke)}
    interleave(3, contenders)
    times = interleave(ROUNDS, contenders)
    print(f"{path.name}, {model.name} {model.version}, {ROUNDS} blocks of {RUNS} runs each")
    for name, figures in times.items():
        low, high = np.percentile(figures, (25, 75))
        print(
            f"{name:10}{median(figures):10.4f} ms a run, half of the blocks {low:.4f} to {high:.4f}"
        )
    write_result(
        "bench_overhead",
        ratio=median(times["measured"]) / median(times["bare"]),
        target="<= 1.01",
        raw={
            "model": path.name,
            "runtime": f"{model.name} {model.version}",
            "threads": default_threads(),
            "runs_per_block": RUNS,
            "ms_per_run": times,
        },
    )


def _export(folder: Path) -> Path:
    from ghostdepth_export.convert.export import export

    checkpoint, samples = ROOT / "models" / "ghostdepth-s", ROOT / "samples"
    return export(checkpoint, folder, formats=["int8.tflite"], calibration=samples)[0]


def _plain(invoke: Callable[[], object]) -> Callable[[], float]:
    def block() -> float:
        started = time.perf_counter_ns()
        for _ in range(RUNS):
            invoke()
        return (time.perf_counter_ns() - started) / RUNS / 1e6

    return block


def _measured(invoke: Callable[[], object]) -> Callable[[], float]:
    plan = TimingPlan(warmup=0, min_runs=RUNS, min_time=0)
    arm = functools.partial(signal.setitimer, signal.ITIMER_REAL, HANG)

    def block() -> float:
        started = time.perf_counter_ns()
        timing = measure(invoke, plan, arm=arm)
        signal.setitimer(signal.ITIMER_REAL, 0)
        stopped = time.perf_counter_ns()
        return (stopped - started) / len(timing.times_ns) / 1e6

    return block


if __name__ == "__main__":
    run(main)

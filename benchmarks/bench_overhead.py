"""What bench-depth's measuring loop adds to a run of the interpreter.

Compared is the time from the end of a run of the interpreter to the beginning of the next: in the
loop of the command, with its progress on a terminal and a time limit for each run, and in a plain
loop around the same interpreter. The ratio, which should be at most 1.01, is that of a run
with the difference of the two medians to a run without. A run itself varies from one to the next by
more than the loop adds, and does not enter the difference: the figure repeats on a busy machine.

    python benchmarks/bench_overhead.py [--model NAME_OR_FILE]
"""

from __future__ import annotations

import argparse
import functools
import io
import itertools
import signal
import time
from collections.abc import Callable
from statistics import median
from types import SimpleNamespace
from typing import cast

import numpy as np
from bench_depth.benchmark.hooks import Hooks
from bench_depth.benchmark.stages import time_alone
from bench_depth.machine.board import default_threads
from bench_depth.model.released import find_model
from bench_depth.report.progress import ProgressScreen
from bench_depth.timing.measure import TimingPlan
from bench_depth.timing.session import Session
from harness import interleave, ready_model, run, write_result

ROUNDS = 40
RUNS = 50
# The fastest of the released models, on which the loop weighs most.
MODEL = "ghostdepth-nano"


class StampedRuns:
    """Runs of an interpreter, each with the times of its beginning and its end.

    Args:
        invoke: Runs the interpreter.
    """

    def __init__(self, invoke: Callable[[], object]) -> None:
        self._invoke = invoke
        self._stamps: list[tuple[int, int]] = []

    def __call__(self) -> None:
        """Runs it once."""
        begin = time.perf_counter_ns()
        self._invoke()
        self._stamps.append((begin, time.perf_counter_ns()))

    def take(self) -> tuple[list[int], list[int]]:
        """The times of the runs since the last call, and those between them, nanoseconds."""
        stamps, self._stamps = self._stamps, []
        between = [after[0] - before[1] for before, after in itertools.pairwise(stamps)]
        return [end - begin for begin, end in stamps], between


def main() -> None:
    """Measures, prints the table, writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=MODEL)
    options = parser.parse_args()
    path = find_model(options.model)
    model = ready_model(path)
    runs = StampedRuns(model.invoke)
    loops = {
        "plain": functools.partial(_plain, runs),
        "measured": functools.partial(_measured, runs),
    }
    invoke_ns: list[int] = []

    def block(loop: Callable[[], None]) -> float:
        loop()
        times, between = runs.take()
        invoke_ns.extend(times)
        return median(between) / 1e3

    contenders = {name: functools.partial(block, loop) for name, loop in loops.items()}
    interleave(3, contenders)
    invoke_ns.clear()
    between = interleave(ROUNDS, contenders)
    run_us = median(invoke_ns) / 1e3
    print(f"{path.name}, {model.name} {model.version}, {ROUNDS} blocks of {RUNS} runs each")
    print(f"a run {run_us:.1f} us")
    for name, figures in between.items():
        low, high = np.percentile(figures, (25, 75))
        print(
            f"between runs, {name:9}{median(figures):7.2f} us, half of the blocks {low:.2f} to "
            f"{high:.2f}"
        )
    added = median(between["measured"]) - median(between["plain"])
    write_result(
        "bench_overhead",
        ratio=1 + added / run_us,
        target="<= 1.01",
        raw={
            "model": path.name,
            "runtime": f"{model.name} {model.version}",
            "threads": default_threads(),
            "runs_per_block": RUNS,
            "us_per_run": run_us,
            "us_between_runs": between,
        },
    )


def _plain(invoke: Callable[[], object]) -> None:
    for _ in range(RUNS):
        invoke()


def _measured(invoke: Callable[[], object]) -> None:
    job = SimpleNamespace(path=MODEL, label=MODEL)
    session = cast(Session, SimpleNamespace(job=job, model=SimpleNamespace(invoke=invoke)))
    screen = ProgressScreen(io.StringIO(), terminal=True)
    hooks = Hooks(
        print,
        on_results=lambda results: None,
        on_run=screen.tick,
        on_task=lambda task, limit: signal.setitimer(signal.ITIMER_REAL, limit or 0),
    )
    time_alone(session, TimingPlan(warmup=0, min_runs=RUNS, min_time=0), hooks)


if __name__ == "__main__":
    run(main)

"""Start-up time of bench-depth, from the start of its process until it loads the model.

    python benchmarks/startup.py [--model FILE.tflite]

Measured: a process that runs the command and ends where the model would be loaded. Its CPU seconds,
including its children, should be at most 0.5 (median of ten): the work is single-threaded, so that
CPU time equals the wall time of an idle machine. Other programs, which share caches with it, make
that longer too. The wall time is reported as well. A bare `python -c`, and one that imports numpy
and OpenCV, which bench-depth requires, are interleaved with it.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from harness import ROOT, interleave, run, write_result

MODEL = ROOT / "device" / "bench_depth" / "models" / "ghostdepth-nano-int8.tflite"
ROUNDS = 10
LIMIT_S = 0.5
# The child process that would load the model reports the time at which it is reached.
_REPORT = "import os, time; os.write(1, str(time.monotonic_ns()).encode())"
_COMMAND = f"""
import sys
from bench_depth.commands import cli
def arrived(*_):
    {_REPORT}
    os._exit(0)
def wrapped(words):
    from bench_depth.machine import guard
    inner = guard.guarded
    def guarded(work):
        def in_child(doing):
            import bench_depth.benchmark.bench
            bench_depth.benchmark.bench.open_session = arrived
            return work(doing)
        return inner(in_child)
    guard.guarded = guarded
    return cli.main(words)
sys.exit(wrapped(sys.argv[1:]))
"""


def main() -> None:
    """Measures, prints the table, writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL)
    options = parser.parse_args()
    contenders = {
        "bare": [_REPORT],
        "numpy, cv2": [f"import numpy, cv2; {_REPORT}"],
        "bench-depth": [_COMMAND, "--model", str(options.model)],
    }
    for words in contenders.values():
        _start(words)  # Warms the file cache and writes the bytecode cache.
    clock: dict[str, list[float]] = {name: [] for name in contenders}

    def contender(name: str) -> Callable[[], float]:
        def start() -> float:
            cpu, seconds = _start(contenders[name])
            clock[name].append(seconds)
            return cpu

        return start

    cpu = interleave(ROUNDS, {name: contender(name) for name in contenders})
    for name, figures in cpu.items():
        print(f"{name:12}{median(figures):8.3f} CPU s,{median(clock[name]):8.3f} s on the clock")
    write_result(
        "startup",
        ratio=median(cpu["bench-depth"]) / LIMIT_S,
        target="<= 1",
        raw={
            "limit_s": LIMIT_S,
            "load_average": os.getloadavg()[0],
            "cpu_seconds": cpu,
            "clock_seconds": clock,
        },
    )


def _start(words: Sequence[str]) -> tuple[float, float]:
    """CPU seconds of a process and its children, and wall seconds until it reported."""
    before, begin = _children_cpu(), time.monotonic_ns()
    done = subprocess.run(
        [sys.executable, "-c", *words],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return _children_cpu() - before, (int(done.stdout) - begin) / 1e9


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    run(main)

"""How long bench-depth takes from the start of its process to just before it loads the model.

    python benchmarks/startup.py [--model FILE.tflite]

Measured: a process that runs the command and ends where the model would be loaded. Its CPU seconds,
those of its children among them, should be at most 0.5 (median of ten): one thread does it all, so
that is what an idle machine takes, and other programs do not change it. The seconds on the clock
until it is there are told besides. A bare `python -c`, and one that imports numpy and OpenCV, which
bench-depth cannot do without, take turns with it.
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

from harness import ROOT, interleave, median, run, write_result

MODEL = ROOT / "models" / "ghostdepth-xxs" / "ghostdepth-xxs-int8.tflite"
ROUNDS = 10
LIMIT_S = 0.5
# The child of bench-depth's guard, in which the model is loaded, says when it is there.
_SAY = "import os, time; os.write(1, str(time.monotonic_ns()).encode())"
_COMMAND = f"""
import sys
from bench_depth import cli
def arrived(*_):
    {_SAY}
    os._exit(0)
def wrapped(words):
    from bench_depth import guard
    inner = guard.guarded
    def guarded(work):
        def in_child(doing):
            import bench_depth.commands.bench
            bench_depth.commands.bench.open_session = arrived
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
        "bare": [_SAY],
        "numpy, cv2": [f"import numpy, cv2; {_SAY}"],
        "bench-depth": [_COMMAND, "--model", str(options.model)],
    }
    for words in contenders.values():
        _start(words)  # Reads the files into memory, writes what Python compiles.
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
    """CPU seconds of a process and its children, and seconds until it said that it is there."""
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

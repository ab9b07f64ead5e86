"""What the tests of bench-depth-native share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

HEIGHT, WIDTH = 480, 640
FILES = [f"ghostdepth-s-{variant}.tflite" for variant in ("fp32", "fp16", "dynamic", "int8")]
INT8 = "/models/ghostdepth-s-int8.tflite"
THREADS = (1, 4)
QUICK = ("--warmup", "0", "--min-runs", "2", "--min-time", "0")
PROGRAM = "/native/bench-depth-native"

Run = subprocess.CompletedProcess[str]
Native = Callable[..., Run]


def only_line(done: Run) -> str:
    """The error line of a run that printed nothing else."""
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("bench-depth-native: ")]
    assert done.stdout == ""
    return line

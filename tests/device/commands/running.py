"""The command as a process of its own."""

from __future__ import annotations

import subprocess
import sys

QUICK = ["--warmup", "1", "--min-runs", "3", "--min-time", "0"]


def run(*words: object, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench_depth", *map(str, words)],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )

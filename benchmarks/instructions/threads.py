"""What four threads do in each runtime, beside the rules that predict it.

    python benchmarks/instructions/threads.py [--models FOLDER]

Without --models the files of ghostdepth-nano are exported first. Each file runs twice on four
threads, each of an emulated CPU of its own (`count_threads`); the counts on one thread are those of
baseline.json and of `ghostdepth latency`. A file that threads.csv has rows of is not run again.

Writes threads.csv, a line for each type of op of each file in each runtime, and one, `all`, for
every file. Cycles are issue-limited ones:

    alone    of one thread
    rule     of the busiest thread by the rules of `ghostdepth latency`
    busiest  of the busiest thread: `alone`, divided as the work was
    clock    by the clock of the calling thread, waking and waiting included
    again    the same in the second run
    agree    ops in which as many threads had work as by the rules
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from itertools import product
from pathlib import Path

from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_bytes
from ghostdepth_export.pi4.counter import (
    RUNTIMES,
    ModelCounts,
    ThreadCounts,
    count_threads,
    read_counts,
)
from ghostdepth_export.pi4.counter.plugin import CPU
from ghostdepth_export.pi4.emulator import build_root
from ghostdepth_export.pi4.latency import read_work
from ghostdepth_export.pi4.latency.runtimes import in_nhwc, read_stored, read_structure, share
from ghostdepth_export.pi4.latency.ruy import ALONE
from ghostdepth_export.pi4.latency.threads import busiest_cycles, threads_used
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table

HERE = Path(__file__).resolve().parent
BASELINE, RESULTS = HERE / "baseline.json", HERE / "threads.csv"
MODEL, FORMATS, THREADS = "ghostdepth-nano", ("int8", "fp32"), 4
ALL = "all"
# A thread has work if it has this fraction of the busiest thread's, and more than a thread that
# waits in ONNX Runtime: its loop has up to 0.11 instructions with vector registers a cycle.
_OF_BUSIEST, _A_CYCLE = 0.1, 0.12


@dataclass(frozen=True)
class Cycles:
    """Ops, and their cycles; see above."""

    ops: int
    alone: float
    rule: float
    busiest: float
    clock: float
    again: float
    agree: int

    def __add__(self, other: Cycles) -> Cycles:
        return Cycles(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def working(counts: ThreadCounts) -> list[int]:
    """The work of the threads that have any; that of the calling one if none has."""
    least = max(_OF_BUSIEST * max(counts.work), _A_CYCLE * counts.cycles)
    return [work for work in counts.work if work >= least] or [1]


def rules(path: Path, counts: ModelCounts) -> list[tuple[int, float]]:
    """Threads and cycles of the busiest one of every op, as `ghostdepth latency` has them."""
    if counts.library == "2.5":
        return [
            (threads_used(work, THREADS), busiest_cycles(work, op.counts.cycles, THREADS))
            for op, work in zip(counts.ops, read_work(path), strict=True)
        ]
    nhwc = in_nhwc(counts)
    splits = [share(op, counts.library, THREADS, nhwc) or ALONE for op in counts.ops]
    return [
        (split.threads, op.counts.cycles / split.speed_up)
        for op, split in zip(counts.ops, splits, strict=True)
    ]


def compare(
    path: Path, alone: ModelCounts, first: Sequence[ThreadCounts], second: Sequence[ThreadCounts]
) -> dict[str, Cycles]:
    """The cycles of a file's ops by type, most of one thread first, and of all."""
    table: dict[str, Cycles] = {}
    nothing = Cycles(0, 0, 0, 0, 0, 0, 0)
    for op, (threads, rule), one, two in zip(
        alone.ops, rules(path, alone), first, second, strict=True
    ):
        work, cycles = working(one), op.counts.cycles
        row = Cycles(
            ops=1,
            alone=cycles,
            rule=rule,
            busiest=cycles * max(work) / sum(work),
            clock=one.cycles,
            again=two.cycles,
            agree=int(len(work) == threads),
        )
        for name in (op.name, ALL):
            table[name] = table.get(name, nothing) + row
    return dict(sorted(table.items(), key=lambda item: -item[1].alone))


def alone(path: Path, runtime: str) -> ModelCounts:
    """The counts of a file on one thread."""
    if runtime == "2.5":
        return next(counts for counts in read_counts(BASELINE) if counts.file == path.name)
    return read_stored()[read_structure(path).key, runtime, CPU]


def count(path: Path, runtime: str) -> list[dict[str, str]]:
    """The lines of a file in a runtime."""
    root = build_root(RUNTIMES[runtime].root)
    runs = [count_threads(path, root, runtime, THREADS) for _ in range(2)]
    first, second = ([counts for _, counts in run] for run in runs)
    return [
        {
            "model": path.stem,
            "runtime": runtime,
            "op": name,
            **{field.name: str(round(getattr(row, field.name))) for field in fields(row)},
        }
        for name, row in compare(path, alone(path, runtime), first, second).items()
    ]


def table() -> str:
    """The sums of each file in each runtime as a table of Markdown, in million cycles."""
    heads = ["model", "runtime", "one thread", "busiest thread, rules", "busiest thread, counted"]
    heads += ["by the clock", "second run", "ops", "as many threads as by the rules"]
    lines = []
    for row in csv_rows(RESULTS):
        if row["op"] == ALL:
            names = ("alone", "rule", "busiest", "clock")
            millions = [f"{int(row[name]) / 1e6:.2f}" for name in names]
            again = f"{int(row['again']) / int(row['clock']) - 1:+.2%}"
            label = RUNTIMES[row["runtime"]].label
            lines.append([row["model"], label, *millions, again, row["ops"], row["agree"]])
    return markdown_table(heads, lines, (0, 1))


def main() -> int:
    """Runs what has no rows; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, help="folder of exported files")
    options = parser.parse_args()
    rows = csv_rows(RESULTS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.models or Path(temporary)
        if options.models is None:
            from ghostdepth_export.convert.export import export

            root = HERE.parents[1]
            formats = [f"{kind}{suffix}" for kind in FORMATS for suffix in (".tflite", ".onnx")]
            export(root / "models" / MODEL, folder, formats=formats, calibration=root / "samples")
        for kind, runtime in product(FORMATS, RUNTIMES):
            path = folder / f"{MODEL}-{kind}{RUNTIMES[runtime].suffix}"
            if not any((row["model"], row["runtime"]) == (path.stem, runtime) for row in rows):
                rows += count(path, runtime)
                rows.sort(key=lambda row: (row["model"], list(RUNTIMES).index(row["runtime"])))
                write_bytes(RESULTS, csv_bytes(rows))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("threads.py", main))

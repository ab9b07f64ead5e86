"""Holds the costliest kinds of op of the released files against the limit of the chip.

    python benchmarks/latency/limits.py [--files FOLDER]

In TensorFlow Lite 2.5 and in LiteRT, from committed counts of a Cortex-A72; FOLDER as in
released.py. Writes limits.csv.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_bytes
from ghostdepth_export.pages.roofline_page import kinds
from ghostdepth_export.pi4.counter import read_counts
from ghostdepth_export.pi4.counter.plugin import CPU
from ghostdepth_export.pi4.latency import OpLatency, predict_latency, read_work, shipped
from ghostdepth_export.pi4.latency.runtimes import (
    predict_counts,
    read_stored,
    read_structure,
    runtime_coefficients,
)
from ghostdepth_train.csv_files import csv_bytes
from released import COUNTS, files, require_counted

RESULTS = Path(__file__).resolve().parent / "limits.csv"
_COSTLIEST = 3


def costliest(folder: Path | None) -> list[dict[str, str]]:
    """The costliest kinds of op of all files of a type, by type and runtime.

    Raises:
        UserError: A file is not the one that was counted.
    """
    counted = {model.file: model for model in read_counts(COUNTS)}
    stored, litert = read_stored(), runtime_coefficients("litert")
    ops: dict[tuple[str, str], list[OpLatency]] = {}
    for path in files(folder):
        work, kind = read_work(path), path.stem.rpartition("-")[2]
        require_counted(path, work, counted[path.name])
        found = {
            "TensorFlow Lite 2.5": predict_latency(counted[path.name], work, shipped()),
            "LiteRT": predict_counts(
                stored[read_structure(path).key, "litert", CPU], litert, work=work
            ),
        }
        for runtime, prediction in found.items():
            ops.setdefault((kind, runtime), []).extend(prediction.ops)
    return [
        {
            "type": type_,
            "runtime": runtime,
            "kind": kind.name,
            "ops": str(kind.number),
            "ms": f"{kind.ms:.1f}",
            "mcycles": f"{kind.cycles:.1f}",
            "limit_mcycles": f"{kind.least:.1f}",
            "why": kind.reasons,
        }
        for (type_, runtime), every in sorted(ops.items())
        for kind in kinds(every)[:_COSTLIEST]
    ]


def main() -> int:
    """Writes the figures; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="exported released files")
    written = csv_bytes(costliest(parser.parse_args().files))
    write_bytes(RESULTS, written)
    print(written.decode(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("limits.py", main))

"""Predicts the released models in LiteRT and ONNX Runtime on every board, from stored counts.

    python benchmarks/latency/released_runtimes.py

Nothing is counted: the counts are those of benchmarks/instructions/runtimes.py, and the rows of
TensorFlow Lite 2.5 those of released-boards.csv. Writes released-runtimes.csv; to be run after
counts, coefficients or factors have changed. int8 files are predicted for a Raspberry Pi 5 where
they were counted on a Cortex-A76.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench_depth.core.files import write_bytes
from ghostdepth_export.pi4.counter import RUNTIMES, ModelCounts
from ghostdepth_export.pi4.latency import BOARDS
from ghostdepth_export.pi4.latency.runtimes import (
    predict_counts,
    read_stored,
    runtime_coefficients,
)
from ghostdepth_export.pi4.latency.runtimes.prediction import core
from ghostdepth_train.csv_files import csv_bytes, csv_rows

HERE = Path(__file__).resolve().parent
RESULTS, PLAIN = HERE / "released-runtimes.csv", HERE / "released-boards.csv"
# Types of files that are counted.
FORMATS = ("fp32", "int8")


def rows() -> list[dict[str, str]]:
    """One row a model, type, runtime and board."""
    found = [_line(row["file"], "2.5", row["board"], row) for row in csv_rows(PLAIN)]
    for (_, runtime, cpu), counts in read_stored().items():
        for board in BOARDS:
            if cpu == core("-int8." in counts.file, board):
                found.append(_line(counts.file, runtime, board, _predicted(counts, runtime, board)))
    order = [list(RUNTIMES), list(BOARDS)]
    return sorted(
        found,
        key=lambda r: (r["model"], order[0].index(r["runtime"]), order[1].index(r["board"])),
    )


def _predicted(counts: ModelCounts, runtime: str, board: str) -> dict[str, str]:
    predicted = predict_counts(counts, runtime_coefficients(runtime, board))
    figures = {"ms": predicted.ms, "low": predicted.low, "high": predicted.high}
    return {name: f"{ms:.2f}" for name, ms in figures.items()}


def _line(file: str, runtime: str, board: str, figures: dict[str, str]) -> dict[str, str]:
    model = file.rpartition(".")[0]
    kept = {name: figures[name] for name in ("ms", "low", "high")}
    return {"model": model, "file": file, "runtime": runtime, "board": board, **kept}


def main() -> int:
    """Writes the rows; gives the exit code."""
    write_bytes(RESULTS, csv_bytes(rows()))
    return 0


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    sys.exit(main())

"""Predicts the released models' files from the committed counts of benchmarks/instructions.

    python benchmarks/latency/released.py

Exports the files, since their shapes tell how the work is shared; nothing is counted. Writes
released.csv; to be run after either the counts or the coefficients have changed.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

from bench_depth.core.errors import UserError
from ghostdepth_export.convert.export import export
from ghostdepth_export.pi4.counter import read_counts
from ghostdepth_export.pi4.latency import predict_latency, read_work, shipped

ROOT = Path(__file__).resolve().parents[2]
COUNTS = ROOT / "benchmarks" / "instructions" / "baseline.json"
RESULTS = Path(__file__).resolve().parent / "released.csv"
FORMATS = ("fp32.tflite", "int8.tflite")
_NAMED = 3


def released() -> list[dict[str, str]]:
    """One row a file.

    Raises:
        UserError: A file is not the one that was counted.
    """
    counts = {model.file: model for model in read_counts(COUNTS)}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for weights in sorted(ROOT.glob("models/*/model.safetensors")):
            for path in export(weights.parent, Path(folder), formats=FORMATS):
                work, counted = read_work(path), counts[path.name]
                if [op.name for op in work] != [op.name for op in counted.ops]:
                    raise UserError(f"{path.name} is not what {COUNTS.name} counted; count it anew")
                four, one = (
                    predict_latency(counted, work, shipped(), threads) for threads in (4, 1)
                )
                types: dict[str, float] = {}
                for op in four.ops:
                    types[op.name] = types.get(op.name, 0.0) + op.ms
                largest = sorted(types.items(), key=lambda item: -item[1])[:_NAMED]
                rows.append(
                    {
                        "file": path.name,
                        "ms_4_threads": f"{four.ms:.2f}",
                        "low": f"{four.low:.2f}",
                        "high": f"{four.high:.2f}",
                        "ms_1_thread": f"{one.ms:.2f}",
                        "where": ", ".join(f"{name} {ms:.1f}" for name, ms in largest),
                    }
                )
    return rows


def main() -> int:
    """Writes the rows; gives the exit code."""
    try:
        rows = released()
    except UserError as error:
        print(f"released.py: {error}", file=sys.stderr)
        return error.exit_code
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

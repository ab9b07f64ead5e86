"""Instructions of the released models in each runtime, one thread.

    python benchmarks/instructions/runtimes.py [--models FOLDER]

Without --models the files of the released checkpoints are exported first. Each count is written
to runtimes.csv as soon as it is made; rows that are there are kept, so that an interrupted run goes
on: delete the file to count all anew. The rows of TensorFlow Lite 2.5 come from baseline.json.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
import tempfile
from pathlib import Path

from bench_depth.core.errors import UserError
from bench_depth.core.files import write_bytes
from ghostdepth_export.pi4.counter import (
    RUNTIMES,
    ModelCounts,
    by_type,
    count_file,
    read_counts,
)
from ghostdepth_train.csv_files import csv_bytes

FORMATS = ("fp32", "int8")
HERE = Path(__file__).resolve().parent
ROOT, BASELINE, RESULTS = HERE.parents[1], HERE / "baseline.json", HERE / "runtimes.csv"
CHECKPOINTS = tuple(sorted(path.parent for path in ROOT.glob("models/*/model.safetensors")))
FIGURES = ("instructions", "loads", "stores", "cycles", "l1d_misses", "l2_misses", "writebacks")
FIELDS = ("model", "file", "runtime", "version", *FIGURES, "outside", "most")
# How many types of op are named.
_NAMED = 3


def row(counts: ModelCounts) -> dict[str, str]:
    """One line of the results; `outside` is a fraction of the instructions."""
    total = counts.total
    most = list(by_type(counts.ops).items())[:_NAMED]
    shares = [f"{name} {of.instructions / total.instructions:.0%}" for name, (_, of) in most]
    figures = [total.instructions, total.loads, total.stores, round(total.cycles)]
    figures += [total.l1d_misses, total.l2_misses, total.writebacks]
    stem = counts.file.rpartition(".")[0]
    outside = counts.outside.instructions / total.instructions
    head = [stem, counts.file, counts.library, counts.runtime, *map(str, figures)]
    return dict(zip(FIELDS, [*head, f"{outside:.4f}", ", ".join(shares)], strict=True))


def read_rows() -> list[dict[str, str]]:
    """The rows of runtimes.csv, none where there is no such file."""
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def add_row(new: dict[str, str]) -> None:
    """Writes a row among the others, in the order of the files."""
    rows = sorted([*read_rows(), new], key=lambda row: (row["model"], row["runtime"]))
    write_bytes(RESULTS, csv_bytes(rows))


def table() -> str:
    """The results as a table of Markdown, a line for each file of a model."""
    lines = [
        "| model | runtime | M instructions | M loads | M issue cycles | k L1D misses "
        "| k L2 misses | outside the ops | where the instructions are |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in read_rows():
        millions = [f"{int(row[n]) / 1e6:.1f}" for n in ("instructions", "loads", "cycles")]
        thousands = [f"{int(row[n]) / 1e3:.0f}" for n in ("l1d_misses", "l2_misses")]
        runtime = f"{RUNTIMES[row['runtime']].label} {row['version'].partition('.post')[0]}"
        cells = [row["model"], runtime, *millions, *thousands]
        cells += [f"{float(row['outside']):.2%}", row["most"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def export_all(folder: Path) -> None:
    """Exports the files that are counted."""
    from ghostdepth_export.convert.export import export

    formats = [f"{kind}.{suffix}" for kind in FORMATS for suffix in ("tflite", "onnx")]
    for checkpoint in CHECKPOINTS:
        export(checkpoint, folder, formats=formats, calibration=ROOT / "samples")


def count_all(folder: Path) -> None:
    """Counts the files that have no row."""
    there = {(row["file"], row["runtime"]) for row in read_rows()}
    of_baseline = {counts.file: counts for counts in read_counts(BASELINE)}
    # Runtime by runtime, those of the baseline first: nothing has to be counted for them.
    for (name, runtime), checkpoint, kind in itertools.product(
        RUNTIMES.items(), CHECKPOINTS, FORMATS
    ):
        path = folder / f"{checkpoint.name}-{kind}{runtime.suffix}"
        if (path.name, name) not in there:
            known = of_baseline[path.name] if name == "2.5" else None
            add_row(row(known or count_file(path, name)))


def main() -> int:
    """Counts what is missing; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, help="folder of exported files")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as temporary:
            if options.models is None:
                export_all(Path(temporary))
            count_all(options.models or Path(temporary))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

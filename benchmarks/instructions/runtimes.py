"""Instructions of the released models in each runtime, one thread.

    python benchmarks/instructions/runtimes.py [--models FOLDER] [--a76]

Without --models the files of the released checkpoints are exported first. Counts of LiteRT and ONNX
Runtime are kept by structure, that is by ops and shapes, in `counts.json` of the package
ghostdepth_export.pi4.latency.runtimes, and written as soon as each is made: a retrained network
is not counted again, a changed one is, and an interrupted run continues. --a76 also counts int8
files on a Cortex-A76, for a Raspberry Pi 5. Then runtimes.csv is written, with the rows of
TensorFlow Lite 2.5 from baseline.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_bytes
from ghostdepth_export.pi4.counter import (
    RUNTIMES,
    ModelCounts,
    by_type,
    count_file,
    read_counts,
)
from ghostdepth_export.pi4.counter.plugin import CPU
from ghostdepth_export.pi4.latency import runtimes as package
from ghostdepth_export.pi4.latency.boards import A76
from ghostdepth_export.pi4.latency.runtimes import read_stored, read_structure, write_stored
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table

FORMATS = ("fp32", "int8")
HERE = Path(__file__).resolve().parent
ROOT, BASELINE, RESULTS = HERE.parents[1], HERE / "baseline.json", HERE / "runtimes.csv"
STORED = Path(str(resources.files(package) / "counts.json"))
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
    """The rows of runtimes.csv."""
    return csv_rows(RESULTS)


def rows() -> list[dict[str, str]]:
    """All rows: from baseline.json, from the stored counts of a Cortex-A72, and the older ones."""
    names = [f"{path.name}-{kind}" for path in CHECKPOINTS for kind in FORMATS]
    found = [counts for counts in read_counts(BASELINE) if counts.file.endswith(".tflite")]
    found += [counts for (*_, cpu), counts in read_stored(STORED).items() if cpu == CPU]
    lines = {(line["file"], line["runtime"]): line for line in [*read_rows(), *map(row, found)]}
    order = list(RUNTIMES)
    return sorted(
        (line for line in lines.values() if line["model"] in names),
        key=lambda line: (line["model"], order.index(line["runtime"])),
    )


def table() -> str:
    """The results as a table of Markdown, a line for each file of a model."""
    heads = ["model", "runtime", "M instructions", "M loads", "M issue cycles", "k L1D misses"]
    heads += ["k L2 misses", "outside the ops", "where the instructions are"]
    lines = []
    for row in read_rows():
        millions = [f"{int(row[n]) / 1e6:.1f}" for n in ("instructions", "loads", "cycles")]
        thousands = [f"{int(row[n]) / 1e3:.0f}" for n in ("l1d_misses", "l2_misses")]
        runtime = f"{RUNTIMES[row['runtime']].label} {row['version'].partition('.post')[0]}"
        cells = [row["model"], runtime, *millions, *thousands]
        lines.append([*cells, f"{float(row['outside']):.2%}", row["most"]])
    return markdown_table(heads, lines, (0, 1, 8))


def export_all(folder: Path) -> None:
    """Exports the files that are counted."""
    from ghostdepth_export.convert.export import export

    formats = [f"{kind}.{suffix}" for kind in FORMATS for suffix in ("tflite", "onnx")]
    for checkpoint in CHECKPOINTS:
        export(checkpoint, folder, formats=formats, calibration=ROOT / "samples")


def files(folder: Path, on_a76: bool) -> Iterator[tuple[Path, str, str]]:
    """Each file that is counted, with the runtime and the core."""
    cores = (CPU, A76) if on_a76 else (CPU,)
    named = [name for name in RUNTIMES if name != "2.5"]
    for cpu, runtime, checkpoint, kind in itertools.product(cores, named, CHECKPOINTS, FORMATS):
        if cpu == CPU or kind == "int8":
            suffix = RUNTIMES[runtime].suffix
            yield folder / f"{checkpoint.name}-{kind}{suffix}", runtime, cpu


def count_all(folder: Path, on_a76: bool) -> None:
    """Counts the structures that have no counts."""
    for path, runtime, cpu in files(folder, on_a76):
        key = (read_structure(path).key, runtime, cpu)
        stored = read_stored(STORED)
        counts = stored.get(key) or count_file(path, runtime, cpu=cpu)
        # What the same name stood for before is no longer released.
        others = {
            of: model
            for of, model in stored.items()
            if of == key or of[1:] != key[1:] or model.file != path.name
        }
        write_stored(STORED, {**others, key: dataclasses.replace(counts, file=path.name)})


def main() -> int:
    """Counts what is missing and writes the rows; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, help="folder of exported files")
    parser.add_argument("--a76", action="store_true", help="int8 files on a Cortex-A76, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if options.models is None:
            export_all(Path(temporary))
        count_all(options.models or Path(temporary), options.a76)
    write_bytes(RESULTS, csv_bytes(rows()))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("runtimes.py", main))

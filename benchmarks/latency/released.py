"""Predicts the released models' files on every board, from committed counts.

    python benchmarks/latency/released.py [--files FOLDER] [--count]

Shapes tell how the work is shared, so the files are exported first, or taken from FOLDER, as
`make models` builds it. Instructions are those of a Cortex-A72 in benchmarks/instructions; only
int8 files execute others on a Cortex-A76, counted in counts-a76.json, which --count makes anew.
Writes released.csv and released-boards.csv; to be run after counts, coefficients or factors have
changed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench_depth.core.errors import UserError, exit_code
from bench_depth.core.files import write_bytes
from ghostdepth_export.pi4.counter import ModelCounts, count, read_counts, write_counts
from ghostdepth_export.pi4.latency import (
    BOARDS,
    LatencyPrediction,
    OpWork,
    PredictedBoard,
    board_coefficients,
    predict_latency,
    read_work,
    shipped,
)
from ghostdepth_export.pi4.latency.boards import A76
from ghostdepth_train.csv_files import csv_bytes

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
COUNTS, COUNTS_A76 = (
    ROOT / "benchmarks" / "instructions" / "baseline.json",
    HERE / "counts-a76.json",
)
RESULTS, BOARD_RESULTS = HERE / "released.csv", HERE / "released-boards.csv"
FORMATS = ("fp32.tflite", "int8.tflite")
# Kind of file, and its ops with their shapes.
Graph = tuple[str, ...]
_NAMED = 3


def files(folder: Path | None) -> Iterator[Path]:
    """The released files, exported one model after the other where no folder has them."""
    with tempfile.TemporaryDirectory() as temporary:
        for weights in sorted(ROOT.glob("models/*/model.safetensors")):
            name = weights.parent.name
            if folder is None:
                from ghostdepth_export.convert.export import export

                yield from export(weights.parent, Path(temporary), formats=FORMATS)
            else:
                yield from (folder / f"{name}-{each}" for each in FORMATS)


def released(folder: Path | None) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """One row a file for the Raspberry Pi 4, and one a file and board.

    Raises:
        UserError: A file is not the one that was counted.
    """
    counts = {model.file: model for model in read_counts(COUNTS)}
    on_a76 = {_graph(model): model for model in read_counts(COUNTS_A76)}
    rows, board_rows = [], []
    for path in files(folder):
        work, counted = read_work(path), counts[path.name]
        require_counted(path, work, counted)
        rows.append(_row(path.name, counted, work))
        for board in BOARDS.values():
            own = counts_for(board, counted, on_a76)
            board_rows.append(_board_row(path.name, board, own, work))
    return rows, board_rows


def counts_for(
    board: PredictedBoard, counted: ModelCounts, on_a76: Mapping[Graph, ModelCounts]
) -> ModelCounts:
    """The counts of a file on a board's core; only int8 files have others on a Cortex-A76.

    Args:
        board: The board.
        counted: Counts on a Cortex-A72.
        on_a76: Counts on a Cortex-A76 by `_graph`.

    Raises:
        UserError: None of those on a Cortex-A76 is of the file's ops.
    """
    graph = _graph(counted)
    if board.cpu != A76 or graph[0] != FORMATS[1]:
        return counted
    if graph not in on_a76:
        raise UserError(
            f"{counted.file} has other ops than those that {COUNTS_A76.name} counted on a "
            "Cortex-A76; run released.py --count"
        )
    return on_a76[graph]


def require_counted(path: Path, work: Sequence[OpWork], counts: ModelCounts) -> None:
    """Refuses counts of a file's ops that are of other ops, or in another order.

    Raises:
        UserError: They are.
    """
    if [op.name for op in work] != [op.name for op in counts.ops]:
        raise UserError(f"{path.name} is not what {COUNTS.name} counted; count it anew")


def _graph(counts: ModelCounts) -> Graph:
    """What two files of one architecture share, whatever their weights."""
    return counts.file.rpartition("-")[2], *(f"{op.name} {op.shape}" for op in counts.ops)


def _row(name: str, counted: ModelCounts, work: Sequence[OpWork]) -> dict[str, str]:
    four, one = (predict_latency(counted, work, shipped(), threads) for threads in (4, 1))
    types: dict[str, float] = {}
    for op in four.ops:
        types[op.name] = types.get(op.name, 0.0) + op.ms
    largest = sorted(types.items(), key=lambda item: -item[1])[:_NAMED]
    return {
        "file": name,
        "ms_4_threads": f"{four.ms:.2f}",
        "low": f"{four.low:.2f}",
        "high": f"{four.high:.2f}",
        "ms_1_thread": f"{one.ms:.2f}",
        "where": ", ".join(f"{name} {ms:.1f}" for name, ms in largest),
    }


def _board_row(
    name: str, board: PredictedBoard, counted: ModelCounts, work: Sequence[OpWork]
) -> dict[str, str]:
    found: LatencyPrediction = predict_latency(counted, work, board_coefficients(board.name))
    figures = {"ms": found.ms, "low": found.low, "high": found.high}
    return {"file": name, "board": board.name, **{k: f"{v:.2f}" for k, v in figures.items()}}


def count_on_a76(folder: Path | None) -> None:
    """Counts one int8 file of each architecture on an emulated Cortex-A76.

    Raises:
        UserError: A file cannot be counted, or a program is missing.
    """
    from ghostdepth_export.pi4.emulator import build_root

    root = build_root("bullseye")
    found: dict[object, ModelCounts] = {}
    known = {model.file: _graph(model) for model in read_counts(COUNTS)}
    for path in files(folder):
        if path.name.endswith(FORMATS[1]) and known[path.name] not in found:
            found[known[path.name]] = count(path, root, cpu=A76)
    write_counts(COUNTS_A76, list(found.values()))


def main(arguments: argparse.Namespace) -> int:
    """Writes the rows; gives the exit code."""
    if arguments.count:
        count_on_a76(arguments.files)
    tables = released(arguments.files)
    for path, rows in zip((RESULTS, BOARD_RESULTS), tables, strict=True):
        write_bytes(path, csv_bytes(rows))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=Path, help="folder of built files, such as build/models")
    parser.add_argument("--count", action="store_true", help="count on a Cortex-A76 anew")
    options = parser.parse_args()
    sys.exit(exit_code("released.py", lambda: main(options)))

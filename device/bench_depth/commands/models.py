"""The command line of `bench-depth models`: the released models and where their files are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Optional

from bench_depth.commands.arguments import HelpFormatter, Parser
from bench_depth.core.errors import UserError, exit_code
from bench_depth.core.screen import printable, show
from bench_depth.machine.board import read_board
from bench_depth.model.released import (
    SAMPLES,
    Catalogue,
    ReleasedFile,
    ReleasedModel,
    read_catalogue,
    released_board,
)
from bench_depth.report.fastest import (
    PredictedFile,
    default_reason,
    fastest,
    not_here,
    predicted_files,
)

_EPILOG = """\
A name is accepted wherever a model file is. NAME stands for its int8 file; another file has a name
of its own, such as NAME-fp32.
"""


def main(arguments: Sequence[str], program: str = "bench-depth") -> int:
    """Runs the command.

    Args:
        arguments: Command-line arguments after `models`.
        program: Name of the program, for help and errors.

    Returns:
        The exit code; argparse itself exits with 0 or 2.
    """
    options = parser(program).parse_args(arguments)

    def work() -> int:
        catalogue = read_catalogue()
        board = _board(catalogue, options.board)
        text = json.dumps(_plain(catalogue), indent=2) if options.json else render(catalogue, board)
        show(f"{text}\n")
        return 0

    return exit_code(program, work)


def parser(program: str = "bench-depth") -> Parser:
    """The parser of the command's arguments.

    Args:
        program: Name of the program, for help and errors.
    """
    built = Parser(
        prog=f"{program} models",
        description="Lists the released models: predicted latency, accuracy, size and files.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    built.add_argument("--json", action="store_true", help="print all figures as one JSON object")
    built.add_argument(
        "--board",
        metavar="NAME",
        help="the board of the first table and of what is fastest: rpi4, rpi4-1800, rpi5 or zero2",
    )
    return built


def render(catalogue: Catalogue, board: str = "rpi4") -> str:
    """The tables of the released models and of their files' latencies, and notes to both.

    Args:
        catalogue: Catalogue to print.
        board: Board of the first table's latency and of the files that are named as the fastest.
    """
    rows = [("name", f"{board} ms (band)", "RMSE m", "delta_1", "cameras", "MB")]
    named = [entry for model in catalogue.models for entry in _files(model)]
    # Files of one model beside its first one lie under its name.
    rows += [
        _row(name.replace(f"{model.name}-", "  "), model, file, board)
        for name, model, file in named
    ]
    longest = max((len(name) for name, _, _ in named), default=0)
    lines = _aligned(rows, names=1)
    # Below the table: with paths in it the rows would be longer than those of a terminal.
    lines += ["", *(f"{name.ljust(longest)}  {_path(file)}" for name, _, file in named)]
    lines += ["", *_aligned(_latencies(catalogue), names=2)]
    lines += ["", f"ms: {catalogue.latency}, where no other board or runtime is named."]
    lines += ["In brackets: the ends of the error band. ONNX Runtime takes the .onnx files."]
    lines += [f"RMSE, delta_1: {catalogue.accuracy}."]
    lines += ["cameras: the int8 file's mean si-RMSE over three cameras, two of them never seen."]
    lines += [*fastest(catalogue, board), *not_here(catalogue, board)]
    lines += [f"Where no model is named: {default_reason(catalogue)}."]
    lines += [f"Photos to try: {SAMPLES}", ""]
    trained: dict[str, list[str]] = {}
    for model in catalogue.models:
        trained.setdefault(model.trained_on, []).append(model.name)
    lines += [f"{', '.join(names)}: trained on {data}" for data, names in trained.items()]
    return "\n".join(lines)


def _board(catalogue: Catalogue, asked: Optional[str]) -> str:
    """The board that was asked for, else the one that this runs on, else a Raspberry Pi 4."""
    if asked is None:
        return released_board(read_board())
    if asked not in catalogue.boards:
        raise UserError(f"--board {asked[:40]!r}: the boards are {', '.join(catalogue.boards)}")
    return asked


def _files(model: ReleasedModel) -> list[tuple[str, ReleasedModel, ReleasedFile]]:
    """Name, model and record of each file that is here; of the preferred file where none is."""
    files = [file for file, _ in model.installed] or model.files[:1]
    return [(file.file if i else model.name, model, file) for i, file in enumerate(files)]


def _latencies(catalogue: Catalogue) -> list[tuple[str, ...]]:
    """Rows of the table of every predicted file in every runtime on every board."""
    by_name: dict[str, list[PredictedFile]] = {}
    for each in predicted_files(catalogue):
        by_name.setdefault(each.file.file.rpartition(".")[0], []).append(each)
    rows: list[tuple[str, ...]] = [("ms, four threads", "", *catalogue.boards)]
    for name, files in by_name.items():
        for place, each in enumerate(files):
            cells = (_short(each.ms.get(board)) for board in catalogue.boards)
            # A file's name stands in the first of its rows, and its runtime's in short.
            runtime = each.runtime.replace("TensorFlow Lite", "TFLite")
            rows.append(("" if place else name, runtime, *cells))
    return rows


def _aligned(rows: Sequence[Sequence[str]], names: int) -> list[str]:
    """Lines of a table, whose first columns are names and to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(
            cell.ljust(width) if place < names else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths))
        )
        for row in rows
    ]


def _row(name: str, model: ReleasedModel, file: ReleasedFile, board: str) -> tuple[str, ...]:
    return (
        name,
        _band(file.board_ms.get(board, file.pi4_ms if board == "rpi4" else None)),
        f"{file.rmse:.3f}",
        f"{file.delta_1:.3f}",
        "-" if model.cameras_si_rmse is None else f"{model.cameras_si_rmse:.3f}",
        f"{file.bytes / 1e6:.1f}",
    )


def _path(file: ReleasedFile) -> str:
    return printable(str(file.path or "not here: see the project's release"))


def _band(ms: Optional[tuple[float, float, float]]) -> str:
    return "-" if ms is None else "{:.1f} ({:.1f} to {:.1f})".format(*ms)


def _short(ms: Optional[tuple[float, float, float]]) -> str:
    """Milliseconds and their band in so few characters that four boards fit a terminal."""
    if ms is None:
        return "-"
    low, high = (f"{end:.1f}" if end < 10 else f"{end:.0f}" for end in ms[1:])
    return f"{ms[0]:.1f} ({low}-{high})"


def _plain(catalogue: Catalogue) -> dict[str, Any]:
    """The catalogue with the paths of the files, null where a file is not here, and the default."""
    value = {**dataclasses.asdict(catalogue), "default": catalogue.default.name}
    for model, plain in zip(catalogue.models, value["models"]):
        for file, entry in zip(model.files, plain["files"]):
            entry["path"] = None if file.path is None else str(file.path)
    return value

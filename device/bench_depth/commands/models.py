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
from bench_depth.report.fastest import default_reason, fastest, not_here

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
        "--board", metavar="NAME", help="the board with bands: rpi4, rpi4-1800, rpi5 or zero2"
    )
    return built


def render(catalogue: Catalogue, board: str = "rpi4") -> str:
    """The table of the released models, and what they were trained on.

    Args:
        catalogue: Catalogue to print.
        board: Board whose latency is printed with its error band; the others have none.
    """
    others = [name for name in catalogue.boards if name != board]
    rows = [("name", f"{board} ms (band)", *others, "RMSE m", "delta_1", "cameras", "MB")]
    named = [entry for model in catalogue.models for entry in _files(model)]
    # Files of one model beside its first one lie under its name.
    rows += [
        _row(name.replace(f"{model.name}-", "  "), model, file, board, others)
        for name, model, file in named
    ]
    widths = [max(map(len, column)) for column in zip(*rows)]
    longest = max((len(name) for name, _, _ in named), default=0)
    lines = [
        "  ".join(
            # Names to the left, numbers to the right.
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths))
        )
        for row in rows
    ]
    # Below the table: with paths in it the rows would be longer than those of a terminal.
    lines += ["", *(f"{name.ljust(longest)}  {_path(file)}" for name, _, file in named)]
    lines += ["", f"ms: {catalogue.latency}; other boards from published ratios."]
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


def _row(
    name: str, model: ReleasedModel, file: ReleasedFile, board: str, others: Sequence[str]
) -> tuple[str, ...]:
    return (
        name,
        _band(file.board_ms.get(board, file.pi4_ms if board == "rpi4" else None)),
        *(f"{file.board_ms[other][0]:.1f}" if other in file.board_ms else "-" for other in others),
        f"{file.rmse:.3f}",
        f"{file.delta_1:.3f}",
        "-" if model.cameras_si_rmse is None else f"{model.cameras_si_rmse:.3f}",
        f"{file.bytes / 1e6:.1f}",
    )


def _path(file: ReleasedFile) -> str:
    return printable(str(file.path or "not here: see the project's release"))


def _band(ms: Optional[tuple[float, float, float]]) -> str:
    return "-" if ms is None else "{:.1f} ({:.1f} to {:.1f})".format(*ms)


def _plain(catalogue: Catalogue) -> dict[str, Any]:
    """The catalogue with the paths of the files, null where a file is not here, and the default."""
    value = {**dataclasses.asdict(catalogue), "default": catalogue.default.name}
    for model, plain in zip(catalogue.models, value["models"]):
        for file, entry in zip(model.files, plain["files"]):
            entry["path"] = None if file.path is None else str(file.path)
    return value

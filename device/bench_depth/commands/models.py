"""The command line of `bench-depth models`: the released models and where their files are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Optional

from bench_depth.commands.arguments import HelpFormatter, Parser
from bench_depth.core.errors import exit_code
from bench_depth.core.screen import printable, show
from bench_depth.model.released import SAMPLES, Catalogue, ReleasedModel, read_catalogue

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
    parser = Parser(
        prog=f"{program} models",
        description="Lists the released models: predicted latency, accuracy, size and files.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print all figures as one JSON object")
    options = parser.parse_args(arguments)

    def work() -> int:
        catalogue = read_catalogue()
        show(f"{json.dumps(_plain(catalogue), indent=2) if options.json else render(catalogue)}\n")
        return 0

    return exit_code(program, work)


def render(catalogue: Catalogue) -> str:
    """The table of the models that are here or worth fetching, and what they were trained on."""
    shown = [each for each in catalogue.models if each.dominated_by is None or each.installed]
    rows = [("name", "Pi 4 ms (band)", "RMSE m", "delta_1", "MB", "file")]
    rows += [row for model in shown for row in _rows(model)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        "  ".join(
            # Names and paths to the left, numbers to the right.
            cell.ljust(width) if place in (0, len(row) - 1) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]
    lines += ["", f"Pi 4 ms: {catalogue.latency}.", f"RMSE, delta_1: {catalogue.accuracy}."]
    lines += [f"Where no model is named: {catalogue.default}. Photos to try: {SAMPLES}", ""]
    trained: dict[str, list[str]] = {}
    for model in shown:
        trained.setdefault(model.trained_on, []).append(model.name)
    lines += [f"{', '.join(names)}: trained on {data}" for data, names in trained.items()]
    return "\n".join(lines)


def _rows(model: ReleasedModel) -> list[tuple[str, ...]]:
    """A row for each file that is here; the preferred file's where none is."""
    files = model.installed or [(model.files[0], None)]
    return [
        (
            file.file if index else model.name,
            _band(file.pi4_ms),
            f"{file.rmse:.3f}",
            f"{file.delta_1:.3f}",
            f"{file.bytes / 1e6:.1f}",
            printable(str(path or "not here: see the project's release")),
        )
        for index, (file, path) in enumerate(files)
    ]


def _band(pi4_ms: Optional[tuple[float, float, float]]) -> str:
    return "-" if pi4_ms is None else "{:.1f} ({:.1f} to {:.1f})".format(*pi4_ms)


def _plain(catalogue: Catalogue) -> dict[str, Any]:
    """The catalogue with the paths of the files; null where a file is not here."""
    value = dataclasses.asdict(catalogue)
    for model, plain in zip(catalogue.models, value["models"]):
        for file, entry in zip(model.files, plain["files"]):
            entry["path"] = None if file.path is None else str(file.path)
    return value

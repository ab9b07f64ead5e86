"""bench-depth's results files of a board -> coefficients of that board, and what they change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ghostdepth_export.pi4.counter import count
from ghostdepth_export.pi4.counter.graph import read_ops
from ghostdepth_export.pi4.counter.plugin import find_qemu
from ghostdepth_export.pi4.latency.coefficients import Coefficients
from ghostdepth_export.pi4.latency.measured import read_measurements
from ghostdepth_export.pi4.latency.refit import ENOUGH_MODELS, NAMES, Calibration, Counted, refit
from ghostdepth_export.pi4.latency.work import read_work
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Predictions that are farther off than this are marked.
_FAR = 0.1


def calibrate(
    files: Sequence[Path],
    start: Coefficients,
    *,
    folder: Path | None = None,
    clock_mhz: float | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Calibration:
    """Counts what was measured and fits coefficients to it.

    Args:
        files: Results files of bench-depth, all of one board.
        start: The coefficients to start from.
        folder: Where the model files are; None: beside each results file.
        clock_mhz: Of boards that do not tell it.
        progress: Takes one line whenever something slow begins, or a model is left out.

    Raises:
        UserError: As `read_measurements`; a model cannot be counted, or a program is missing.
    """
    from ghostdepth_export.pi4.emulator import build_root

    measurements, left_out = read_measurements(files, folder, clock_mhz)
    for line in left_out:
        progress(line)
    models = {each.sha256: each.model for each in measurements}
    for model in models.values():
        read_ops(model)
    find_qemu()
    root = build_root("bullseye", progress)
    counted = {}
    for sha256, model in models.items():
        progress(f"counting {model.name}")
        counted[sha256] = Counted(count(model, root), read_work(model))
    return refit(measurements, counted, start)


def show(found: Calibration, start: Coefficients, console: Console) -> None:
    """Prints each measurement with its predictions, the errors, and the coefficients.

    Args:
        found: From `calibrate`.
        start: The coefficients that were started from.
        console: Where to.
    """
    board = found.coefficients
    console.print(Text(f"{board.board} at {board.clock_mhz:g} MHz", style="bold"))
    console.print(_measurements(found))
    before, after, left_out = (
        float(np.abs(found.errors(ms)).mean()) for ms in (found.before, found.after, found.left_out)
    )
    console.print(
        Text.assemble(
            f"mean error: {before:.1%} before, ",
            (f"{after:.1%} after", "bold green" if after <= before else "bold red"),
            f", {left_out:.1%} for a model that had no part in the fit",
        )
    )
    console.print(_coefficients(found.coefficients, start))
    models = len({each.sha256 for each in found.measurements})
    if models < ENOUGH_MODELS:
        console.print(
            Text(
                f"warning: {models} of the {ENOUGH_MODELS} models that it takes to tell how far "
                "off this board's predictions are; the error bands stay those of the start",
                style="yellow",
            )
        )


def _measurements(found: Calibration) -> Table:
    table = _table("", "threads", "MHz", "measured ms", "before", "", "after", "", "doubts")
    errors = found.errors(found.before), found.errors(found.after)
    for i, each in enumerate(found.measurements):
        table.add_row(
            Text(each.model.name),
            *(Text(f"{n:g}") for n in (each.threads, each.clock_mhz)),
            Text(f"{each.ms:.2f}"),
            *_off(found.before[i], errors[0][i]),
            *_off(found.after[i], errors[1][i]),
            Text(", ".join(each.doubts), style="yellow"),
        )
    return table


def _off(ms: float, error: float) -> tuple[Text, Text]:
    return Text(f"{ms:.2f}"), Text(f"{error:+.1%}", style="yellow" if abs(error) > _FAR else "")


def _coefficients(board: Coefficients, start: Coefficients) -> Table:
    table = _table("", "before", "after", "low", "high", "unit")
    for name in NAMES:
        old, new = getattr(start, name), getattr(board, name)
        # Compared at the board's clock.
        stretch = start.clock_mhz / board.clock_mhz if name == "cycle" else 1.0
        numbers = (old.value * stretch, new.value, new.low, new.high)
        table.add_row(Text(name), *(Text(f"{n:.4g}") for n in numbers), Text(new.unit))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None)
    for column in columns:
        table.add_column(column, justify="left" if column in ("", "unit", "doubts") else "right")
    return table

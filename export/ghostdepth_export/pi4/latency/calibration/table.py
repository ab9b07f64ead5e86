"""A calibration as tables for a terminal."""

from __future__ import annotations

import numpy as np
from ghostdepth_export.host.screen import Screen, cell
from ghostdepth_export.pi4.latency.calibration.refit import ENOUGH_MODELS, NAMES, Calibration
from ghostdepth_export.pi4.latency.coefficients import Coefficients
from ghostdepth_export.pi4.latency.tables import figure_table
from rich.table import Table
from rich.text import Text

# Predictions with a larger relative error are marked.
_FAR = 0.1


def show_calibration(found: Calibration, console: Screen) -> None:
    """Prints each measurement with its predictions, the errors, and the coefficients.

    Args:
        found: Calibration from `calibrate`.
        console: Screen to print to.
    """
    board = found.coefficients
    console.print(cell(f"{board.board} at {board.clock_mhz:g} MHz", style="bold"))
    console.print(_measurement_table(found))
    before, after, left_out = (
        float(np.abs(found.errors(ms)).mean()) for ms in (found.before, found.after, found.left_out)
    )
    console.print(
        Text.assemble(
            f"mean error: {before:.1%} before, ",
            (f"{after:.1%} after", "bold green" if after <= before else "bold red"),
            f", {left_out:.1%} for models left out of the fit",
        )
    )
    console.print(_coefficient_table(found.coefficients, found.start))
    models = len({each.sha256 for each in found.measurements})
    if models < ENOUGH_MODELS:
        console.print(
            cell(
                f"warning: {models} models were measured; the error of this board's predictions is "
                f"only known from {ENOUGH_MODELS} on, so the error bands of the start are kept",
                style="yellow",
            )
        )


def _measurement_table(found: Calibration) -> Table:
    table = figure_table("", "threads", "MHz", "measured ms", "before", "", "after", "", "doubts")
    errors = found.errors(found.before), found.errors(found.after)
    for i, each in enumerate(found.measurements):
        table.add_row(
            cell(each.model.name),
            *(cell(f"{n:g}") for n in (each.threads, each.clock_mhz)),
            cell(f"{each.ms:.2f}"),
            *_off(found.before[i], errors[0][i]),
            *_off(found.after[i], errors[1][i]),
            cell(", ".join(each.doubts), style="yellow"),
        )
    return table


def _off(ms: float, error: float) -> tuple[Text, Text]:
    return cell(f"{ms:.2f}"), cell(f"{error:+.1%}", style="yellow" if abs(error) > _FAR else "")


def _coefficient_table(board: Coefficients, start: Coefficients) -> Table:
    table = figure_table("", "before", "after", "low", "high", "unit")
    for name in NAMES:
        old, new = getattr(start, name), getattr(board, name)
        # Compared at the board's clock.
        stretch = start.clock_mhz / board.clock_mhz if name == "cycle" else 1.0
        numbers = (old.value * stretch, new.value, new.low, new.high)
        table.add_row(cell(name), *(cell(f"{n:.4g}") for n in numbers), cell(new.unit))
    return table

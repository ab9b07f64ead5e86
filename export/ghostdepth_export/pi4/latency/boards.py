"""The boards that can be predicted, and the coefficients of each from those of a Raspberry Pi 4.

A core executes the same instructions in another number of cycles, and its memory moves a line in
another time. Both factors are fitted to published pairs of times, one network on both boards by one
runtime (benchmarks/latency/boards.py), within what the cores' guides allow. How many instructions a
core decodes at most is from the same guides, which docs/latency.md names.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from importlib import resources
from typing import Any

from bench_depth.core.errors import UserError, did_you_mean
from bench_depth.core.files import read_json
from ghostdepth_export.pi4.counter.plugin import CPU
from ghostdepth_export.pi4.latency.coefficients import Coefficient, Coefficients, ErrorOf, shipped

SCHEMA = "ghostdepth-boards/1"
DEFAULT_BOARD = "rpi4"
# The only one of the cores with SDOT.
A76 = "cortex-a76"


@dataclass(frozen=True)
class PredictedBoard:
    """A board with four cores of one kind.

    Attributes:
        name: Name of the board on the command line.
        title: Name of the board in text.
        cpu: QEMU's name of the core that is emulated.
        clock_mhz: CPU clock in MHz.
        decodes: Number of instructions that the core decodes in a cycle; see `Coefficients`.
        factors: Name of the factors that it is scaled by; None for a Cortex-A72, which needs none.
        types: Data types of the published pairs; None for all.
    """

    name: str
    title: str
    cpu: str
    clock_mhz: float
    decodes: int | None = None
    factors: str | None = None
    types: tuple[str, ...] | None = None


BOARDS = {
    board.name: board
    for board in (
        PredictedBoard("rpi4", "Raspberry Pi 4", CPU, 1500),
        PredictedBoard("rpi4-1800", "Raspberry Pi 4 at 1800 MHz", CPU, 1800),
        PredictedBoard("rpi5", "Raspberry Pi 5", A76, 2400, 4, "rpi5", ("FLOAT32",)),
        PredictedBoard("zero2", "Raspberry Pi Zero 2 W", "cortex-a53", 1000, 2, "zero2"),
    )
}


def find_board(name: str) -> PredictedBoard:
    """The board of a name.

    Raises:
        UserError: There is no such board; the line lists all.
    """
    if name in BOARDS:
        return BOARDS[name]
    hint = did_you_mean(name, BOARDS)
    raise UserError(f"--board {name[:40]!r}: the boards are {', '.join(BOARDS)}{hint}")


def check_one_board(board: str | None, file: object) -> None:
    """Refuses a board beside a file that is of one board itself.

    Args:
        board: Name of a board; None where none was asked for.
        file: Coefficients or results of a board; None or empty where there are none.

    Raises:
        UserError: Both were given, or there is no such board.
    """
    if board is not None:
        find_board(board)
        if file:
            raise UserError(
                f"--board {board}: coefficients and measurements are of one board already, with a "
                "Cortex-A72; give one or the other"
            )


def board_coefficients(
    name: str = DEFAULT_BOARD,
    start: Coefficients | None = None,
    factors: tuple[float, float] | None = None,
) -> Coefficients:
    """The coefficients of a board, from those of a Raspberry Pi 4.

    Args:
        name: Name of the board.
        start: Coefficients of a Raspberry Pi 4 at 1500 MHz; None for the shipped ones.
        factors: Factors of a cycle and of a line of memory; None for the shipped ones. A board with
            a Cortex-A72 has none.

    Raises:
        UserError: There is no such board.
    """
    board, base = find_board(name), start or shipped()
    stretch = base.clock_mhz / board.clock_mhz
    known = dataclasses.replace(
        base,
        board=board.title,
        clock_mhz=board.clock_mhz,
        cycle=_scaled(base.cycle, stretch),
        near=base.near * stretch,
        decodes=board.decodes,
        types=board.types or base.types,
    )
    if board.factors is None:
        return known
    fitted = _factors()[board.factors]
    cycle, line = Coefficient(**fitted["cycle"]), Coefficient(**fitted["line"])
    if factors is not None:
        cycle, line = (
            dataclasses.replace(of, value=value, low=value, high=value)
            for of, value in zip((cycle, line), factors, strict=True)
        )
    return dataclasses.replace(
        known,
        cycle=_times(known.cycle, cycle),
        near=known.near * cycle.value,
        line=_times(known.line, line),
        wake=_times(known.wake, cycle),
        # Two independent errors: of the base, and of the factors.
        errors=tuple(
            ErrorOf(entry.up_to_ms, round(math.hypot(entry.error, fitted["error"]), 3))
            for entry in base.errors
        ),
    )


def _factors() -> dict[str, Any]:
    with resources.as_file(resources.files(__package__) / "boards.json") as path:
        value = read_json(path)
    assert value["schema"] == SCHEMA, path
    boards: dict[str, Any] = value["boards"]
    return boards


def _scaled(of: Coefficient, by: float) -> Coefficient:
    return dataclasses.replace(of, value=of.value * by, low=of.low * by, high=of.high * by)


def _times(of: Coefficient, factor: Coefficient) -> Coefficient:
    return Coefficient(
        of.value * factor.value,
        of.low * factor.low,
        of.high * factor.high,
        of.unit,
        f"{of.provenance}; times {factor.value:g}: {factor.provenance}",
    )

"""What a cycle, a line of memory and a woken thread cost on a board: fitted numbers as a file."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from bench_depth.core.errors import UserError
from bench_depth.core.files import read_json, write_json

SCHEMA = "ghostdepth-coefficients/1"
_SHIPPED = "coefficients.json"
_FITTED = ("cycle", "line", "wake", "input", "query")


@dataclass(frozen=True)
class Coefficient:
    """One fitted number.

    Attributes:
        value: Not negative, in `unit`.
        low: Lower end of its interval, in `unit`.
        high: Upper end.
        unit: In words.
        provenance: What it was fitted to.
    """

    value: float
    low: float
    high: float
    unit: str
    provenance: str


@dataclass(frozen=True)
class ErrorOf:
    """How far off predictions were for networks that were left out of the fit.

    Attributes:
        up_to_ms: Holds for predictions up to this; None: for all that are longer.
        error: Relative; about nine in ten predictions were closer.
    """

    up_to_ms: float | None
    error: float


@dataclass(frozen=True)
class Coefficients:
    """A board, as far as predictions know it.

    Attributes:
        board: Its name.
        runtime: TensorFlow Lite's version, like `2.5`.
        clock_mhz: The processor's clock at which `cycle` holds.
        cycle: Milliseconds per million issue-limited cycles.
        line: Milliseconds per million 64-byte lines to or from DRAM.
        wake: Milliseconds per op that runs on several threads.
        input: Milliseconds per million fp32 input elements of the harness whose figures were
            fitted; no part of a prediction.
        query: Milliseconds that this harness takes for every query; no part of a prediction.
        errors: By length of the prediction, shortest first; the last one has no `up_to_ms`.
        calibrated: Types of ops that the fitted networks hold enough of.
        uncalibrated_error: Other ops may take longer by up to this part of their time.
    """

    board: str
    runtime: str
    clock_mhz: float
    cycle: Coefficient
    line: Coefficient
    wake: Coefficient
    input: Coefficient
    query: Coefficient
    errors: tuple[ErrorOf, ...]
    calibrated: frozenset[str]
    uncalibrated_error: float

    def error(self, ms: float) -> float:
        """The relative error to expect of a prediction of `ms` milliseconds."""
        for entry in self.errors:
            if entry.up_to_ms is None or ms <= entry.up_to_ms:
                return entry.error
        raise AssertionError("the last entry holds for everything")


def shipped() -> Coefficients:
    """The Raspberry Pi 4 as shipped."""
    with resources.as_file(resources.files(__package__) / _SHIPPED) as path:
        return read_coefficients(path)


def write_coefficients(path: Path, coefficients: Coefficients) -> None:
    """Writes what `read_coefficients` reads."""
    value = {"schema": SCHEMA, **asdict(coefficients)}
    write_json(path, {**value, "calibrated": sorted(coefficients.calibrated)})


def read_coefficients(path: Path) -> Coefficients:
    """Reads a file of coefficients.

    Raises:
        UserError: The file is missing or not of this form; the line says what is wrong.
    """
    value = read_json(path)
    form = value.get("schema") if isinstance(value, dict) else None
    if form != SCHEMA:
        raise UserError(f"{path} holds no coefficients ({SCHEMA}) but {form or 'something else'}")
    try:
        return _coefficients({name: value[name] for name in value if name != "schema"})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} holds no whole set of coefficients: {error}") from error


def _coefficients(value: dict[str, Any]) -> Coefficients:
    fitted = {name: _coefficient(name, value[name]) for name in _FITTED}
    errors = tuple(ErrorOf(**entry) for entry in value["errors"])
    if not errors or errors[-1].up_to_ms is not None:
        raise ValueError("errors must end with an entry whose up_to_ms is null")
    calibrated = frozenset(value["calibrated"])
    read = Coefficients(**{**value, **fitted, "errors": errors, "calibrated": calibrated})
    if not read.clock_mhz > 0:
        raise ValueError("clock_mhz must be above 0")
    return read


def _coefficient(name: str, value: dict[str, Any]) -> Coefficient:
    read = Coefficient(**value)
    numbers = (read.low, read.value, read.high)
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise ValueError(f"{name} has a negative number or none")
    if not read.low <= read.value <= read.high:
        raise ValueError(f"{name} is not inside its own interval")
    return read

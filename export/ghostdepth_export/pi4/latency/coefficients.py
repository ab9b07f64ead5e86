"""Time per cycle, per line of memory and per woken thread on a board: fitted and kept in a file."""

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
# Data types of the fitted networks, with those of indices and shapes.
_TYPES = ("FLOAT32", "INT8", "UINT8", "INT32", "INT64")
_FITTED = ("cycle", "line", "wake", "input", "query")


@dataclass(frozen=True)
class Coefficient:
    """One fitted number.

    Attributes:
        value: Fitted value in `unit`, at least 0.
        low: Lower end of the confidence interval, in `unit`.
        high: Upper end of the confidence interval, in `unit`.
        unit: Unit in words.
        provenance: Data that the number was fitted to.
    """

    value: float
    low: float
    high: float
    unit: str
    provenance: str


@dataclass(frozen=True)
class ErrorOf:
    """Error of predictions for networks that were left out of the fit.

    Attributes:
        up_to_ms: Longest predicted latency that the entry holds for, in milliseconds; None for all
            longer ones.
        error: Relative error that about nine in ten predictions stayed below.
    """

    up_to_ms: float | None
    error: float


@dataclass(frozen=True)
class Coefficients:
    """Coefficients of the latency model for one board.

    Attributes:
        board: Name of the board.
        runtime: Version of TensorFlow Lite, like `2.5`.
        clock_mhz: CPU clock in MHz that `cycle` holds for.
        cycle: Milliseconds per million issue-limited cycles.
        line: Milliseconds per million 64-byte lines to or from DRAM.
        wake: Milliseconds per op that runs on several threads.
        input: Milliseconds per million fp32 input elements in the benchmark harness whose figures
            were fitted; not used in predictions.
        query: Milliseconds per query in that harness; not used in predictions.
        errors: Errors by predicted latency, shortest first; the last entry has no `up_to_ms`.
        calibrated: Types of ops that are frequent enough in the fitted networks.
        uncalibrated_error: Fraction by which ops of other types may take longer than predicted.
        decodes: Number of instructions that the core decodes in a cycle; None for a Cortex-A72,
            whose issue-limited cycles hold it already.
        types: Data types of the ops that were fitted.
        near: Milliseconds per million lines that a core's own cache takes from the one that all
            cores share; 0 where it is no term of the fit.
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
    decodes: float | None = None
    types: tuple[str, ...] = _TYPES
    near: float = 0.0

    @property
    def least_cycles(self) -> float:
        """Issue-limited cycles that an instruction takes at least, by what the core decodes."""
        if self.decodes is None:
            return 0.0
        return 1e3 / (self.decodes * self.clock_mhz * self.cycle.value)

    def error(self, ms: float) -> float:
        """The expected relative error of a prediction of `ms` milliseconds."""
        for entry in self.errors:
            if entry.up_to_ms is None or ms <= entry.up_to_ms:
                return entry.error
        raise AssertionError("the last entry has no limit")


def shipped() -> Coefficients:
    """The shipped coefficients of a Raspberry Pi 4."""
    with resources.as_file(resources.files(__package__) / _SHIPPED) as path:
        return read_coefficients(path)


def write_coefficients(path: Path, coefficients: Coefficients) -> None:
    """Writes a file that `read_coefficients` reads."""
    value = {"schema": SCHEMA, **asdict(coefficients)}
    write_json(path, {**value, "calibrated": sorted(coefficients.calibrated)})


def read_coefficients(path: Path) -> Coefficients:
    """Reads a file of coefficients.

    Raises:
        UserError: The file is missing or malformed; the line says what is wrong.
    """
    value = read_json(path)
    form = value.get("schema") if isinstance(value, dict) else None
    if form != SCHEMA:
        raise UserError(f"{path} holds no coefficients ({SCHEMA}) but {form or 'something else'}")
    try:
        return _coefficients({name: value[name] for name in value if name != "schema"})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} holds an incomplete set of coefficients: {error}") from error


def _coefficients(value: dict[str, Any]) -> Coefficients:
    fitted = {name: _coefficient(name, value[name]) for name in _FITTED}
    errors = tuple(ErrorOf(**entry) for entry in value["errors"])
    if not errors or errors[-1].up_to_ms is not None:
        raise ValueError("errors must end with an entry whose up_to_ms is null")
    sets = {
        "calibrated": frozenset(value["calibrated"]),
        "types": tuple(value.get("types", _TYPES)),
    }
    read = Coefficients(**{**value, **fitted, **sets, "errors": errors})
    if not read.clock_mhz > 0:
        raise ValueError("clock_mhz must be above 0")
    if read.decodes is not None and not (read.decodes > 0 and read.cycle.value > 0):
        raise ValueError("decodes and the value of cycle must be above 0")
    return read


def _coefficient(name: str, value: dict[str, Any]) -> Coefficient:
    read = Coefficient(**value)
    numbers = (read.low, read.value, read.high)
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise ValueError(f"{name} has a negative or non-finite number")
    if not read.low <= read.value <= read.high:
        raise ValueError(f"{name} is outside its own interval")
    return read

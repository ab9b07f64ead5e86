"""Measurements of one board -> coefficients of that board."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ghostdepth_export.pi4.counter import ModelCounts
from ghostdepth_export.pi4.latency.coefficients import Coefficients, ErrorOf
from ghostdepth_export.pi4.latency.costs import Costs, costs
from ghostdepth_export.pi4.latency.measured import Measurement
from ghostdepth_export.pi4.latency.work import OpWork
from numpy.typing import NDArray

Array = NDArray[np.float64]
NAMES = ("cycle", "line", "wake")
# Relative: what a prediction is off by that no coefficients can mend, and how much boards differ:
# hardly in the processor, more in memory and system.
_ROW_ERROR = 0.05
_SPREAD = np.array([0.1, 0.3, 0.5])
# From so many models on the board's own errors are known well enough to be stated.
ENOUGH_MODELS = 5
# In so many of them a type of op has to be, to be one that the calibration knows.
_ENOUGH_OF_A_TYPE = 3
_NINE_IN_TEN = 1.645


@dataclass(frozen=True)
class Counted:
    """One counted model.

    Attributes:
        counts: Of one thread.
        work: Its ops.
    """

    counts: ModelCounts
    work: Sequence[OpWork]


@dataclass(frozen=True)
class Calibration:
    """What came of it.

    Attributes:
        measurements: What was fitted.
        before: Milliseconds predicted for each by the coefficients that were started from.
        after: By the new ones.
        left_out: By coefficients fitted without that model; the honest figure.
        coefficients: Of the board, at its own clock.
    """

    measurements: Sequence[Measurement]
    before: Array
    after: Array
    left_out: Array
    coefficients: Coefficients

    def errors(self, predicted: Array) -> Array:
        """Predicted / measured - 1, of each measurement."""
        return predicted / _ms(self.measurements) - 1


def refit(
    measurements: Sequence[Measurement], counted: Mapping[str, Counted], start: Coefficients
) -> Calibration:
    """Fits coefficients to measurements, drawn towards those that are known.

    The least sum of squares of the relative errors over `_ROW_ERROR` and of the relative changes of
    the coefficients over `_SPREAD`, none of them negative: the most probable ones (MAP) where both
    are normal. With few measurements they stay near the start.

    Args:
        measurements: At least one, of one board.
        counted: By sha256, the model of every measurement.
        start: The coefficients to start from.

    Returns:
        The new coefficients, and how far off both were.
    """
    clock = statistics.median_high(each.clock_mhz for each in measurements)
    known = _values(start) * np.array([start.clock_mhz / clock, 1.0, 1.0])
    x = np.array(
        [
            _features(costs(of.counts, of.work, each.threads), clock / each.clock_mhz)
            for each in measurements
            for of in [counted[each.sha256]]
        ]
    )
    ms, models = _ms(measurements), np.array([each.sha256 for each in measurements])
    fitted, deviations = _fit(x, ms, known)
    left_out = np.empty(len(ms))
    for model in set(models):
        out = models == model
        left_out[out] = x[out] @ _fit(x[~out], ms[~out], known)[0]
    board = _board(measurements, start, clock, fitted, deviations)
    if len(set(models)) >= ENOUGH_MODELS:
        board = _with_own_errors(board, left_out / ms - 1, list(counted.values()))
    return Calibration(measurements, x @ known, x @ fitted, left_out, board)


def _fit(x: Array, ms: Array, known: Array) -> tuple[Array, Array]:
    """The coefficients, and their standard deviations."""
    from scipy.optimize import nnls

    # A coefficient that is known to be 0 may still be found: a little of a wide range.
    spread = _SPREAD * np.maximum(known, 1e-3)
    rows = np.vstack([x / ms[:, None] / _ROW_ERROR, np.diag(1 / spread)])
    wanted = np.concatenate([np.full(len(ms), 1 / _ROW_ERROR), known / spread])
    fitted = np.asarray(nnls(rows, wanted)[0])
    return fitted, np.sqrt(np.diag(np.linalg.inv(rows.T @ rows)))


def _board(
    measurements: Sequence[Measurement],
    start: Coefficients,
    clock: float,
    fitted: Array,
    deviations: Array,
) -> Coefficients:
    provenance = (
        f"{len(measurements)} measurements of {measurements[0].board}, drawn towards the "
        f"coefficients of {start.board}; interval: nine in ten"
    )
    cycle, line, wake = (
        dataclasses.replace(
            getattr(start, name),
            value=float(value),
            low=float(max(value - _NINE_IN_TEN * deviation, 0)),
            high=float(value + _NINE_IN_TEN * deviation),
            provenance=provenance,
        )
        for name, value, deviation in zip(NAMES, fitted, deviations, strict=True)
    )
    return dataclasses.replace(
        start,
        board=measurements[0].board,
        clock_mhz=clock,
        cycle=cycle,
        line=line,
        wake=wake,
    )


def _with_own_errors(
    board: Coefficients, errors: Array, counted: Sequence[Counted]
) -> Coefficients:
    found = float(np.quantile(np.abs(errors), 0.9, method="higher"))
    types = [{op.name for op in of.work} for of in counted]
    known = {name for name in set().union(*types) if _in_enough(name, types)}
    return dataclasses.replace(
        board,
        # A few measurements that happen to agree promise no more than the model can hold.
        errors=(ErrorOf(None, max(found, _ROW_ERROR)),),
        calibrated=board.calibrated | known,
    )


def _in_enough(name: str, types: Sequence[set[str]]) -> bool:
    return sum(name in each for each in types) >= _ENOUGH_OF_A_TYPE


def _values(coefficients: Coefficients) -> Array:
    return np.array([getattr(coefficients, name).value for name in NAMES])


def _features(of: Costs, stretch: float) -> tuple[float, float, float]:
    return of.cycles / 1e6 * stretch, of.lines / 1e6, of.wakes


def _ms(measurements: Sequence[Measurement]) -> Array:
    return np.array([each.ms for each in measurements])

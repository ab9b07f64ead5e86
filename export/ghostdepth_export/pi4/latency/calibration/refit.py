"""Measurements on one board -> coefficients of that board."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ghostdepth_export.pi4.counter import ModelCounts
from ghostdepth_export.pi4.latency.calibration.measured import Measurement
from ghostdepth_export.pi4.latency.coefficients import Coefficients, ErrorOf
from ghostdepth_export.pi4.latency.costs import Costs, costs
from ghostdepth_export.pi4.latency.work import OpWork
from numpy.typing import NDArray

Array = NDArray[np.float64]
NAMES = ("cycle", "line", "wake")
# Relative error of a prediction with the best coefficients, and relative standard deviation of the
# coefficients between boards: small for the CPU, larger for memory and system.
_ROW_ERROR = 0.05
_DEVIATION = np.array([0.1, 0.3, 0.5])
# Number of models from which on the board's own errors are known well enough to be stated.
ENOUGH_MODELS = 5
# Number of models that must hold a type of op for it to count as calibrated.
_ENOUGH_OF_A_TYPE = 3
_NINE_IN_TEN = 1.645


@dataclass(frozen=True)
class CountedModel:
    """One counted model.

    Attributes:
        counts: Instruction counts of the model on one thread.
        work: Ops of the model, in the order of execution.
    """

    counts: ModelCounts
    work: Sequence[OpWork]


@dataclass(frozen=True)
class Calibration:
    """Coefficients of a board with their errors.

    Attributes:
        measurements: Measurements that were fitted.
        before: Predicted milliseconds of each measurement with the initial coefficients.
        after: Predicted milliseconds with the fitted coefficients.
        left_out: Predicted milliseconds with coefficients fitted without that model.
        coefficients: Fitted coefficients at the board's clock.
        start: Coefficients that the fit started from.
    """

    measurements: Sequence[Measurement]
    before: Array
    after: Array
    left_out: Array
    coefficients: Coefficients
    start: Coefficients

    def errors(self, predicted: Array) -> Array:
        """Predicted / measured - 1 for each measurement."""
        return predicted / _ms(self.measurements) - 1


def refit(
    measurements: Sequence[Measurement], counted: Mapping[str, CountedModel], start: Coefficients
) -> Calibration:
    """Fits coefficients to measurements, with the initial coefficients as a prior.

    Minimizes the sum of squares of the relative errors over `_ROW_ERROR` and of the relative
    changes of the coefficients over `_DEVIATION`, with no coefficient negative: the maximum a
    posteriori estimate if both are normal. With few measurements the result stays near the start.

    Args:
        measurements: Measurements on one board, at least one.
        counted: Counted models by the sha256 of their files.
        start: Initial coefficients.

    Returns:
        The fitted coefficients, and the predictions before and after.
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
    return Calibration(measurements, x @ known, x @ fitted, left_out, board, start)


def _fit(x: Array, ms: Array, known: Array) -> tuple[Array, Array]:
    """The coefficients and their standard deviations."""
    from scipy.optimize import nnls

    # A coefficient of 0 must be able to change.
    deviation = _DEVIATION * np.maximum(known, 1e-3)
    rows = np.vstack([x / ms[:, None] / _ROW_ERROR, np.diag(1 / deviation)])
    wanted = np.concatenate([np.full(len(ms), 1 / _ROW_ERROR), known / deviation])
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
        f"{len(measurements)} measurements of {measurements[0].board}, with the "
        f"coefficients of {start.board} as a prior; interval: 90 %"
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
    board: Coefficients, errors: Array, counted: Sequence[CountedModel]
) -> Coefficients:
    found = float(np.quantile(np.abs(errors), 0.9, method="higher"))
    types = [{op.name for op in of.work} for of in counted]
    known = {name for name in set().union(*types) if _in_enough(name, types)}
    return dataclasses.replace(
        board,
        # A few measurements that agree by chance must not give an error below the model's own.
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

"""The columns of the page's table of models, and which figures are the best of a column."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from bench_depth.accuracy.paired import difference_interval
from bench_depth.report import wording
from bench_depth.report.wording import figure
from bench_depth.results.records import ModelRecord, Results

Alike = Callable[[ModelRecord, ModelRecord], bool]


@dataclass(frozen=True)
class Column:
    """A column of the table of models.

    Attributes:
        title: Heading of the column.
        unit: Shown under the title.
        text: The cell of a record.
        value: The figure of a record, None where it has none.
        best: `min` or `max`, whichever is better; None where there is no better.
        small: Shown under the text of a cell.
        alike: Whether a record differs from the best one by no more than noise.
    """

    title: str
    unit: str
    text: Callable[[ModelRecord], str]
    value: Callable[[ModelRecord], Optional[float]] = lambda record: None
    best: Optional[Callable[[Sequence[float]], float]] = None
    small: Callable[[ModelRecord], str] = lambda record: ""
    alike: Alike = lambda record, best: False


def columns(results: Results) -> list[Column]:
    """The columns for what was measured, the frames per second from photo to depth first."""

    def timed(name: str) -> Callable[[ModelRecord], float]:
        return lambda record: float(getattr(record.invoke.statistics, name))

    found = [
        _number("FPS", "photo to depth", wording.rate, figure, max, _as_fast),
        _number("median", "ms", timed("median"), figure, min, _as_fast),
        # Of these no interval is known, so none is called the best.
        *(_number(name, "ms", timed(name), figure) for name in ("p90", "p95", "p99")),
        _number("size", "MB", lambda r: r.bytes / 1e6, "{:.2f}".format, min),
    ]
    if any(record.comparison for record in results.models):
        found.append(
            Column(
                "ratio",
                "95 % interval",
                lambda r: wording.ratio_cells(r.comparison)[0],
                small=lambda r: wording.ratio_cells(r.comparison)[1],
            )
        )
    if any(record.accuracy for record in results.models):
        found += _accuracy_columns(results.models)
    return found


def _accuracy_columns(models: Sequence[ModelRecord]) -> list[Column]:
    first = models[0]

    def change(record: ModelRecord) -> str:
        own, base = _mean("si_rmse")(record), _mean("si_rmse")(first)
        return "" if record is first or not base or own is None else _signed(100 * (own / base - 1))

    def points(record: ModelRecord) -> Optional[float]:
        return None if record.accuracy is None else record.accuracy.score

    unit = "to the first" if len(models) > 1 else ""
    si_rmse = _number("si-RMSE", unit, _mean("si_rmse"), "{:.4f}".format, min, _as_good("si_rmse"))
    si_rmse = dataclasses.replace(si_rmse, small=change)
    return [
        _number("RMSE", "m", _mean("rmse"), "{:.3f}".format, min, _as_good("rmse")),
        si_rmse,
        _number("δ₁", "", _mean("delta_1"), "{:.4f}".format, max, _as_good("delta_1")),
        _number("score", "", points, figure),
    ]


def sharpness_columns(results: Results) -> list[Column]:
    """The columns of the table of sharpness; none where no model's sharpness was measured."""
    if all(_mean("dbe_acc")(record) is None for record in results.models):
        return []
    return [
        _number("DBE accuracy", "px", _mean("dbe_acc"), "{:.2f}".format, min, _as_good("dbe_acc")),
        _number(
            "DBE completeness", "px", _mean("dbe_comp"), "{:.2f}".format, min, _as_good("dbe_comp")
        ),
        _number("edge energy", "", _mean("edge_energy"), "{:.3f}".format),
    ]


def _mean(name: str) -> Callable[[ModelRecord], Optional[float]]:
    return lambda r: None if r.accuracy is None else getattr(r.accuracy.mean, name)


def _number(
    title: str,
    unit: str,
    value: Callable[[ModelRecord], Optional[float]],
    form: Callable[[float], str],
    best: Optional[Callable[[Sequence[float]], float]] = None,
    alike: Alike = lambda record, best: False,
) -> Column:
    def text(record: ModelRecord) -> str:
        found = value(record)
        return "–" if found is None else form(found)

    return Column(title, unit, text, value, best, alike=alike)


def _signed(percent: float) -> str:
    # Adding 0 takes the sign off a change that rounds to nothing.
    return f"{round(percent, 2) + 0.0:+.2f} %".replace("-", "−")


def row(
    record: ModelRecord, name: str, columns: Sequence[Column], models: Sequence[ModelRecord]
) -> dict[str, Any]:
    """The row of a model, as the template takes it."""
    # Two that are written alike are equally good: digits that are not shown do not count.
    cells = [
        {
            "text": column.text(record),
            "small": column.small(record),
            "best": _is_best(column, record, models),
        }
        for column in columns
    ]
    runtime = wording.runtime_text(record).partition(", ")
    return {"name": name, "file": record.file, "cells": cells, "runtime": runtime}


def _is_best(column: Column, record: ModelRecord, models: Sequence[ModelRecord]) -> bool:
    known = [each for each in models if column.value(each) is not None]
    if column.best is None or len(models) == 1 or record not in known:
        return False
    top = column.best([column.value(each) or 0.0 for each in known])
    best = next(each for each in known if column.value(each) == top)
    return column.text(record) == column.text(best) or column.alike(record, best)


def _as_fast(record: ModelRecord, best: ModelRecord) -> bool:
    """Whether the intervals of both ratios to the first model overlap."""
    if record.comparison is None and best.comparison is None:
        return False
    (low, high), (best_low, best_high) = _ratio_ends(record), _ratio_ends(best)
    return low <= best_high and best_low <= high


def _ratio_ends(record: ModelRecord) -> tuple[float, float]:
    found = record.comparison
    if found is None:
        return 1.0, 1.0
    ratio = found.ratio
    return ratio if found.low is None else found.low, ratio if found.high is None else found.high


def _as_good(metric: str) -> Alike:
    """Whether the mean difference over the images may be 0."""

    def alike(record: ModelRecord, best: ModelRecord) -> bool:
        if record.accuracy is None or best.accuracy is None:
            return False
        ends = difference_interval(record.accuracy, best.accuracy, metric)
        return ends is not None and ends[0] <= 0 <= ends[1]

    return alike

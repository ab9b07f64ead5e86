"""Thresholds on results that fail a CI run: `invoke.p95>50ms`, `median>+5%`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from bench_depth.core.errors import UserError
from bench_depth.core.metrics import METRICS
from bench_depth.results.records import STAGES, ModelRecord, Results, labels
from bench_depth.timing.measure import Timing

_STATISTICS = {"min": "minimum", "max": "maximum"}
_TIMES = ("median", "p90", "p95", "p99", "minimum", "maximum", "mean", "sd")
# Measured in every run.
_ALWAYS = ("load", "first", "peak_rss", "size")
# Factors from units to those of the results: milliseconds, bytes, metres.
_UNITS = {"ms": 1.0, "s": 1e3, "us": 1e-3, "MB": 1e6, "kB": 1e3, "B": 1.0, "m": 1.0, "": 1.0}
_FORM = re.compile(r"\s*([\w.]+)\s*(<=|>=|<|>)\s*([+-]?\d+(?:\.\d+)?)\s*(%|[A-Za-z]*)\s*")
HELP = (
    "STAGE.STATISTIC (invoke.p95, total.median; median alone is invoke.median), load, first, "
    "peak_rss, size, si_rmse, rmse, delta_1, edge_energy, ..., then < or >, then a number "
    "with ms, s, MB or none; +5% and -5% are against --baseline"
)


@dataclass(frozen=True)
class Threshold:
    """A condition on a value of the results under which the run fails.

    Attributes:
        text: The condition as it was written.
        figure: Name of the value, like `invoke.p95`.
        above: Whether values above the limit fail; otherwise values below it do.
        inclusive: Whether the limit itself fails.
        limit: Limit in milliseconds, bytes or metres; a fraction like 0.05 where `relative`.
        relative: Whether the limit is a change relative to the baseline.
    """

    text: str
    figure: str
    above: bool
    inclusive: bool
    limit: float
    relative: bool


def parse(text: str) -> Threshold:
    """Parses a condition.

    Raises:
        UserError: The text is not a condition.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise UserError(f"--fail-if {text!r} is not a condition; write {HELP}")
    figure, sign, number, unit = found.groups()
    figure = _normal(figure)
    if figure is None:
        raise UserError(f"--fail-if {text!r} names no known value; write {HELP}")
    if unit != "%" and unit not in _UNITS:
        raise UserError(f"--fail-if {text!r} has an unknown unit {unit!r}; use ms, s, MB or %")
    relative = unit == "%"
    limit = float(number) * (0.01 if relative else _UNITS[unit])
    return Threshold(text, figure, sign[0] == ">", sign.endswith("="), limit, relative)


def check(thresholds: Sequence[Threshold], *, baseline: bool, accuracy: bool) -> None:
    """Refuses, before anything is measured, conditions that the results will have no value for.

    Args:
        thresholds: The conditions.
        baseline: Whether there are earlier results to compare with.
        accuracy: Whether accuracy will be measured.

    Raises:
        UserError: The line names the condition and the option that it needs.
    """
    for threshold in thresholds:
        if threshold.relative and not baseline:
            raise _without_baseline(threshold)
        if not accuracy and "." not in threshold.figure and threshold.figure not in _ALWAYS:
            raise _without_accuracy(threshold)


def failures(
    results: Results, thresholds: Sequence[Threshold], baseline: Optional[Results] = None
) -> list[str]:
    """Returns one line for each condition that holds.

    Args:
        results: The results.
        thresholds: The conditions.
        baseline: Earlier results; required by relative conditions.

    Raises:
        UserError: A value was not measured, or a model is not in the baseline.
    """
    lines = []
    for label, record in zip(labels(results), results.models):
        for threshold in thresholds:
            value = _value(record, threshold)
            reference = None
            if threshold.relative:
                reference = _value(_partner(record, threshold, baseline), threshold)
            line = _failure(label, threshold, value, reference)
            if line is not None:
                lines.append(line)
    return lines


def _failure(
    label: str, threshold: Threshold, value: float, reference: Optional[float]
) -> Optional[str]:
    seen, against = value, ""
    if reference is not None:
        if reference == 0:
            raise UserError(
                f"{threshold.text}: {threshold.figure} is 0 in the baseline; nothing compares"
            )
        seen = value / reference - 1
        against = f", {100 * seen:+.1f} % against {reference:.5g}"
    over = seen > threshold.limit if threshold.above else seen < threshold.limit
    if over or (threshold.inclusive and seen == threshold.limit):
        return f"{label}: {threshold.figure} is {value:.5g}{against}: fails {threshold.text}"
    return None


def _partner(record: ModelRecord, threshold: Threshold, baseline: Optional[Results]) -> ModelRecord:
    if baseline is None:
        raise _without_baseline(threshold)
    same = [other for other in baseline.models if other.file == record.file]
    exact = [other for other in same if other.threads == record.threads]
    if not (exact or same):
        names = ", ".join(other.file for other in baseline.models)
        raise UserError(f"{record.file} is not in the baseline, which has {names}")
    return (exact or same)[0]


def _without_baseline(threshold: Threshold) -> UserError:
    return UserError(f"--fail-if {threshold.text!r} compares; give --baseline FILE as well")


def _without_accuracy(threshold: Threshold) -> UserError:
    return UserError(f"--fail-if {threshold.text!r}: give --data, so that accuracy is measured")


def _normal(figure: str) -> Optional[str]:
    stage, dot, statistic = figure.partition(".")
    if not dot and figure in (*METRICS, *_ALWAYS, "score"):
        return figure
    if not dot:
        stage, statistic = "invoke", figure
    statistic = _STATISTICS.get(statistic, statistic)
    return f"{stage}.{statistic}" if stage in STAGES and statistic in _TIMES else None


def _value(record: ModelRecord, threshold: Threshold) -> float:
    figure = threshold.figure
    simple = {
        "load": record.load_ms,
        "first": record.first_ms,
        "peak_rss": float(record.peak_rss_bytes),
        "size": float(record.bytes),
    }
    if figure in simple:
        return simple[figure]
    if "." in figure:
        stage, statistic = figure.split(".")
        timing: Optional[Timing] = getattr(record, stage)
        if timing is None:
            raise UserError(
                f"--fail-if {threshold.text!r}: {stage} of {record.file} was not measured"
            )
        return float(getattr(timing.statistics, statistic))
    if record.accuracy is None:
        raise _without_accuracy(threshold)
    value = getattr(record.accuracy if figure == "score" else record.accuracy.mean, figure)
    if value is None:
        raise UserError(
            f"--fail-if {threshold.text!r}: {figure} of {record.file} was not measured: no ground "
            "truth has an edge, or the results are of an older version"
        )
    return float(value)

from __future__ import annotations

import dataclasses

import pytest
from bench_depth.core.errors import UserError
from bench_depth.results.records import Results
from bench_depth.results.thresholds import Threshold, failures, parse


@pytest.mark.parametrize(
    ("text", "threshold"),
    [
        ("invoke.p95>50ms", Threshold("", "invoke.p95", True, False, 50, False)),
        ("median>+5%", Threshold("", "invoke.median", True, False, 0.05, True)),
        (" total.max >= 0.1 s ", Threshold("", "total.maximum", True, True, 100, False)),
        ("delta_1<0.58", Threshold("", "delta_1", False, False, 0.58, False)),
        ("peak_rss>200MB", Threshold("", "peak_rss", True, False, 200e6, False)),
        ("size<-10%", Threshold("", "size", False, False, -0.1, True)),
    ],
)
def test_conditions_are_read(text: str, threshold: Threshold) -> None:
    assert parse(text) == dataclasses.replace(threshold, text=text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p95", "is not a condition"),
        ("p95>fast", "is not a condition"),
        ("p95==5", "is not a condition"),
        ("speed>5", "names no known value"),
        ("invoke.p42>5", "names no known value"),
        ("p95>5 parsecs", "unknown unit 'parsecs'"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("median>45ms", True),
        ("median>46ms", False),
        ("median>=46ms", True),
        ("median<47ms", True),
        ("total.p95>0.01s", True),
        ("si_rmse>0.23", False),
        ("delta_1<0.72", True),
        ("dbe_acc>6", True),
        ("edge_energy<0.1", False),
        ("load>12ms", True),
        ("size>2MB", False),
        ("score<400", True),
    ],
)
def test_figures_are_those_of_the_record(measured: Results, text: str, fails: bool) -> None:
    only = dataclasses.replace(measured, models=measured.models[:1])
    lines = failures(only, [parse(text)])
    assert bool(lines) is fails
    if fails:
        assert lines[0].endswith(f"fails {text}")


def test_sharpness_that_was_not_measured_is_one_line(measured: Results) -> None:
    record = measured.models[0]
    assert record.accuracy is not None
    mean = dataclasses.replace(record.accuracy.mean, dbe_comp=None)
    blunt = dataclasses.replace(record, accuracy=dataclasses.replace(record.accuracy, mean=mean))
    with pytest.raises(UserError, match=r"dbe_comp of .* was not measured: no ground truth"):
        failures(dataclasses.replace(measured, models=[blunt]), [parse("dbe_comp>9")])


def test_changes_are_against_the_same_model_of_the_baseline(measured: Results) -> None:
    record = measured.models[0]
    slower = dataclasses.replace(
        record.invoke, statistics=dataclasses.replace(record.invoke.statistics, median=48.3)
    )
    now = dataclasses.replace(measured, models=[dataclasses.replace(record, invoke=slower)])
    assert failures(now, [parse("median>+6%")], measured) == []
    (line,) = failures(now, [parse("median>+4%")], measured)
    assert "invoke.median is 48.3, +5.0 % against 46" in line


def test_a_model_that_the_baseline_lacks_is_named(measured: Results) -> None:
    other = dataclasses.replace(measured.models[0], file="other.tflite")
    baseline = dataclasses.replace(measured, models=[other])
    with pytest.raises(UserError, match=r"is not in the baseline, which has other\.tflite"):
        failures(measured, [parse("median>+4%")], baseline)


def test_a_change_without_a_baseline_is_refused(measured: Results) -> None:
    with pytest.raises(UserError, match="give --baseline"):
        failures(measured, [parse("median>+4%")])

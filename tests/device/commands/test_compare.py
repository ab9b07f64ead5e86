from __future__ import annotations

import dataclasses

import pytest
from bench_depth.commands.compare import partners, render
from bench_depth.core.errors import UserError
from bench_depth.results.records import Results
from bench_depth.timing.measure import Timing, summarize


def timed(results: Results, ms: float, **changes: object) -> Results:
    times = [round(ms * 1e6 * (1 + 0.01 * (i % 7))) for i in range(200)]
    record = dataclasses.replace(
        results.models[0], invoke=Timing(times, summarize(times)), **changes
    )
    return dataclasses.replace(results, models=[record])


def test_the_verdict_and_the_figures_are_reported(measured: Results) -> None:
    text = render(timed(measured, 40), timed(measured, 30), "old", "new")
    assert "ratio 0.750 (95 %: 0.7" in text
    assert "faster" in text
    assert "si-RMSE 0.2199 -> 0.2199" in text


def test_one_model_in_each_is_compared_whatever_its_name(measured: Results) -> None:
    text = render(timed(measured, 40), timed(measured, 30, file="new.tflite"), "old", "new")
    assert f"{measured.models[0].file} -> new.tflite" in text


def test_of_several_models_those_of_the_same_name_and_threads_are_compared(
    measured: Results,
) -> None:
    record = measured.models[0]
    old = dataclasses.replace(measured, models=[dataclasses.replace(record, threads=1), record])
    new = dataclasses.replace(measured, models=[record, dataclasses.replace(record, file="x")])
    assert partners(old, new) == [(record, record)]
    apart = dataclasses.replace(new, models=[dataclasses.replace(record, file=f) for f in "xy"])
    with pytest.raises(UserError, match="old and new have no model in common"):
        render(old, apart, "old", "new")


def test_other_conditions_are_named(measured: Results) -> None:
    board = dataclasses.replace(measured.context.board, governor="performance")
    context = dataclasses.replace(measured.context, board=board)
    new = dataclasses.replace(timed(measured, 30), context=context)
    assert "note: governor differs: ondemand -> performance" in render(
        timed(measured, 40), new, "old", "new"
    )


def test_other_work_is_a_warning_of_each_pair(measured: Results) -> None:
    runtime = dataclasses.replace(measured.models[0].runtime, xnnpack=True, xnnpack_ops=(9, 10))
    changes = {"input": "1x96x128x3 uint8", "threads": 1, "runtime": runtime, "sha256": "1" * 64}
    text = render(timed(measured, 40), timed(measured, 30, **changes), "old", "new")
    assert text.count("warning: ") == len(changes)
    assert "warning: input differs: 1x480x640x3 uint8 -> 1x96x128x3 uint8" in text
    assert "warning: threads differs: 4 threads -> 1 thread" in text
    assert "XNNPACK runs 9 of 10 ops" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "warning" not in render(timed(measured, 40), timed(measured, 30), "old", "new")


def test_accuracy_on_other_data_is_not_compared(measured: Results) -> None:
    accuracy = measured.models[0].accuracy
    assert accuracy is not None
    other = timed(measured, 30, accuracy=dataclasses.replace(accuracy, align="median"))
    assert "not compared" in render(timed(measured, 40), other, "old", "new")


def test_accuracy_that_only_one_of_the_two_has_is_said(measured: Results) -> None:
    without = timed(measured, 30, accuracy=None)
    for pair in ((measured, without), (without, measured)):
        assert "in one of the two only: not compared" in render(*pair, "old", "new")
    assert "accuracy" not in render(without, without, "old", "new")


@pytest.mark.parametrize("median", [float("nan"), 0.0, float("inf"), -1.0])
def test_times_that_no_measurement_gives_are_refused(measured: Results, median: float) -> None:
    record = measured.models[0]
    statistics = dataclasses.replace(record.invoke.statistics, median=median)
    invoke = dataclasses.replace(record.invoke, statistics=statistics)
    broken = dataclasses.replace(measured, models=[dataclasses.replace(record, invoke=invoke)])
    for old, new in ((broken, measured), (measured, broken)):
        with pytest.raises(UserError, match="which no measurement gives"):
            render(old, new, "old", "new")

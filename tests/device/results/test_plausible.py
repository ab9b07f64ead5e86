"""Results files with figures that no measurement gives are refused, over whole spaces of them."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from bench_depth.core import json_text
from bench_depth.core.errors import UserError
from bench_depth.results import records as results
from bench_depth.results.records import Results

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as some

pytestmark = pytest.mark.same_everywhere
quick = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    # The results are never changed.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
STAGE = some.sampled_from(results.STAGES)
STATISTIC = some.sampled_from(["median", "p90", "p95", "p99", "minimum", "maximum", "mean"])


def refused_with(measured: Results, place: tuple[str | int, ...], value: object) -> str:
    """The message for a results file that holds `value` at a place in its second record."""
    text = json.loads(results.to_json(measured))
    holder = text["models"][1]
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "results.json")
        path.write_text(json_text.dumps(text))
        with pytest.raises(UserError) as error:
            results.load(path)
    return str(error.value)


@quick
@given(STAGE, STATISTIC, some.floats(max_value=45.9) | some.floats(min_value=60.1))
@example("invoke", "median", math.nan)
def test_statistics_that_their_times_cannot_give_are_refused(
    measured: Results, stage: str, statistic: str, value: float
) -> None:
    message = refused_with(measured, (stage, "statistics", statistic), value)
    assert f"models[1].{stage} has a {statistic} of" in message


@quick
@given(STAGE, some.lists(some.integers(-(2**62), 2**62), min_size=1))
@example("invoke", [0, 3])
@example("total", [2**62, -(2**62), 3])
def test_rounds_that_are_not_those_of_the_times_are_refused(
    measured: Results, stage: str, rounds: list[int]
) -> None:
    assume(sum(rounds) != 3 or min(rounds) < 1)
    message = refused_with(measured, (stage, "rounds"), rounds)
    assert f"models[1].{stage} has rounds that do not add up to its 3 times" in message


@quick
@given(STAGE, some.lists(some.integers(-(2**62), 2**62)))
def test_times_are_refused_that_are_none_or_not_those_of_the_statistics(
    measured: Results, stage: str, times: list[int]
) -> None:
    assume(not times or min(times) > 46_001_000 or max(times) < 45_999_000 or min(times) < 0)
    assert f"models[1].{stage} has " in refused_with(measured, (stage, "times_ns"), times)


@quick
@given(
    some.sampled_from(["rmse", "si_rmse", "log10", "rel", "dbe_acc", "edge_energy", "delta_2"]),
    some.floats(max_value=-1e-9),
)
@example("delta_1", 1.5)
@example("delta_3", math.inf)
def test_accuracy_that_no_measurement_gives_is_refused(
    measured: Results, name: str, value: float
) -> None:
    message = refused_with(measured, ("accuracy", "mean", name), value)
    assert f"models[1].accuracy.mean.{name} is" in message


@pytest.mark.parametrize("threads", [0, -3, 257, 2**62])
def test_threads_that_no_machine_has_are_refused(measured: Results, threads: int) -> None:
    assert "models[1].threads is" in refused_with(measured, ("threads",), threads)


@pytest.mark.parametrize("threads", [0, -3, 257, 2**62])
def test_threads_of_the_context_that_no_machine_has_are_refused(
    measured: Results, threads: int, tmp_path: Path
) -> None:
    text = json.loads(results.to_json(measured))
    text["context"]["threads"] = threads
    (tmp_path / "results.json").write_text(json.dumps(text))
    with pytest.raises(UserError, match=r"context\.threads is"):
        results.load(tmp_path / "results.json")


def test_a_record_without_threads_has_those_of_the_context(
    measured: Results, tmp_path: Path
) -> None:
    text = json.loads(results.to_json(measured))
    text["context"]["threads"] = 3
    text["models"][0]["threads"] = 1
    text["models"][1]["threads"] = None
    (tmp_path / "results.json").write_text(json.dumps(text))
    loaded = results.load(tmp_path / "results.json")
    assert [record.threads for record in loaded.models] == [1, 3]
    built = replace(loaded, models=[loaded.models[0], replace(loaded.models[1], threads=None)])
    for each in (loaded, built):
        assert [label.split(", ")[1] for label in results.labels(each)] == ["1 thread", "3 threads"]


@quick
@given(some.sampled_from(["bytes", "load_ms", "first_ms", "peak_rss_bytes"]), some.integers(1))
def test_negative_figures_are_refused(measured: Results, name: str, below: int) -> None:
    assume(below < 1e15)
    assert f"models[1].{name} is -" in refused_with(measured, (name,), -below)


@quick
@given(STAGE, some.floats(max_value=-1e-6, allow_infinity=False) | some.just(-math.inf))
def test_a_negative_deviation_is_refused(measured: Results, stage: str, value: float) -> None:
    message = refused_with(measured, (stage, "statistics", "sd"), value)
    assert f"models[1].{stage}" in message


def numbers(value: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The places of all numbers in a plain value."""
    if isinstance(value, (dict, list)):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        return [found for key, entry in entries for found in numbers(entry, (*place, key))]
    return [place] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


@pytest.mark.parametrize("value", [2**62, -(2**62), 1e308, -1e308, 1.1e15])
def test_a_number_beyond_all_figures_is_refused_wherever_it_stands(
    measured: Results, value: float
) -> None:
    record = json.loads(results.to_json(measured))["models"][1]
    for place in numbers(record):
        assert "models[1]." in refused_with(measured, place, value)

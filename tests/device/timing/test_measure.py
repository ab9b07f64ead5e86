from __future__ import annotations

import numpy as np
import pytest
from bench_depth.timing.measure import (
    ROUNDS,
    Interrupted,
    TimingPlan,
    measure,
    measure_in_turn,
    summarize,
    time_once,
)

from tests.device.timing.fake_tflite import FakeClock


def runner(clock: FakeClock, durations: list[int], calls: list[int]):
    def run() -> None:
        duration = durations[min(len(calls), len(durations) - 1)]
        calls.append(duration)
        clock.now += duration

    return run


def test_warmup_runs_are_not_counted() -> None:
    clock, calls = FakeClock(), []
    timing = measure(runner(clock, [900, 800, 11, 12, 10], calls), TimingPlan(2, 3, 0), clock)
    assert timing.times_ns == [11, 12, 10]
    assert len(calls) == 5


@pytest.mark.parametrize(("min_runs", "min_time", "runs"), [(3, 1.0, 10), (30, 1.0, 30), (1, 0, 1)])
def test_it_ends_with_enough_runs_and_enough_time(
    min_runs: int, min_time: float, runs: int
) -> None:
    clock = FakeClock()
    plan = TimingPlan(0, min_runs, min_time)
    assert measure(runner(clock, [100_000_000], []), plan, clock).times_ns == [100_000_000] * runs


def test_an_error_in_a_run_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        measure(lambda: 1 / 0, TimingPlan(0, 1, 0))


def test_a_single_run_is_timed_in_milliseconds() -> None:
    clock = FakeClock()
    assert time_once(runner(clock, [2_500_000], []), clock) == 2.5


@pytest.mark.parametrize("count", [1, 2, 3, 10, 101, 1000])
def test_statistics_agree_with_numpy(count: int) -> None:
    times = np.random.default_rng(count).lognormal(16, 0.5, count).astype(np.int64)
    ms = times / 1e6
    ours = summarize([int(t) for t in times])
    assert ours.runs == count
    for name, theirs in {
        "median": np.median(ms),
        "p90": np.percentile(ms, 90),
        "p95": np.percentile(ms, 95),
        "p99": np.percentile(ms, 99),
        "minimum": ms.min(),
        "maximum": ms.max(),
        "mean": ms.mean(),
        "sd": ms.std(ddof=1) if count > 1 else 0.0,
    }.items():
        assert getattr(ours, name) == pytest.approx(theirs, rel=1e-12), name


def test_statistics_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no times"):
        summarize([])


def named(clock: FakeClock, name: str, ms: int, order: list[str]):
    def run() -> None:
        order.append(name)
        clock.now += ms * 1_000_000

    return run


def test_taking_turns_gives_each_the_same_time_in_every_round() -> None:
    clock, order = FakeClock(), []
    runs = [named(clock, "a", 5, order), named(clock, "b", 10, order)]
    first, second = measure_in_turn(runs, TimingPlan(0, 1, 1.0), clock)
    assert len(first.rounds) == len(second.rounds) == ROUNDS
    # A turn is a twentieth of a second of counted runs.
    assert set(first.rounds) == {10} and set(second.rounds) == {5}
    assert set(first.times_ns) == {5_000_000} and set(second.times_ns) == {10_000_000}


def test_each_round_begins_with_the_next_model() -> None:
    clock, order = FakeClock(), []
    runs = [named(clock, name, 1, order) for name in "abc"]
    measure_in_turn(runs, TimingPlan(0, 3, 0), clock)
    # One run that is not counted and one that is.
    assert "".join(order) == "aabbcc" + "bbccaa" + "ccaabb"


def test_taking_turns_gives_the_slowest_its_minimum_number_of_runs() -> None:
    clock, order = FakeClock(), []
    runs = [named(clock, "a", 1, order), named(clock, "b", 500, order)]
    first, second = measure_in_turn(runs, TimingPlan(2, 30, 0.1), clock)
    assert len(second.times_ns) == 30 == sum(second.rounds)
    assert len(first.times_ns) == sum(first.rounds) >= 30


def interrupting(clock: FakeClock, after: int):
    calls = []

    def run() -> None:
        calls.append(1)
        clock.now += 10
        if len(calls) > after:
            raise KeyboardInterrupt

    return run


def test_ctrl_c_keeps_the_runs_so_far() -> None:
    clock = FakeClock()
    with pytest.raises(Interrupted) as stopped:
        measure(interrupting(clock, 4), TimingPlan(1, 50, 0), clock)
    (timing,) = stopped.value.timings
    assert timing.times_ns == [10, 10, 10]


def test_ctrl_c_before_the_first_counted_run_keeps_nothing() -> None:
    clock = FakeClock()
    with pytest.raises(KeyboardInterrupt) as stopped:
        measure(interrupting(clock, 1), TimingPlan(1, 50, 0), clock)
    assert not isinstance(stopped.value, Interrupted)


def test_ctrl_c_between_turns_keeps_whole_rounds_alone() -> None:
    clock = FakeClock()
    runs = [interrupting(clock, 99), interrupting(clock, 5)]
    with pytest.raises(Interrupted) as stopped:
        measure_in_turn(runs, TimingPlan(0, 50, 0), clock)
    # The second has two runs a round and fails in its third.
    assert [timing.rounds for timing in stopped.value.timings] == [[1, 1], [1, 1]]


def test_a_watcher_is_called_after_every_run_and_is_not_timed() -> None:
    clock, seen = FakeClock(), []

    def watch(times: list[int]) -> None:
        seen.append(len(times))
        clock.now += 1_000

    timing = measure(runner(clock, [10], []), TimingPlan(0, 4, 0), clock, watch)
    assert seen == [1, 2, 3, 4]
    assert timing.times_ns == [10, 10, 10, 10]

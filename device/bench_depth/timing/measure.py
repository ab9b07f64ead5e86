"""The timing loop and the statistics of its times."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Clock = Callable[[], int]


def no_limit() -> None:
    """Stands for the function that gives the next run of a model its time limit."""


# Number of turns that a plan's minimum time is divided into: enough to estimate the variance of
# rounds, and few enough that caches and clock frequency settle for most of a turn.
ROUNDS = 20
# Longest turn, seconds.
_MAX_TURN = 0.5


@dataclass(frozen=True)
class TimingPlan:
    """The length of a measurement; both minimums must be reached.

    Attributes:
        warmup: Number of runs before the counted ones.
        min_runs: Smallest number of counted runs.
        min_time: Smallest time to measure for, seconds.
    """

    warmup: int = 5
    min_runs: int = 50
    min_time: float = 5.0


@dataclass(frozen=True)
class Statistics:
    """The statistics of a series of times, in milliseconds except for the number of `runs`.

    Percentiles are interpolated linearly between the two nearest times (numpy's default); `sd` is
    the sample standard deviation, 0 for a single run.
    """

    runs: int
    median: float
    p90: float
    p95: float
    p99: float
    minimum: float
    maximum: float
    mean: float
    sd: float


@dataclass(frozen=True)
class Timing:
    """All times of one stage and their statistics.

    Attributes:
        times_ns: Times of the counted runs in their order, nanoseconds.
        statistics: Statistics of `times_ns`, milliseconds.
        rounds: Number of runs in each round, where models took turns; empty where they did not.
    """

    times_ns: list[int]
    statistics: Statistics
    rounds: list[int] = field(default_factory=list)


def require_sound(timing: Timing) -> None:
    """Checks times that were read from a file: that their statistics and rounds may be theirs.

    Raises:
        ValueError: They cannot be; the message is the end of a sentence about the timing.
    """
    times, statistics = timing.times_ns, timing.statistics
    if not times or min(times) < 0:
        raise ValueError("has no times, or times below 0 ns")
    # A native program may write its statistics with fewer digits.
    low, high = min(times) / 1e6 - 1e-3, max(times) / 1e6 + 1e-3
    for name in ("median", "p90", "p95", "p99", "minimum", "maximum", "mean"):
        if not low <= getattr(statistics, name) <= high:
            raise ValueError(f"has a {name} of {getattr(statistics, name):g} ms, out of its times")
    if statistics.sd < 0 or statistics.runs != len(times):
        raise ValueError(f"has {statistics.runs} runs with an sd of {statistics.sd:g} ms")
    rounds = timing.rounds
    if rounds and (min(rounds) < 1 or sum(rounds) != len(times)):
        raise ValueError(f"has rounds that do not add up to its {len(times)} times")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed during a measurement.

    Args:
        timings: Times until then, in order; at least one run each.
    """

    def __init__(self, timings: list[Timing]) -> None:
        super().__init__()
        self.timings = timings


def measure(
    run: Callable[[], object],
    plan: TimingPlan,
    clock: Clock = time.perf_counter_ns,
    watch: Callable[[Sequence[int]], None] = lambda times: None,
    arm: Callable[[], None] = no_limit,
) -> Timing:
    """Times the calls of one function.

    Args:
        run: The function to time; nothing else is called between two clock readings.
        plan: Length of the measurement. At least one run is counted.
        clock: Returns a monotonic time in nanoseconds.
        watch: Called after each counted run with all times so far.
        arm: Called before each run, outside the timed interval, to give it a time limit.

    Raises:
        Interrupted: Ctrl-C was pressed after at least one counted run.
    """
    for _ in range(plan.warmup):
        arm()
        run()
    times: list[int] = []
    append = times.append
    min_runs = max(plan.min_runs, 1)
    end = clock() + math.ceil(plan.min_time * 1e9)
    try:
        while True:
            arm()
            start = clock()
            run()
            stop = clock()
            append(stop - start)
            watch(times)
            if stop >= end and len(times) >= min_runs:
                break
    except KeyboardInterrupt:
        if times:
            raise Interrupted([Timing(times, summarize(times))]) from None
        raise
    return Timing(times, summarize(times))


def measure_in_turn(
    runs: Sequence[Callable[[], object]],
    plan: TimingPlan,
    clock: Clock = time.perf_counter_ns,
    watch: Callable[[int, Sequence[int]], None] = lambda index, times: None,
    arms: Sequence[Callable[[], None]] = (),
) -> list[Timing]:
    """Times several functions in turns, so that slow changes of the machine affect all of them.

    In a round each function has counted runs for 1/`ROUNDS` of the plan's minimum time (half a
    second at most), at least one, after a run that is not counted (it refills the caches). The
    order rotates by one each round.

    Args:
        runs: The functions to time.
        plan: Length of the measurement of each function.
        clock: Returns a monotonic time in nanoseconds.
        watch: Called after each counted run with the index of the function and its times so far.
        arms: Per function, what is called before each of its runs, outside the timed interval, to
            give the run a time limit; empty for none.

    Returns:
        One timing per function; all have the same number of rounds.

    Raises:
        Interrupted: Ctrl-C was pressed after at least one counted run of each function.
    """
    arms = arms or [no_limit] * len(runs)
    for run, arm in zip(runs, arms):
        for _ in range(plan.warmup):
            arm()
            run()
    turn = min(plan.min_time / ROUNDS, _MAX_TURN)
    times: list[list[int]] = [[] for _ in runs]
    rounds: list[list[int]] = [[] for _ in runs]
    try:
        while not _enough(times, plan):
            first = len(rounds[0])
            for step in range(len(runs)):
                index = (first + step) % len(runs)
                before = len(times[index])
                watched = functools.partial(watch, index)
                _one_turn(runs[index], times[index], turn, clock, watched, arms[index])
                rounds[index].append(len(times[index]) - before)
    except KeyboardInterrupt:
        # Only rounds that all functions completed can be compared.
        whole = min(map(len, rounds))
        if whole:
            raise Interrupted(_timings(times, [own[:whole] for own in rounds])) from None
        raise
    return _timings(times, rounds)


def _enough(times: Sequence[Sequence[int]], plan: TimingPlan) -> bool:
    min_runs = max(plan.min_runs, 1)
    return all(len(own) >= min_runs and sum(own) >= plan.min_time * 1e9 for own in times)


def _timings(times: Sequence[list[int]], rounds: Sequence[list[int]]) -> list[Timing]:
    kept = [mine[: sum(own)] for mine, own in zip(times, rounds)]
    return [Timing(mine, summarize(mine), own) for mine, own in zip(kept, rounds)]


def _one_turn(
    run: Callable[[], object],
    times: list[int],
    seconds: float,
    clock: Clock,
    watch: Callable[[Sequence[int]], None],
    arm: Callable[[], None],
) -> None:
    arm()
    run()
    end = clock() + math.ceil(seconds * 1e9)
    while True:
        arm()
        start = clock()
        run()
        stop = clock()
        times.append(stop - start)
        watch(times)
        if stop >= end:
            return


def time_once(run: Callable[[], object], clock: Clock = time.perf_counter_ns) -> float:
    """Returns the time of a single run in milliseconds."""
    start = clock()
    run()
    return (clock() - start) / 1e6


def summarize(times_ns: Sequence[int]) -> Statistics:
    """Computes the statistics of times in nanoseconds.

    Raises:
        ValueError: There is no time.
    """
    if not times_ns:
        raise ValueError("no times: nothing was measured")
    ms = sorted(t / 1e6 for t in times_ns)
    count = len(ms)
    mean = math.fsum(ms) / count
    squares = math.fsum((t - mean) ** 2 for t in ms)
    return Statistics(
        runs=count,
        median=percentile(ms, 50),
        p90=percentile(ms, 90),
        p95=percentile(ms, 95),
        p99=percentile(ms, 99),
        minimum=ms[0],
        maximum=ms[-1],
        mean=mean,
        sd=math.sqrt(squares / (count - 1)) if count > 1 else 0.0,
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Returns a percentile of sorted values, interpolated linearly between the two nearest."""
    position = (len(ordered) - 1) * percent / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)

"""The measuring loop and the statistics of its times."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Clock = Callable[[], int]
# Turns that the least time of a plan is cut into, so many rounds at least: enough to tell how they
# differ, and few enough that caches and clocks are a model's own for most of its turn.
ROUNDS = 20
# Seconds; in a long measurement nobody waits longer for a turn.
_LONGEST_TURN = 0.5


@dataclass(frozen=True)
class TimingPlan:
    """How long to measure.

    Attributes:
        warmup: Runs that are not counted.
        min_runs: At least so many runs are counted,
        min_time: and at least so many seconds are measured; both must be reached.
    """

    warmup: int = 5
    min_runs: int = 50
    min_time: float = 5.0


@dataclass(frozen=True)
class Statistics:
    """What a series of times comes to; all in milliseconds but `runs`.

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
    """All times of one stage and what they come to.

    Attributes:
        times_ns: Every counted run, in the order they ran.
        statistics: Of `times_ns`, in milliseconds.
        rounds: How many of them each round had, where models took turns; their sum is the number
            of runs. Empty where they did not.
    """

    times_ns: list[int]
    statistics: Statistics
    rounds: list[int] = field(default_factory=list)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while measuring.

    Args:
        timings: What was measured until then, in order; at least one run each.
    """

    def __init__(self, timings: list[Timing]) -> None:
        super().__init__()
        self.timings = timings


def measure(
    run: Callable[[], object],
    plan: TimingPlan,
    clock: Clock = time.perf_counter_ns,
    watch: Callable[[Sequence[int]], None] = lambda times: None,
) -> Timing:
    """Times `run` as the plan says.

    Args:
        run: What is measured; its own cost is all that lies between two clock readings.
        plan: How long. At least one run is counted.
        clock: Monotonic, nanoseconds.
        watch: Called after each counted run with all times so far.

    Raises:
        Interrupted: Ctrl-C, after at least one counted run.
    """
    for _ in range(plan.warmup):
        run()
    times: list[int] = []
    append = times.append
    min_runs = max(plan.min_runs, 1)
    end = clock() + math.ceil(plan.min_time * 1e9)
    try:
        while True:
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
    watch: Callable[[int, Sequence[int]], None] = lambda which, times: None,
) -> list[Timing]:
    """Times several things in turns, so that a change of the machine's mood meets all of them.

    In a round each has counted runs for 1/`ROUNDS` of the plan's least time (half a second at
    most), at least one, after one that is not counted (it brings the caches back). Who begins moves
    on by one each round.

    Args:
        runs: What is measured.
        plan: How long each: all of it holds for every one of them.
        clock: Monotonic, nanoseconds.
        watch: Called after each counted run with the number of the thing and its times so far.

    Returns:
        One timing for each, with its rounds; all have equally many.

    Raises:
        Interrupted: Ctrl-C, after at least one counted run of each.
    """
    for run in runs:
        for _ in range(plan.warmup):
            run()
    turn = min(plan.min_time / ROUNDS, _LONGEST_TURN)
    times: list[list[int]] = [[] for _ in runs]
    rounds: list[list[int]] = [[] for _ in runs]
    try:
        while not _enough(times, plan):
            begins = len(rounds[0])
            for step in range(len(runs)):
                which = (begins + step) % len(runs)
                before = len(times[which])
                told = functools.partial(watch, which)
                _one_turn(runs[which], times[which], turn, clock, told)
                rounds[which].append(len(times[which]) - before)
    except KeyboardInterrupt:
        # Rounds that not all had are left out, so that they can be compared.
        whole = min(map(len, rounds))
        if whole:
            raise Interrupted(_timings(times, [own[:whole] for own in rounds])) from None
        raise
    return _timings(times, rounds)


def _enough(times: Sequence[Sequence[int]], plan: TimingPlan) -> bool:
    least = max(plan.min_runs, 1)
    return all(len(mine) >= least and sum(mine) >= plan.min_time * 1e9 for mine in times)


def _timings(times: Sequence[list[int]], rounds: Sequence[list[int]]) -> list[Timing]:
    kept = [mine[: sum(own)] for mine, own in zip(times, rounds)]
    return [Timing(mine, summarize(mine), own) for mine, own in zip(kept, rounds)]


def _one_turn(
    run: Callable[[], object],
    times: list[int],
    seconds: float,
    clock: Clock,
    watch: Callable[[Sequence[int]], None],
) -> None:
    run()
    end = clock() + math.ceil(seconds * 1e9)
    while True:
        start = clock()
        run()
        stop = clock()
        times.append(stop - start)
        watch(times)
        if stop >= end:
            return


def time_once(run: Callable[[], object], clock: Clock = time.perf_counter_ns) -> float:
    """Times a single run, in milliseconds."""
    start = clock()
    run()
    return (clock() - start) / 1e6


def summarize(times_ns: Sequence[int]) -> Statistics:
    """The statistics of at least one time.

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
    """The percentile of sorted values, interpolated linearly between the two nearest."""
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)

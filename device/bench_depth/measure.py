"""The measuring loop and the statistics of its times."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Clock = Callable[[], int]


@dataclass(frozen=True)
class Plan:
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
    """

    times_ns: list[int]
    statistics: Statistics


def measure(run: Callable[[], object], plan: Plan, clock: Clock = time.perf_counter_ns) -> Timing:
    """Times `run` as the plan says.

    Args:
        run: What is measured; its own cost is all that lies between two clock readings.
        plan: How long. At least one run is counted.
        clock: Monotonic, nanoseconds.
    """
    for _ in range(plan.warmup):
        run()
    times: list[int] = []
    append = times.append
    min_runs = max(plan.min_runs, 1)
    end = clock() + math.ceil(plan.min_time * 1e9)
    while True:
        start = clock()
        run()
        stop = clock()
        append(stop - start)
        if stop >= end and len(times) >= min_runs:
            return Timing(times, summarize(times))


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
        median=_percentile(ms, 50),
        p90=_percentile(ms, 90),
        p95=_percentile(ms, 95),
        p99=_percentile(ms, 99),
        minimum=ms[0],
        maximum=ms[-1],
        mean=mean,
        sd=math.sqrt(squares / (count - 1)) if count > 1 else 0.0,
    )


def _percentile(ordered: Sequence[float], percent: float) -> float:
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)

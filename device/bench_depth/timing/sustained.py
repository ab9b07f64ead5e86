"""Latency over minutes of uninterrupted load, where heat lowers the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional

from bench_depth.machine.board import Health, read_health
from bench_depth.timing.measure import no_limit, percentile

_POINTS = 60
_MINUTE = 60.0


@dataclass(frozen=True)
class Point:
    """One interval of a sustained run.

    Attributes:
        seconds: End of the interval, seconds since the start.
        median_ms: Median latency in the interval, milliseconds.
        temperature_c: Temperature at the end, degrees Celsius; None without a sensor.
        clock_mhz: Clock frequency at the end, MHz; None where it is unknown.
    """

    seconds: float
    median_ms: float
    temperature_c: Optional[float]
    clock_mhz: Optional[float]


@dataclass(frozen=True)
class Sustained:
    """The result of a run without a pause.

    Attributes:
        minutes: Requested duration, minutes.
        runs: Number of invocations.
        first_ms: Median latency in the first minute, milliseconds.
        last_ms: Median latency in the last minute, milliseconds.
        curve: About 60 intervals of equal length.
    """

    minutes: float
    runs: int
    first_ms: float
    last_ms: float
    curve: list[Point]

    @property
    def slowdown(self) -> float:
        """Median latency in the last minute divided by that in the first."""
        return self.last_ms / self.first_ms


def sustain(
    run: Callable[[], object],
    minutes: float,
    *,
    clock: Callable[[], int] = time.perf_counter_ns,
    health: Callable[[], Health] = read_health,
    watch: Callable[[float, float], None] = lambda seconds, median_ms: None,
    arm: Callable[[], None] = no_limit,
) -> Sustained:
    """Runs a model for minutes without a pause.

    Args:
        run: Runs the model once.
        minutes: Duration, minutes; greater than 0.
        clock: Returns a monotonic time in nanoseconds.
        health: Returns the state of the board; called once per interval, between two runs.
        watch: Called after each interval with the seconds so far and the interval's median latency
            in milliseconds.
        arm: Called before each run, outside the timed interval, to give it a time limit.
    """
    interval = minutes * _MINUTE / _POINTS
    ends: list[float] = []
    times: list[float] = []
    curve: list[Point] = []
    begin = clock()
    interval_start = 0
    while not curve or curve[-1].seconds < minutes * _MINUTE:
        arm()
        start = clock()
        run()
        stop = clock()
        times.append((stop - start) / 1e6)
        ends.append((stop - begin) / 1e9)
        if ends[-1] >= interval * (len(curve) + 1):
            now = health()
            median = _median(times[interval_start:])
            curve.append(Point(ends[-1], median, now.temperature_c, now.clock_mhz))
            interval_start = len(times)
            watch(ends[-1], median)
    first = [ms for ms, end in zip(times, ends) if end <= _MINUTE] or times[:1]
    last = [ms for ms, end in zip(times, ends) if end > ends[-1] - _MINUTE]
    return Sustained(minutes, len(times), _median(first), _median(last), curve)


def _median(times: Sequence[float]) -> float:
    return percentile(sorted(times), 50)

"""Whether a model keeps its speed when it runs for minutes: heat shows late."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional

from bench_depth.machine.board import Health, read_health
from bench_depth.timing.measure import percentile

_POINTS = 60
_MINUTE = 60.0


@dataclass(frozen=True)
class Point:
    """A part of a long run.

    Attributes:
        seconds: Since it began, at the part's end.
        median_ms: Of the part's runs.
        temperature_c: At its end; None where there is no sensor.
        clock_mhz: At its end.
    """

    seconds: float
    median_ms: float
    temperature_c: Optional[float]
    clock_mhz: Optional[float]


@dataclass(frozen=True)
class Sustained:
    """A long run without a pause.

    Attributes:
        minutes: How long.
        runs: How many.
        first_ms: Median of the first minute's runs.
        last_ms: Median of the last minute's.
        curve: Parts of equal length, some 60.
    """

    minutes: float
    runs: int
    first_ms: float
    last_ms: float
    curve: list[Point]

    @property
    def slowdown(self) -> float:
        """The last minute over the first."""
        return self.last_ms / self.first_ms


def sustain(
    run: Callable[[], object],
    minutes: float,
    *,
    clock: Callable[[], int] = time.perf_counter_ns,
    health: Callable[[], Health] = read_health,
    watch: Callable[[float, float], None] = lambda seconds, median_ms: None,
) -> Sustained:
    """Runs a model for minutes without a pause.

    Args:
        run: One inference.
        minutes: How long; over 0.
        clock: Monotonic, nanoseconds.
        health: The board's state; asked once a part, between two runs.
        watch: Called after each part with the seconds so far and the part's median.
    """
    part = minutes * _MINUTE / _POINTS
    ends: list[float] = []
    times: list[float] = []
    curve: list[Point] = []
    begin = clock()
    start_of_part = 0
    while not curve or curve[-1].seconds < minutes * _MINUTE:
        start = clock()
        run()
        stop = clock()
        times.append((stop - start) / 1e6)
        ends.append((stop - begin) / 1e9)
        if ends[-1] >= part * (len(curve) + 1):
            now = health()
            median = _median(times[start_of_part:])
            curve.append(Point(ends[-1], median, now.temperature_c, now.clock_mhz))
            start_of_part = len(times)
            watch(ends[-1], median)
    first = [ms for ms, end in zip(times, ends) if end <= _MINUTE] or times[:1]
    last = [ms for ms, end in zip(times, ends) if end > ends[-1] - _MINUTE]
    return Sustained(minutes, len(times), _median(first), _median(last), curve)


def _median(times: Sequence[float]) -> float:
    return percentile(sorted(times), 50)

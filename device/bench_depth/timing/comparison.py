"""The ratio of two models' latencies, with a confidence interval."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.timing.measure import Timing

CONFIDENCE = 0.95
_RESAMPLES = 2000
# Fewer rounds give no useful estimate of their variance.
MIN_ROUNDS = 5
# Consecutive times are correlated; without turns, so many runs are resampled together.
_RUNS_PER_ROUND = 10


@dataclass(frozen=True)
class Comparison:
    """The latency of a model relative to that of a reference.

    Attributes:
        reference: File of the reference model.
        ratio: Latency divided by the reference's; below 1 is faster than the reference.
        low: Lower end of the 95 % confidence interval of `ratio`; None for too few rounds.
        high: Upper end of the 95 % confidence interval of `ratio`; None for too few rounds.
        rounds: Number of rounds that the interval is computed from.
    """

    reference: str
    ratio: float
    low: Optional[float]
    high: Optional[float]
    rounds: int

    @property
    def verdict(self) -> str:
        """`faster`, `slower`, `no difference shown`, or `too few rounds to tell`."""
        if self.low is None or self.high is None:
            return "too few rounds to tell"
        if self.high < 1:
            return "faster"
        return "slower" if self.low > 1 else "no difference shown"


def in_turn(timing: Timing, reference: Timing, name: str) -> Comparison:
    """Compares two models that took turns: each round with the other's of the same round.

    The ratio is the geometric mean over rounds of the ratio of medians; the interval is that of the
    percentile bootstrap over rounds (Efron and Tibshirani 1993, chapter 13).

    Args:
        timing: Times of the model, in rounds.
        reference: Times of the reference model, in as many rounds.
        name: File of the reference model.
    """
    logs = np.log(_round_medians(timing)) - np.log(_round_medians(reference))
    means = logs[_draws(len(logs), np.random.default_rng(0))].mean(1)
    return _comparison(name, float(logs.mean()), means, len(logs))


def apart(timing: Timing, reference: Timing, name: str) -> Comparison:
    """Compares two models that were measured one after the other, or in different files.

    The ratio is that of the medians. The interval is that of the percentile bootstrap over each
    model's own rounds; it does not include differences between the two measurements (heat, other
    programs).

    Args:
        timing: Times of the model.
        reference: Times of the reference model.
        name: File of the reference model.
    """
    generator = np.random.default_rng(0)
    mine, other = _round_medians(timing), _round_medians(reference)
    drawn = [
        np.log(np.median(medians[_draws(len(medians), generator)], 1)) for medians in (mine, other)
    ]
    ratio = np.log(timing.statistics.median / reference.statistics.median)
    return _comparison(name, float(ratio), drawn[0] - drawn[1], min(len(mine), len(other)))


def _comparison(name: str, log_ratio: float, drawn: NDArray[np.float64], rounds: int) -> Comparison:
    low = high = None
    if rounds >= MIN_ROUNDS:
        tail = (1 - CONFIDENCE) / 2
        low, high = (float(np.exp(q)) for q in np.quantile(drawn, (tail, 1 - tail)))
    return Comparison(name, float(np.exp(log_ratio)), low, high, rounds)


def _draws(count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return generator.integers(0, count, (_RESAMPLES, count))


def _round_medians(timing: Timing) -> NDArray[np.float64]:
    """The median time of each round, nanoseconds, at least 1."""
    times: Sequence[int] = timing.times_ns
    rounds = timing.rounds
    if not rounds:
        whole = max(len(times) // _RUNS_PER_ROUND, 1)
        rounds = [len(part) for part in np.array_split(np.arange(len(times)), whole)]
    ends = list(itertools.accumulate(rounds))
    parts = [times[end - count : end] for end, count in zip(ends, rounds)]
    return np.array([max(float(np.median(part)), 1.0) for part in parts])

"""The times of a graph's ops, and what they come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

# The quartiles of a normal distribution, in standard deviations.
_QUARTILES_APART = 1.349


@dataclass(frozen=True)
class Op:
    """One op of a graph, as the runtime executes it.

    Attributes:
        index: Its number in the graph; not always its place among those that are executed.
        kind: Its type, as the runtime spells it: `CONV_2D`, `Conv`, `XNNPACK`.
        name: Of its first output (TFLite) or of itself (ONNX); may be empty, and not unique.
        shape: Of its first output, like `1x48x64x3`; empty where the runtime does not tell.
    """

    index: int
    kind: str
    name: str
    shape: str


@dataclass(frozen=True)
class OpTiming(Op):
    """An op and its time.

    Attributes:
        ms: The mean of the middle half of its times, milliseconds.
        error_ms: The standard error of that.
        share: Of the sum over all ops, 0 to 1.
    """

    ms: float
    error_ms: float
    share: float


@dataclass(frozen=True)
class Profile:
    """The time of every op of a model.

    Attributes:
        method: `calls`: the runtime's calls of its ops were timed; `onnxruntime`: by its own
            profiler.
        runs: How often each op was timed.
        total_ms: A whole run, the timing of ops included; again the mean of the middle half.
        untimed_ms: A whole run without it.
        ops: In the order in which they are executed.
        delegated: How many ops of the file XNNPACK runs; they are one or a few of `ops`.
        plain: The same file without XNNPACK, where `delegated` is not 0: there each op has a time.
    """

    method: str
    runs: int
    total_ms: float
    untimed_ms: float
    ops: list[OpTiming]
    delegated: int = 0
    plain: Optional[Profile] = None

    @property
    def sum_ms(self) -> float:
        """Of all ops."""
        return math.fsum(op.ms for op in self.ops)


@dataclass(frozen=True)
class Group:
    """All ops of one kind: how many, their time and their share of the sum."""

    kind: str
    count: int
    ms: float
    share: float


def by_kind(profile: Profile) -> list[Group]:
    """The ops by their kind, those that take longest first."""
    kinds = dict.fromkeys(op.kind for op in profile.ops)
    groups = []
    for kind in kinds:
        own = [op for op in profile.ops if op.kind == kind]
        ms, share = math.fsum(op.ms for op in own), math.fsum(op.share for op in own)
        groups.append(Group(kind, len(own), ms, share))
    return sorted(groups, key=lambda group: -group.ms)


def costliest(profile: Profile, count: int) -> list[OpTiming]:
    """At most so many ops, those that take longest first."""
    return sorted(profile.ops, key=lambda op: -op.ms)[:count]


def average(
    method: str,
    ops: Sequence[Op],
    times_ns: NDArray[Any],
    totals_ns: Sequence[float],
    untimed_ns: Sequence[float],
) -> Profile:
    """Makes a profile of the times of many runs.

    Args:
        method: See `Profile`.
        ops: What was timed.
        times_ns: runs x ops, nanoseconds.
        totals_ns: The same runs as a whole.
        untimed_ns: Other runs, whose ops were not timed.
    """
    means, errors = _middle(np.asarray(times_ns, float) / 1e6)
    whole = float(means.sum()) or 1.0
    return Profile(
        method,
        len(times_ns),
        float(_middle(np.asarray(totals_ns, float) / 1e6)[0]),
        float(_middle(np.asarray(untimed_ns, float) / 1e6)[0]),
        [
            OpTiming(
                op.index, op.kind, op.name, op.shape, float(ms), float(error), float(ms) / whole
            )
            for op, ms, error in zip(ops, means, errors)
        ],
    )


def _middle(times: NDArray[np.float64]) -> tuple[Any, Any]:
    """The interquartile mean over the first axis and its standard error.

    As little disturbed by other programs as the median, and finer than a clock of microseconds.
    The error is the median's, for a normal distribution as wide as the quartiles say.
    """
    ordered = np.sort(times, 0)
    count = len(ordered)
    left_out = count // 4
    low, high = np.percentile(ordered, (25, 75), axis=0)
    error = math.sqrt(math.pi / 2) * (high - low) / _QUARTILES_APART / math.sqrt(count)
    return ordered[left_out : count - left_out].mean(0), error

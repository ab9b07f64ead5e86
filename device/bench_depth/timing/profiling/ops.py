"""The times of a graph's ops and their averages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

# Interquartile range of a normal distribution, in standard deviations.
_INTERQUARTILE_RANGE = 1.349


@dataclass(frozen=True)
class Op:
    """One op of a graph, as the runtime executes it.

    Attributes:
        index: Index of the op in the graph; not always its position in the order of execution.
        kind: Type of the op, as the runtime spells it: `CONV_2D`, `Conv`, `XNNPACK`.
        name: Name of its first output (TFLite) or of the op (ONNX); may be empty or not unique.
        shape: Shape of its first output, like `1x48x64x3`; empty where it is unknown.
    """

    index: int
    kind: str
    name: str
    shape: str


@dataclass(frozen=True)
class OpTiming(Op):
    """The measured time of an op.

    Attributes:
        ms: Interquartile mean of its times, milliseconds.
        error_ms: Standard error of `ms`, milliseconds.
        share: Fraction of the sum over all ops, 0 to 1.
    """

    ms: float
    error_ms: float
    share: float


@dataclass(frozen=True)
class Profile:
    """The time of every op of a model.

    Attributes:
        method: `calls` where the runtime's calls of its ops were timed, `onnxruntime` where the
            runtime's profiler timed them.
        runs: Number of runs in which each op was timed.
        total_ms: Interquartile mean of a whole run with its ops timed, milliseconds.
        untimed_ms: Interquartile mean of a whole run without timing its ops, milliseconds.
        ops: Times of the ops in the order of execution.
        delegated: Number of the file's ops that XNNPACK runs, as one or a few of `ops`.
        plain: Profile of the same file without XNNPACK, in which each op has a time; None where
            `delegated` is 0.
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
        """Sum of the times of all ops, milliseconds."""
        return math.fsum(op.ms for op in self.ops)


@dataclass(frozen=True)
class Group:
    """All ops of one kind.

    Attributes:
        kind: Type of the ops.
        count: Number of the ops.
        ms: Sum of their times, milliseconds.
        share: Fraction of the sum over all ops, 0 to 1.
    """

    kind: str
    count: int
    ms: float
    share: float


def by_kind(profile: Profile) -> list[Group]:
    """Groups the ops by kind, the kind with the longest time first."""
    kinds = dict.fromkeys(op.kind for op in profile.ops)
    groups = []
    for kind in kinds:
        own = [op for op in profile.ops if op.kind == kind]
        ms, share = math.fsum(op.ms for op in own), math.fsum(op.share for op in own)
        groups.append(Group(kind, len(own), ms, share))
    return sorted(groups, key=lambda group: -group.ms)


def costliest(profile: Profile, count: int) -> list[OpTiming]:
    """Returns the `count` ops with the longest times, longest first."""
    return sorted(profile.ops, key=lambda op: -op.ms)[:count]


def average(
    method: str,
    ops: Sequence[Op],
    times_ns: NDArray[Any],
    totals_ns: Sequence[float],
    untimed_ns: Sequence[float],
) -> Profile:
    """Averages the times of many runs to a profile.

    Args:
        method: Method by which the ops were timed, see `Profile`.
        ops: The ops.
        times_ns: Time of each op in each run, runs x ops, nanoseconds.
        totals_ns: Times of the same runs as a whole, nanoseconds.
        untimed_ns: Times of other runs, whose ops were not timed, nanoseconds.
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
    """Computes the interquartile mean over the first axis and its standard error.

    The mean is as robust against other programs as the median, and finer than the resolution of a
    clock in microseconds. The error is that of the median of a normal distribution with the same
    interquartile range.
    """
    ordered = np.sort(times, 0)
    count = len(ordered)
    left_out = count // 4
    low, high = np.percentile(ordered, (25, 75), axis=0)
    error = math.sqrt(math.pi / 2) * (high - low) / _INTERQUARTILE_RANGE / math.sqrt(count)
    return ordered[left_out : count - left_out].mean(0), error

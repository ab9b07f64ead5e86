"""The times of a graph's ops, and what they come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray


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
class OpTime(Op):
    """An op and its time.

    Attributes:
        ms: The mean over the runs that count, milliseconds.
        error_ms: The standard error of that mean.
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
        runs: Those that count: the half whose whole time was nearest to the median.
        total_ms: Their whole time, the timing of ops included.
        untimed_ms: A run without it; of as many runs, chosen likewise.
        ops: In the order in which they are executed.
        delegated: How many ops of the file XNNPACK runs; they are one or a few of `ops`.
        plain: The same file without XNNPACK, where `delegated` is not 0: there each op has a time.
    """

    method: str
    runs: int
    total_ms: float
    untimed_ms: float
    ops: list[OpTime]
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


def costliest(profile: Profile, count: int) -> list[OpTime]:
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

    Of the runs that half counts whose whole time is nearest to the median. So a run that another
    program broke into does not count, and the ops' means still add up to the mean run, which their
    medians would not.

    Args:
        method: See `Profile`.
        ops: What was timed.
        times_ns: runs x ops, nanoseconds.
        totals_ns: The same runs as a whole.
        untimed_ns: Other runs, whose ops were not timed.
    """
    chosen = _middle(totals_ns)
    counted = np.asarray(times_ns, float)[chosen] / 1e6
    means = counted.mean(0)
    errors = counted.std(0, ddof=1 if len(chosen) > 1 else 0) / math.sqrt(len(chosen))
    whole = float(means.sum()) or 1.0
    return Profile(
        method,
        len(chosen),
        _mean_ms(totals_ns, chosen),
        _mean_ms(untimed_ns, _middle(untimed_ns)),
        [
            OpTime(op.index, op.kind, op.name, op.shape, float(ms), float(error), float(ms) / whole)
            for op, ms, error in zip(ops, means, errors)
        ],
    )


def _middle(totals_ns: Sequence[float]) -> NDArray[np.intp]:
    """The numbers of the runs that count, at least one."""
    distance = np.abs(np.asarray(totals_ns, float) - np.median(totals_ns))
    return np.argsort(distance, kind="stable")[: (len(totals_ns) + 1) // 2]


def _mean_ms(totals_ns: Sequence[float], chosen: NDArray[np.intp]) -> float:
    return float(np.asarray(totals_ns, float)[chosen].mean() / 1e6)

"""Pruning to a budget of milliseconds, as something outside predicts them from the exported file.

The predictor is handed in as a `Clock`. It looks at the network at a few sets of widths; between
them the time of every op is interpolated by

    a + b u + c v + d u v      all of a, b, c and d at least 0

with u the channels that come out of its convolution and v those that go in. Then the network is
pruned by that model, the result is looked at, and the aim is moved by what the model was wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bench_depth.core.errors import UserError
from numpy.typing import NDArray

from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.channels import Axis
from ghostdepth_train.pruning.latency import Budget, OpTime
from ghostdepth_train.pruning.widths import CostModel, Counts, places

# Where ops are looked at between all of the widths and the smallest ones.
PARTS = (0.75, 0.5)
# The result lies between this part of the budget and the budget, where the widths allow it.
NEAR = 0.95
ROUNDS = 6


@dataclass(frozen=True)
class Sample:
    """The file at one choice of widths.

    Attributes:
        counts: Units of each axis.
        ops: What its ops take.
    """

    counts: Counts
    ops: list[OpTime]

    @property
    def ms(self) -> float:
        """Of the whole file."""
        return total(self.ops)


@dataclass(frozen=True)
class Met:
    """What pruning to a budget came to.

    Attributes:
        network: The smaller one.
        counts: Units that each axis keeps.
        before: Predicted milliseconds before.
        after: Predicted milliseconds of the smaller one.
        tries: Predicted milliseconds of each try.
    """

    network: DepthNet
    counts: Counts
    before: float
    after: float
    tries: list[float]


def total(ops: Sequence[OpTime]) -> float:
    """Milliseconds of the whole file."""
    return sum(op.ms for op in ops)


def sample(
    budget: Budget,
    network: DepthNet,
    options: Sequence[Sequence[int]],
    build: Callable[[Counts], DepthNet],
    look: Callable[[DepthNet], list[OpTime]],
) -> list[Sample]:
    """Looks at the network as it is, at parts of its widths and at the smallest ones, last.

    Args:
        budget: That is to be met in the end.
        network: As it is now.
        options: For each axis its `widths.choices`.
        build: The network that keeps so many units.
        look: The clock.

    Raises:
        UserError: The smallest widths take longer, or the network as it is takes no longer.
    """
    most, fewest = (tuple(option[end] for option in options) for end in (-1, 0))
    now = Sample(np.array(most), look(network))
    least = Sample(np.array(fewest), look(build(np.array(fewest))))
    _check(budget, now, least)
    between = {_nearest(options, part) for part in PARTS} - {most, fewest}
    found = [Sample(np.array(counts), look(build(np.array(counts)))) for counts in between]
    return [now, *sorted(found, key=lambda s: -s.counts.sum()), least]


def _nearest(options: Sequence[Sequence[int]], part: float) -> tuple[int, ...]:
    distances = [{n: (abs(n - part * option[-1]), n) for n in option} for option in options]
    return tuple(min(near, key=near.__getitem__) for near in distances)


def time_model(axes: Sequence[Axis], samples: Sequence[Sample]) -> CostModel:
    """Milliseconds as a function of the widths, fitted op by op.

    Raises:
        UserError: The files at different widths do not have the same ops.
    """
    first = samples[0].ops
    for other in samples[1:]:
        if [(op.kind, op.layer) for op in other.ops] != [(op.kind, op.layer) for op in first]:
            raise UserError(
                "the exported file has other ops at other widths; prune by `macs` instead"
            )
    where = places(axes)
    units = np.array([np.append(s.counts, 1) for s in samples], float)
    none = len(axes)
    terms: list[tuple[float, int, int]] = []
    for index, op in enumerate(first):
        times = np.array([s.ops[index].ms for s in samples])
        sides = ("out", "in") if op.own else ("out",)
        here = [where[key] for side in sides if (key := (op.layer, side)) in where]
        terms += _fit(times, units, here, none)
    price, one, two = zip(*terms, strict=True)
    return CostModel(np.array(price), np.array(one), np.array(two), 0.0)


def _fit(
    times: NDArray[np.float64], units: NDArray[np.float64], here: list[int], none: int
) -> list[tuple[float, int, int]]:
    """The terms of one op: price, first axis, second axis."""
    from scipy.optimize import nnls

    if not here or not times.max() > 0:
        return [(float(times.mean()), none, none)]
    sides = [(axis, none) for axis in here]
    groups = [[(none, none)], sides]
    if len(here) == 2:
        groups.append([(here[0], here[1])])
    # The samples shrink both sides together and cannot tell one from the other: each has half.
    scale = units[0]
    columns = [
        np.mean([units[:, a] * units[:, b] / (scale[a] * scale[b]) for a, b in group], axis=0)
        for group in groups
    ]
    matrix = np.stack(columns, axis=1)
    weight = 1 / np.maximum(times, 1e-3 * times.max())
    factors, _ = nnls(matrix * weight[:, None], times * weight)
    return [
        (float(factor / len(group) / (scale[a] * scale[b])), a, b)
        for factor, group in zip(factors, groups, strict=True)
        for a, b in group
    ]


def meet(
    goal: float,
    samples: Sequence[Sample],
    cost: CostModel,
    choose: Callable[[float], Counts],
    build: Callable[[Counts], DepthNet],
    look: Callable[[DepthNet], list[OpTime]],
    say: Callable[[str], None],
) -> Met:
    """Prunes until the file takes at most `goal`, and 95 % of it where the widths allow that.

    Args:
        goal: Milliseconds, between what the last sample takes and what the first does.
        samples: Of `sample`.
        cost: Of `time_model`.
        choose: Counts whose cost is at most what is given.
        build: The network that keeps so many units.
        look: The clock.
        say: Told about every try.
    """
    now, least = samples[0], samples[-1]
    tried: list[Sample] = [least]
    floor, aim = cost(least.counts), (1 + NEAR) / 2 * goal
    for number in range(1, ROUNDS + 1):
        counts = choose(max(aim, floor))
        if any((counts == other.counts).all() for other in tried):
            break
        tried.append(Sample(counts, look(build(counts))))
        got = tried[-1].ms
        say(f"  try {number}: {got:.2f} ms predicted from the file, {goal:.2f} ms wanted")
        if NEAR * goal <= got <= goal:
            break
        aim += (1 + NEAR) / 2 * goal - got
    best = max((s for s in tried if s.ms <= goal), key=lambda s: s.ms)
    return Met(build(best.counts), best.counts, now.ms, best.ms, [s.ms for s in tried[1:]])


def _check(budget: Budget, now: Sample, least: Sample) -> None:
    what = f"the {budget.what}"
    if now.ms <= budget.ms:
        raise UserError(
            f"{what} takes {now.ms:.2f} ms as it is, within the budget of {budget.ms:g} ms; "
            "there is nothing to prune"
        )
    if least.ms > budget.ms:
        fixed = sum(op.ms for op in least.ops if not op.layer)
        raise UserError(
            f"cannot meet {budget.ms:g} ms: {what} takes {least.ms:.2f} ms at the smallest widths "
            f"that `share` and `least` allow, {fixed:.2f} ms of it for resizing the camera's "
            "picture and the depth map, which no width changes"
        )


def note(met: Met, budget: Budget) -> dict[str, Any]:
    """What the checkpoint's metrics keep."""
    return {
        "of": "ms",
        "before": met.before,
        "after": met.after,
        "budget": budget.model_dump(mode="json"),
        "tries": met.tries,
        "line": (
            f"pruned from {met.before:.2f} to {met.after:.2f} ms, predicted for the "
            f"{budget.what}; budget {budget.ms:g} ms"
        ),
    }

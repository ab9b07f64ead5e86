"""Pruning to a latency budget, with latency predicted from the exported file.

The caller passes a `LatencyPredictor`. The latency of every op is predicted at a few sets of widths
and interpolated between them by

    a + b u + c v + d u v      with a, b, c, d >= 0

where u and v are the output and input channels of its convolution. The network is pruned by that
model, its latency is predicted, and the aim is corrected by the model's error until the latency is
close enough to the budget.
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
from ghostdepth_train.pruning.latency import LatencyBudget, LayerLatency
from ghostdepth_train.pruning.widths import ChannelCounts, CostModel, axis_indices

# Fractions of the widths that are sampled between the full and the smallest ones.
SAMPLED_FRACTIONS = (0.75, 0.5)
# The result lies between this fraction of the budget and the budget, where the widths allow it.
MIN_BUDGET_USED = 0.95
MAX_TRIES = 6


@dataclass(frozen=True)
class Sample:
    """Predicted latency of the file at one choice of widths.

    Attributes:
        counts: Number of units of each axis.
        ops: Latency of each op.
    """

    counts: ChannelCounts
    ops: list[LayerLatency]

    @property
    def ms(self) -> float:
        """Predicted milliseconds of the whole file."""
        return total(self.ops)


@dataclass(frozen=True)
class BudgetResult:
    """Result of pruning to a latency budget.

    Attributes:
        network: Pruned network.
        counts: Number of units that each axis keeps.
        before: Predicted milliseconds before pruning.
        after: Predicted milliseconds of the pruned network.
        tries: Predicted milliseconds of each try.
    """

    network: DepthNet
    counts: ChannelCounts
    before: float
    after: float
    tries: list[float]


def total(ops: Sequence[LayerLatency]) -> float:
    """Predicted milliseconds of the whole file."""
    return sum(op.ms for op in ops)


def sample_latencies(
    budget: LatencyBudget,
    network: DepthNet,
    options: Sequence[Sequence[int]],
    build: Callable[[ChannelCounts], DepthNet],
    layer_latencies: Callable[[DepthNet], list[LayerLatency]],
) -> list[Sample]:
    """Predicts the latency at the full widths, at fractions of them and at the smallest ones.

    Args:
        budget: Latency budget of the final result.
        network: Network before pruning.
        options: The `widths.choices` of each axis.
        build: Makes the network that keeps the given numbers of units.
        layer_latencies: Predicts the latency of each op of a network's file.

    Returns:
        The samples by falling widths: the full ones first, the smallest ones last.

    Raises:
        UserError: The smallest widths exceed the budget, or the full ones are within it.
    """
    most, fewest = (tuple(option[end] for option in options) for end in (-1, 0))
    now = Sample(np.array(most), layer_latencies(network))
    smallest = Sample(np.array(fewest), layer_latencies(build(np.array(fewest))))
    _check(budget, now, smallest)
    between = {_nearest(options, fraction) for fraction in SAMPLED_FRACTIONS} - {most, fewest}
    found = [
        Sample(np.array(counts), layer_latencies(build(np.array(counts)))) for counts in between
    ]
    return [now, *sorted(found, key=lambda s: -s.counts.sum()), smallest]


def _nearest(options: Sequence[Sequence[int]], fraction: float) -> tuple[int, ...]:
    distances = [{n: (abs(n - fraction * option[-1]), n) for n in option} for option in options]
    return tuple(min(near, key=near.__getitem__) for near in distances)


def latency_model(axes: Sequence[Axis], samples: Sequence[Sample]) -> CostModel:
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
    axis_of = axis_indices(axes)
    units = np.array([np.append(s.counts, 1) for s in samples], float)
    none = len(axes)
    terms: list[tuple[float, int, int]] = []
    for index, op in enumerate(first):
        times = np.array([s.ops[index].ms for s in samples])
        sides = ("out", "in") if op.own else ("out",)
        here = [axis_of[key] for side in sides if (key := (op.layer, side)) in axis_of]
        terms += _fit(times, units, here, none)
    coefficients, first_axis, second_axis = map(np.array, zip(*terms, strict=True))
    return CostModel(coefficients, first_axis, second_axis, 0.0)


def _fit(
    times: NDArray[np.float64], units: NDArray[np.float64], here: list[int], none: int
) -> list[tuple[float, int, int]]:
    """The terms of one op: coefficient, first axis, second axis."""
    from scipy.optimize import nnls

    if not here or not times.max() > 0:
        return [(float(times.mean()), none, none)]
    sides = [(axis, none) for axis in here]
    groups = [[(none, none)], sides]
    if len(here) == 2:
        groups.append([(here[0], here[1])])
    # The samples shrink both sides together, so their effects cannot be separated: half for each.
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


def prune_to_budget(
    goal: float,
    samples: Sequence[Sample],
    cost: CostModel,
    choose: Callable[[float], ChannelCounts],
    build: Callable[[ChannelCounts], DepthNet],
    layer_latencies: Callable[[DepthNet], list[LayerLatency]],
    log: Callable[[str], None],
) -> BudgetResult:
    """Prunes until the file takes at most `goal`, and at least 95 % of it where widths allow that.

    Args:
        goal: Milliseconds, between those of the last and the first sample.
        samples: Samples, as `sample_latencies` returns them.
        cost: Latency model, as `latency_model` returns it.
        choose: Finds counts whose cost is at most the given one.
        build: Makes the network that keeps the given numbers of units.
        layer_latencies: Predicts the latency of each op of a network's file.
        log: Called with one line of progress text.
    """
    now, smallest = samples[0], samples[-1]
    tried: list[Sample] = [smallest]
    middle = (1 + MIN_BUDGET_USED) / 2 * goal
    floor, aim = cost(smallest.counts), middle
    for number in range(1, MAX_TRIES + 1):
        counts = choose(max(aim, floor))
        if any((counts == other.counts).all() for other in tried):
            break
        tried.append(Sample(counts, layer_latencies(build(counts))))
        ms = tried[-1].ms
        log(f"  try {number}: {ms:.2f} ms predicted from the file, {goal:.2f} ms wanted")
        if MIN_BUDGET_USED * goal <= ms <= goal:
            break
        aim += middle - ms
    best = max((s for s in tried if s.ms <= goal), key=lambda s: s.ms)
    return BudgetResult(build(best.counts), best.counts, now.ms, best.ms, [s.ms for s in tried[1:]])


def _check(budget: LatencyBudget, now: Sample, smallest: Sample) -> None:
    what = f"the {budget.what}"
    if now.ms <= budget.ms:
        raise UserError(
            f"{what} takes {now.ms:.2f} ms before pruning, within the budget of {budget.ms:g} ms; "
            "there is nothing to prune"
        )
    if smallest.ms > budget.ms:
        fixed = sum(op.ms for op in smallest.ops if not op.layer)
        raise UserError(
            f"cannot meet {budget.ms:g} ms: {what} takes {smallest.ms:.2f} ms at the smallest "
            f"widths that `min_fraction` and `min_channels` allow, {fixed:.2f} ms of it for "
            "resizing the camera's image and the depth map, which no width changes"
        )


def budget_note(result: BudgetResult, budget: LatencyBudget) -> dict[str, Any]:
    """The note for the checkpoint's metrics."""
    return {
        "of": "ms",
        "before": result.before,
        "after": result.after,
        "budget": budget.model_dump(mode="json"),
        "tries": result.tries,
        "line": (
            f"pruned from {result.before:.2f} to {result.after:.2f} ms, predicted for the "
            f"{budget.what}; budget {budget.ms:g} ms"
        ),
    }

"""How many units every width keeps, so that the network meets a cost target.

The cost of a network is a sum over its layers: a coefficient times the output channels times, in a
convolution that is not depthwise, the input channels. So the cost of any choice of widths is known
without building the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from bench_depth.core.errors import UserError
from numpy.typing import NDArray
from torch import nn

from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.pruning.channels import Axis
from ghostdepth_train.pruning.importance import Scores

ChannelCounts = NDArray[np.int64]
Cost = Literal["macs", "parameters", "time"]
COSTS: tuple[Cost, ...] = ("macs", "parameters", "time")


@dataclass(frozen=True)
class CostModel:
    """A cost as a function of the number of units that each axis keeps.

    Attributes:
        coefficients: Cost of each term at one unit of each of its axes.
        first_axis: Index of the first axis of each term; the number of axes stands for "none".
        second_axis: Index of the second axis of each term, likewise.
        fixed: Cost that does not depend on any width.
    """

    coefficients: NDArray[np.float64]
    first_axis: NDArray[np.int64]
    second_axis: NDArray[np.int64]
    fixed: float

    def __call__(self, counts: ChannelCounts | Sequence[int]) -> float:
        """The cost when axis i keeps `counts[i]` units."""
        units = np.append(counts, 1)
        terms = self.coefficients * units[self.first_axis] * units[self.second_axis]
        return float(terms.sum() + self.fixed)


def cost_model(
    network: DepthNet,
    axes: Sequence[Axis],
    of: Cost,
    times: Mapping[str, float] | None = None,
) -> CostModel:
    """The cost of the network as a function of its widths.

    Args:
        network: Network before pruning.
        axes: Axes of the network, as `find_axes` returns them.
        of: Kind of cost.
        times: For `time`: current time of each layer, by names as in `summary.layer_costs`, in any
            unit. A layer's time is assumed proportional to its MACs; an entry that is not a layer,
            like `(rest)`, is constant.

    Raises:
        UserError: `times` lacks a layer of the network.
    """
    rows = layer_costs(network)
    # The width of attention's heads is never pruned.
    layers = [row for row in rows if row.kind != "attention"]
    figure = "parameters" if of == "parameters" else "macs"
    taken = (times or {}) if of == "time" else {r.name: float(getattr(r, figure)) for r in rows}
    missing = [row.name for row in layers if row.name not in taken]
    if missing:
        raise UserError(
            f"the table of costs has no time for {len(missing)} of the network's "
            f"{len(layers)} layers, first {missing[0]}; make it from this very checkpoint "
            "with `ghostdepth sensitivity`"
        )
    axis_of = axis_indices(axes)
    terms: list[tuple[float, int, int]] = []
    units = np.append([axis.units for axis in axes], 1)

    def add(cost: float, *by: int) -> None:
        first, second = (*by, len(axes), len(axes))[:2]
        terms.append((cost / float(units[first] * units[second]), first, second))

    for row in layers:
        layer = network.get_submodule(row.name)
        assert isinstance(layer, nn.Conv2d)
        out = [axis_of[key] for key in [(row.name, "out")] if key in axis_of]
        both = out + [axis_of[key] for key in [(row.name, "in")] if key in axis_of]
        if of == "parameters":
            weights = layer.weight.numel()
            add(weights, *both)
            add(row.parameters - weights, *out)  # Those of the norm or the bias.
        else:
            add(taken[row.name], *both)
    fixed = sum(taken.values()) - sum(taken[row.name] for row in layers)
    coefficients, first_axis, second_axis = map(np.array, zip(*terms, strict=True))
    return CostModel(coefficients, first_axis, second_axis, fixed)


def choices(axis: Axis, *, round_to: int, min_channels: int, min_fraction: float) -> list[int]:
    """The numbers of units that an axis may keep, ascending; the last is its current number.

    Args:
        axis: Axis to prune.
        round_to: Smaller widths are multiples of this number of channels.
        min_channels: Smallest width.
        min_fraction: Smallest fraction of the current width, 0 to 1.
    """
    low = max(min_channels, min_fraction * axis.width)
    widths = [w for w in range(round_to, axis.width, round_to) if w >= low]
    return [w // axis.channels for w in widths if w % axis.channels == 0] + [axis.units]


def choose_counts(
    axes: Sequence[Axis],
    options: Sequence[Sequence[int]],
    cost: CostModel,
    goal: float,
    scores: Scores | None,
) -> ChannelCounts:
    """The number of units that each axis keeps, for a cost of at most `goal` and close to it.

    Args:
        axes: Axes to prune.
        options: The `choices` of each axis.
        cost: Cost as a function of the counts.
        goal: Largest cost, in the unit of `cost`.
        scores: Importance of every unit, for global pruning: the units with the least importance
            per cost are removed first. None: every width loses the same fraction.

    Raises:
        UserError: Even the smallest choices cost more than `goal`.
    """
    now = np.array([axis.units for axis in axes])
    smallest = np.array([option[0] for option in options])
    if cost(smallest) > goal:
        raise UserError(
            f"the smallest allowed widths leave {cost(smallest) / cost(now):.0%} of the cost, the "
            f"target is {goal / cost(now):.0%}; lower `min_fraction` or `min_channels`, or raise "
            "the target"
        )
    if scores is None:
        price = _equal_fractions(axes)
        counts = _uniform(now, options, cost, goal)
    else:
        price = _importance_per_cost(axes, scores)
        counts = _greedy(now, options, cost, goal, price)
    return _fill(counts, options, cost, goal, price)


# Price of reducing an axis (given by its index) from one count to a smaller one, where the cost
# falls by the last argument: the step with the lowest price is taken first.
Price = Callable[[int, int, int, float], float]


def _importance_per_cost(axes: Sequence[Axis], scores: Scores) -> Price:
    lost = []
    for axis in axes:
        # The least important units of each part go first.
        parts = [np.sort(part).cumsum() for part in scores[axis.name]]
        lost.append(np.append(0.0, np.sum(parts, axis=0)))

    def price(index: int, many: int, few: int, saved: float) -> float:
        units = axes[index].units
        return float(lost[index][units - few] - lost[index][units - many]) / max(saved, 1e-12)

    return price


def _equal_fractions(axes: Sequence[Axis]) -> Price:
    return lambda index, many, few, saved: axes[index].units / (many + few)


def _uniform(
    now: ChannelCounts, options: Sequence[Sequence[int]], cost: CostModel, goal: float
) -> ChannelCounts:
    def at(fraction: float) -> ChannelCounts:
        nearest = [
            min(option, key=lambda n, want=fraction * count: (abs(n - want), n))  # type: ignore[misc]
            for option, count in zip(options, now, strict=True)
        ]
        return np.array(nearest)

    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(at(middle)) <= goal else (low, middle)
    return at(low)


def _greedy(
    now: ChannelCounts,
    options: Sequence[Sequence[int]],
    cost: CostModel,
    goal: float,
    price: Price,
) -> ChannelCounts:
    counts = now.copy()
    while (total := cost(counts)) > goal:
        best: tuple[float, int, int] | None = None
        for index, option in enumerate(options):
            position = list(option).index(counts[index])
            if position:
                fewer = option[position - 1]
                saved = total - cost(_with(counts, index, fewer))
                step = (price(index, int(counts[index]), fewer, saved), index, fewer)
                best = min(best or (np.inf, 0, 0), step)
        assert best is not None  # The smallest choices cost less than the goal.
        counts[best[1]] = best[2]
    return counts


def _fill(
    counts: ChannelCounts,
    options: Sequence[Sequence[int]],
    cost: CostModel,
    goal: float,
    price: Price,
) -> ChannelCounts:
    """Restores units as long as the cost stays within the goal: removal went in coarse steps."""
    while True:
        best: tuple[float, int, int] | None = None
        total = cost(counts)
        for index, option in enumerate(options):
            more = next((n for n in option if n > counts[index]), None)
            if more is None:
                continue
            added = cost(_with(counts, index, more)) - total
            if total + added <= goal:
                step = (price(index, more, int(counts[index]), added), index, more)
                best = max(best or (-1.0, 0, 0), step)
        if best is None:
            return counts
        counts = _with(counts, best[1], best[2])


def _with(counts: ChannelCounts, index: int, count: int) -> ChannelCounts:
    changed = counts.copy()
    changed[index] = count
    return changed


def axis_indices(axes: Sequence[Axis]) -> dict[tuple[str, str], int]:
    """For each layer and side (`out`, `in`), the index of the axis that decides its channels."""
    return {
        (piece.module, piece.side): index
        for index, axis in enumerate(axes)
        for _, units in axis.parts
        for piece in units[0]
    }

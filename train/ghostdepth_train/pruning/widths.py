"""How many units every width keeps, so that the whole meets a target.

What a network costs is a sum over its layers of a price times the channels that come out times, in
a convolution that is not depthwise, the channels that go in. So the cost of any choice of widths is
known without building the network.
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

Counts = NDArray[np.int64]
Cost = Literal["macs", "parameters", "time"]
COSTS: tuple[Cost, ...] = ("macs", "parameters", "time")
Spread = Literal["global", "uniform"]


@dataclass(frozen=True)
class CostModel:
    """A cost as a function of the units that the axes keep.

    Attributes:
        price: Of each term, at one unit of each of its axes.
        first: The term's axis, as an index; the number of axes stands for "none".
        second: Another one, likewise.
        fixed: What no width changes.
    """

    price: NDArray[np.float64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    fixed: float

    def __call__(self, counts: Counts | Sequence[int]) -> float:
        """The cost when axis i keeps `counts[i]` units."""
        units = np.append(counts, 1)
        return float((self.price * units[self.first] * units[self.second]).sum() + self.fixed)


def cost_model(
    network: DepthNet,
    axes: Sequence[Axis],
    of: Cost,
    times: Mapping[str, float] | None = None,
) -> CostModel:
    """What the network costs at other widths.

    Args:
        network: As it is now.
        axes: Of `find_axes(network)`.
        of: What is counted.
        times: For `time`: of each layer (names as in `summary.layer_costs`) now, any unit. A
            layer's time is taken to go with its MACs; a name that is no layer's, like `(rest)`, is
            a time that stays.

    Raises:
        UserError: The table lacks a layer of the network.
    """
    layers = layer_costs(network)
    taken = (times or {}) if of == "time" else {row.name: float(row.macs) for row in layers}
    missing = [row.name for row in layers if row.name not in taken]
    if missing:
        raise UserError(
            f"the table of costs has no time for {len(missing)} of the network's "
            f"{len(layers)} layers, first {missing[0]}; make it from this very checkpoint "
            "with `ghostdepth sensitivity`"
        )
    where = places(axes)
    terms: list[tuple[float, int, int]] = []
    units = np.append([axis.units for axis in axes], 1)

    def add(cost: float, *by: int) -> None:
        first, second = (*by, len(axes), len(axes))[:2]
        terms.append((cost / float(units[first] * units[second]), first, second))

    for row in layers:
        layer = network.get_submodule(row.name)
        assert isinstance(layer, nn.Conv2d)
        out = [where[key] for key in [(row.name, "out")] if key in where]
        both = out + [where[key] for key in [(row.name, "in")] if key in where]
        if of == "parameters":
            weights = layer.weight.numel()
            add(weights, *both)
            add(row.parameters - weights, *out)  # The norm's, or the bias.
        else:
            add(taken[row.name], *both)
    fixed = sum(taken.values()) - sum(taken[row.name] for row in layers)
    price, first, second = zip(*terms, strict=True)
    return CostModel(np.array(price), np.array(first), np.array(second), fixed)


def choices(axis: Axis, *, multiple: int, least: int, share: float) -> list[int]:
    """The counts of units that an axis may keep, fewest first; the last is what it has.

    Args:
        axis: The width.
        multiple: Widths are multiples of this, except the one that it has.
        least: The smallest width.
        share: The smallest part of the width that it has, 0..1.
    """
    low = max(least, share * axis.width)
    widths = [w for w in range(multiple, axis.width, multiple) if w >= low]
    return [w // axis.channels for w in widths if w % axis.channels == 0] + [axis.units]


def choose_counts(
    axes: Sequence[Axis],
    options: Sequence[Sequence[int]],
    cost: CostModel,
    goal: float,
    spread: Spread,
    scores: Scores,
) -> Counts:
    """The units that each axis keeps: the cost is at most `goal` and as near to it as it gets.

    Args:
        axes: The widths.
        options: For each axis its `choices`.
        cost: Of counts.
        goal: In the unit of `cost`.
        spread: `uniform` takes the same part of every width; `global` removes next whatever has
            the least importance for its cost.
        scores: For `global`: of every unit.

    Raises:
        UserError: Even the smallest choices cost more.
    """
    now = np.array([axis.units for axis in axes])
    smallest = np.array([option[0] for option in options])
    if cost(smallest) > goal:
        raise UserError(
            f"the floors leave {cost(smallest) / cost(now):.0%} of the cost, the target is "
            f"{goal / cost(now):.0%}; lower `share` or `least`, or ask for less"
        )
    if spread == "uniform":
        worth = _same_part(axes)
        counts = _uniform(now, options, cost, goal)
    else:
        worth = _importance(axes, scores)
        counts = _greedy(now, options, cost, goal, worth)
    return _fill(counts, options, cost, goal, worth)


# How dear the units are that an axis (by index) loses when it goes from one count to a smaller
# one and that much is saved.
Worth = Callable[[int, int, int, float], float]


def _importance(axes: Sequence[Axis], scores: Scores) -> Worth:
    lost = []
    for axis in axes:
        # The least important units of each part go first.
        parts = [np.sort(part).cumsum() for part in scores[axis.name]]
        lost.append(np.append(0.0, np.sum(parts, axis=0)))

    def worth(index: int, many: int, few: int, saved: float) -> float:
        units = axes[index].units
        return float(lost[index][units - few] - lost[index][units - many]) / max(saved, 1e-12)

    return worth


def _same_part(axes: Sequence[Axis]) -> Worth:
    return lambda index, many, few, saved: axes[index].units / (many + few)


def _uniform(now: Counts, options: Sequence[Sequence[int]], cost: CostModel, goal: float) -> Counts:
    def at(part: float) -> Counts:
        nearest = [
            min(option, key=lambda n, want=part * count: (abs(n - want), n))  # type: ignore[misc]
            for option, count in zip(options, now, strict=True)
        ]
        return np.array(nearest)

    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(at(middle)) <= goal else (low, middle)
    return at(low)


def _greedy(
    now: Counts, options: Sequence[Sequence[int]], cost: CostModel, goal: float, worth: Worth
) -> Counts:
    counts = now.copy()
    while (total := cost(counts)) > goal:
        best: tuple[float, int, int] | None = None
        for index, option in enumerate(options):
            place = list(option).index(counts[index])
            if place:
                fewer = option[place - 1]
                saved = total - cost(_with(counts, index, fewer))
                price = worth(index, int(counts[index]), fewer, saved)
                best = min(best or (np.inf, 0, 0), (price, index, fewer))
        assert best is not None  # The smallest choices cost less than the goal.
        counts[best[1]] = best[2]
    return counts


def _fill(
    counts: Counts, options: Sequence[Sequence[int]], cost: CostModel, goal: float, worth: Worth
) -> Counts:
    """Gives back what there is room for: removing went in steps."""
    while True:
        best: tuple[float, int, int] | None = None
        total = cost(counts)
        for index, option in enumerate(options):
            more = [n for n in option if n > counts[index]][:1]
            for many in more:
                added = cost(_with(counts, index, many)) - total
                if total + added <= goal:
                    price = worth(index, many, int(counts[index]), added)
                    best = max(best or (-1.0, 0, 0), (price, index, many))
        if best is None:
            return counts
        counts = _with(counts, best[1], best[2])


def _with(counts: Counts, index: int, count: int) -> Counts:
    changed = counts.copy()
    changed[index] = count
    return changed


def places(axes: Sequence[Axis]) -> dict[tuple[str, str], int]:
    """For each side of a layer the axis that decides its channels."""
    return {
        (piece.module, piece.side): index
        for index, axis in enumerate(axes)
        for _, units in axis.parts
        for piece in units[0]
    }

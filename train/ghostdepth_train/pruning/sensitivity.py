"""Sensitivity analysis: the cost of each width, and the accuracy lost when it is pruned.

Each width is pruned alone, without training, and the network is evaluated. That shows which widths
can be pruned and which cannot. It does not predict the accuracy after training: training recovers
most of these losses, and they do not add up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_depth.core.dataset import Pair
from bench_depth.core.errors import UserError
from bench_depth.core.files import read_object, write_json
from bench_depth.core.jsonable import build_from

from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.channels import Axis, best_units, find_axes, prune_channels
from ghostdepth_train.pruning.importance import Scores
from ghostdepth_train.pruning.widths import COSTS, CostModel, cost_model

# Fractions of a width that are removed.
FRACTIONS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Sensitivity:
    """Sensitivity of one width.

    Attributes:
        name: Path of the width in the config.
        width: Number of channels.
        saved: Fraction of the network's `macs`, `parameters` and, where layers were timed, `time`
            that is saved when half of the width is removed, 0 to 1.
        si_rmse: si-RMSE of the network by the removed fraction of the width (see `FRACTIONS`).
    """

    name: str
    width: int
    saved: Mapping[str, float]
    si_rmse: Mapping[float, float]


@dataclass(frozen=True)
class _SavedRow:
    """A `Sensitivity` as JSON has it: the fractions are text."""

    name: str
    width: int
    saved: dict[str, float]
    si_rmse: dict[str, float]

    def parsed(self) -> Sensitivity:
        fractions = {float(fraction): value for fraction, value in self.si_rmse.items()}
        return Sensitivity(self.name, self.width, self.saved, fractions)


@dataclass(frozen=True)
class _Saved:
    """What the file holds."""

    run: dict[str, Any]
    times: dict[str, float] | None
    rows: list[_SavedRow]


class SensitivityFile:
    """The results so far, in a file that is replaced atomically, so that a run can be resumed.

    Args:
        path: Path of the file.
        identity: Everything that the results depend on, as JSON values.
        resume: Whether to continue from what the file holds.

    Attributes:
        times: Time of each layer, see `widths.cost_model`; None until it is measured.
        rows: Results of the widths that are done.

    Raises:
        UserError: The file exists and `resume` is not set, or it belongs to another run, or it is
            damaged.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
        self._path, self._identity = path, dict(identity)
        self.times: dict[str, float] | None = None
        self.rows: list[Sensitivity] = []
        if not path.is_file():
            return
        if not resume:
            raise UserError(
                f"{path.parent} already holds a run; add --resume to continue it, "
                "or choose another --out"
            )
        saved = build_from(_Saved, read_object(path), path)
        if saved.run != self._identity:
            raise UserError(
                f"{path} is of another checkpoint, dataset or settings; choose another --out"
            )
        self.times = saved.times
        try:
            self.rows = [row.parsed() for row in saved.rows]
        except ValueError as error:
            raise UserError(f"{path} is damaged: a fraction is no number ({error})") from error

    def add_times(self, times: Mapping[str, float]) -> None:
        """Saves the times of the layers, which differ a little in every measurement."""
        self.times = dict(times)
        self._write()

    def add(self, row: Sensitivity) -> None:
        """Saves the result of a width."""
        self.rows.append(row)
        self._write()

    def _write(self) -> None:
        rows = [asdict(row) for row in self.rows]
        write_json(self._path, {"run": self._identity, "times": self.times, "rows": rows})


def sensitivity(
    network: DepthNet,
    pairs: Sequence[Pair],
    scores: Callable[[Sequence[Axis]], Scores],
    times: Mapping[str, float] | None = None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    file: SensitivityFile | None = None,
) -> tuple[float, list[Sensitivity]]:
    """Prunes every width alone by each of `FRACTIONS`.

    Args:
        network: Network in eval mode; it is not changed.
        pairs: Pairs for the evaluation.
        scores: Returns the importance of the axes' units; the least important are removed.
        times: Time of each layer, see `widths.cost_model`.
        on_step: Called with the number of prunings done and their total number.
        file: Widths in this file are not measured again; others are added when they are done.

    Returns:
        The si-RMSE of the unpruned network, and one entry for each width in the network's order.

    Raises:
        UserError: The encoder is not a GhostNet, `times` lacks a layer, or no pair has a valid
            pixel.
    """
    axes = find_axes(network)
    costs: dict[str, CostModel] = {
        of: cost_model(network, axes, of, times)
        for of in COSTS
        if of != "time" or times is not None
    }
    importance = scores(axes)
    whole = evaluate(network, pairs).si_rmse
    done = {row.name: row for row in file.rows} if file else {}
    rows = []
    for number, axis in enumerate(axes):
        if axis.name in done:
            rows.append(done[axis.name])
            continue
        errors = {}
        for step, fraction in enumerate(FRACTIONS):
            keep = best_units(axis, _left(axis, fraction), importance)
            small = prune_channels(network, axes, {axis.name: keep})
            errors[fraction] = evaluate(small, pairs).si_rmse
            on_step(number * len(FRACTIONS) + step + 1, len(axes) * len(FRACTIONS))
        saved: dict[str, float] = {of: _saved(cost, axes, number) for of, cost in costs.items()}
        rows.append(Sensitivity(axis.name, axis.width, saved, errors))
        if file is not None:
            file.add(rows[-1])
    return whole, rows


def _left(axis: Axis, fraction: float) -> int:
    return max(1, round(axis.units * (1 - fraction)))


def _saved(cost: CostModel, axes: Sequence[Axis], number: int) -> float:
    counts = np.array([axis.units for axis in axes])
    before = cost(counts)
    counts[number] = _left(axes[number], 0.5)
    return 1 - cost(counts) / before

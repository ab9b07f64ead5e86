"""What each width of a network is worth: what it costs, and what goes when it shrinks.

One width after the other is pruned alone, without training, and the network is measured. That says
where there is room and where there is none. How good a network will be after training it does not
say: the losses are far larger than what training leaves of them, and they do not add up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_depth.core.dataset import Pair
from bench_depth.core.errors import UserError
from bench_depth.core.files import read_json, write_json

from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.channels import Axis, best_units, find_axes, prune_channels
from ghostdepth_train.pruning.importance import Scores
from ghostdepth_train.pruning.widths import COSTS, CostModel, cost_model

# Which part of a width goes.
PARTS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Sensitivity:
    """One width.

    Attributes:
        name: Where it stands in the config.
        width: Channels that it has.
        saved: What is saved of the network's `macs`, `parameters` and, where layers were timed,
            `time` when half of the width goes, 0..1.
        si_rmse: Of the network when that part of the width (a key of `PARTS`) goes.
    """

    name: str
    width: int
    saved: Mapping[str, float]
    si_rmse: Mapping[float, float]


class Kept:
    """The figures so far in a file that is replaced whole, so that a killed run can go on.

    Args:
        path: The file.
        identity: What the figures depend on, as JSON values.
        resume: Go on with what the file holds.

    Attributes:
        times: Of the layers, see `widths.cost_model`; None until they are measured.
        rows: Of the widths that are done.

    Raises:
        UserError: The file is there and `resume` is not set, or is of another run, or damaged.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
        self._path, self._identity = path, dict(identity)
        self.times: dict[str, float] | None = None
        self.rows: list[Sensitivity] = []
        if not path.is_file():
            return
        if not resume:
            raise UserError(
                f"{path.parent} already holds a run; add --resume to go on with it, "
                "or choose another --out"
            )
        kept = read_json(path)
        if kept["run"] != self._identity:
            raise UserError(
                f"{path} is of another checkpoint, dataset or settings; choose another --out"
            )
        self.times = kept["times"]
        self.rows = [
            Sensitivity(**{**row, "si_rmse": {float(k): v for k, v in row["si_rmse"].items()}})
            for row in kept["rows"]
        ]

    def add_times(self, times: Mapping[str, float]) -> None:
        """Keeps the layers' times: those of another start are not quite the same."""
        self.times = dict(times)
        self._write()

    def add(self, row: Sensitivity) -> None:
        """Keeps a width's figures."""
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
    progress: Callable[[int, int], None] = lambda done, total: None,
    kept: Kept | None = None,
) -> tuple[float, list[Sensitivity]]:
    """Prunes every width alone by each of `PARTS`.

    Args:
        network: In eval mode; it is not changed.
        pairs: The accuracy is measured on these.
        scores: Gives the importance of the axes' units: the least important go.
        times: Of each layer, see `widths.cost_model`.
        progress: Told how many of how many prunings are done.
        kept: Widths that it holds are not measured again; the others are added as they are done.

    Returns:
        The whole network's si-RMSE, and one entry for each width in the network's order.

    Raises:
        UserError: The encoder is a library's, the table of times lacks a layer, or no pair has a
            valid pixel.
    """
    axes = find_axes(network)
    costs: dict[str, CostModel] = {
        of: cost_model(network, axes, of, times)
        for of in COSTS
        if of != "time" or times is not None
    }
    importance = scores(axes)
    whole = evaluate(network, pairs).si_rmse
    done = {row.name: row for row in kept.rows} if kept else {}
    rows = []
    for number, axis in enumerate(axes):
        if axis.name in done:
            rows.append(done[axis.name])
            continue
        errors = {}
        for step, part in enumerate(PARTS):
            keep = best_units(axis, _left(axis, part), importance)
            small = prune_channels(network, axes, {axis.name: keep})
            errors[part] = evaluate(small, pairs).si_rmse
            progress(number * len(PARTS) + step + 1, len(axes) * len(PARTS))
        saved: dict[str, float] = {of: _saved(cost, axes, number) for of, cost in costs.items()}
        rows.append(Sensitivity(axis.name, axis.width, saved, errors))
        if kept is not None:
            kept.add(rows[-1])
    return whole, rows


def _left(axis: Axis, part: float) -> int:
    return max(1, round(axis.units * (1 - part)))


def _saved(cost: CostModel, axes: Sequence[Axis], number: int) -> float:
    counts = np.array([axis.units for axis in axes])
    before = cost(counts)
    counts[number] = _left(axes[number], 0.5)
    return 1 - cost(counts) / before

"""Structured pruning: whole channels go, and what is left is a smaller network of the same kind.

Which units there are: `channels`. How much each matters: `importance`. How many of each width stay:
`widths`. The result is a plain config and its weights; nothing of the pruning is left in it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydantic
from bench_depth.core.errors import UserError

from ghostdepth_train.checkpoint import METRICS, Checkpoint, load_checkpoint, save_checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import LossConfig, TrainingConfig
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.budget import Met, meet, sample, time_model, total
from ghostdepth_train.pruning.budget import note as budget_note
from ghostdepth_train.pruning.channels import Axis, best_units, find_axes, prune_channels
from ghostdepth_train.pruning.importance import Importance, batch_losses, importance
from ghostdepth_train.pruning.latency import Budget, OpTime
from ghostdepth_train.pruning.widths import (
    COSTS,
    Cost,
    CostModel,
    Counts,
    Spread,
    choices,
    choose_counts,
    cost_model,
)

TIME_COLUMNS = ("layer", "time_us")
TARGETS = (*COSTS, "budget")


class PruneConfig(Method):
    """How to prune. Exactly one of `macs`, `parameters`, `time` and `budget` is given.

    Attributes:
        macs: The part of the multiply-accumulates that is left, 0..1.
        parameters: The part of the parameters.
        time: The part of the time, by the table `costs`.
        costs: A CSV file with a time for each layer, as `ghostdepth sensitivity` makes it.
        budget: Milliseconds that the exported file may take, as predicted: see `budget.py`.
        importance: What decides which units go: see `importance.py`.
        spread: `uniform` takes the same part of every width, `global` wherever it costs least.
        multiple: Widths become multiples of this.
        least: The smallest width.
        share: The smallest part of each width that stays, 0..1.
        batches: Training batches that `taylor` and `snip` look at.
        batch_size: Of these.
        rounds: Prunes in so many steps of equal ratio, and trains between them.
        between: How to train between rounds.
        training: How to train at the end; None leaves that to the recipe's next step.
    """

    method: Literal["prune"] = "prune"
    macs: float | None = pydantic.Field(default=None, gt=0, lt=1)
    parameters: float | None = pydantic.Field(default=None, gt=0, lt=1)
    time: float | None = pydantic.Field(default=None, gt=0, lt=1)
    costs: Path | None = None
    # Left out where there is none: recipes of earlier runs read as they did.
    budget: Budget | None = pydantic.Field(default=None, exclude_if=lambda value: value is None)
    importance: Importance = "taylor"
    spread: Spread = "global"
    multiple: int = pydantic.Field(default=8, ge=1)
    least: int = pydantic.Field(default=8, ge=1)
    share: float = pydantic.Field(default=0.25, ge=0, le=1)
    batches: int = pydantic.Field(default=32, ge=1)
    batch_size: int = pydantic.Field(default=8, ge=1)
    rounds: int = pydantic.Field(default=1, ge=1)
    between: TrainingConfig = TrainingConfig(
        epochs=3, learning_rate=1e-3, warmup_epochs=0.5, weight_decay=0.05, eval_every=3
    )
    training: TrainingConfig | None = None

    @pydantic.model_validator(mode="after")
    def _one_target(self) -> PruneConfig:
        given = [name for name in TARGETS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(TARGETS)}, got {given or 'none'}")
        if (self.time is None) != (self.costs is None):
            raise ValueError("time and costs go together: the table says what a layer takes")
        return self

    @property
    def target(self) -> tuple[Cost, float]:
        """What is limited, and to which part; not where there is a budget."""
        (name,) = (name for name in COSTS if getattr(self, name) is not None)
        return name, getattr(self, name)

    def with_budget(self, budget: Budget) -> PruneConfig:
        """The same with another target."""
        fields = self.model_dump(exclude={*TARGETS, "costs"})
        return PruneConfig.model_validate({**fields, "budget": budget})


CONFIG = PruneConfig


def apply(checkpoint: Checkpoint, config: PruneConfig, work: Work) -> Compressed:
    """Prunes, round by round, and trains."""
    network = checkpoint.network
    history = []
    for number in range(1, config.rounds + 1):
        network, note = _round(network, checkpoint, config, work, number)
        history.append(note)
        work.say(note["line"])
        training = config.between if number < config.rounds else config.training
        if training is not None:
            network = work.train(network, training, config.seed, folder=f"run-{number}")
    return Compressed(network, {"rounds": history})


def read_times(path: Path) -> dict[str, float]:
    """Reads a table of costs: at least the columns `layer` and `time_us`.

    Raises:
        UserError: It cannot be read, lacks a column, or a time is no positive number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read the table of costs {path}: {error}") from error
    if not rows or not set(TIME_COLUMNS) <= rows[0].keys():
        raise UserError(
            f"{path} is not a table of costs: it needs the columns {' and '.join(TIME_COLUMNS)}"
        )
    times: dict[str, float] = {}
    for line, row in enumerate(rows, 2):
        try:
            times[row["layer"]] = float(row["time_us"])
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}, line {line}: time_us is {row['time_us']!r}") from error
        if not 0 <= times[row["layer"]] < float("inf"):
            raise UserError(f"{path}, line {line}: time_us is {row['time_us']}")
    return times


def _round(
    network: DepthNet, checkpoint: Checkpoint, config: PruneConfig, work: Work, number: int
) -> tuple[DepthNet, dict[str, Any]]:
    """One pruning; what an earlier, killed run has pruned is taken as it is."""
    folder = work.out / f"pruned-{number}"
    if work.resume and (folder / METRICS).is_file():
        done = load_checkpoint(folder)
        return done.network, done.metrics
    work.say(f"pruning by {config.importance}, round {number} of {config.rounds}")
    small, note = prune(network, config, work, number)
    save_checkpoint(
        folder, small, name=checkpoint.name, training_data=checkpoint.training_data, metrics=note
    )
    return small, note


def prune(
    network: DepthNet, config: PruneConfig, work: Work, number: int = 1
) -> tuple[DepthNet, dict[str, Any]]:
    """Prunes once, without training.

    Args:
        network: Is not changed.
        config: How.
        work: Whose pairs `taylor` and `snip` look at.
        number: Of the round, from 1: each takes its part of the way to the target.

    Returns:
        The smaller network, and what became of it: `of`, `before`, `after`, `widths`, `line`.

    Raises:
        UserError: The floors keep more than the target allows.
    """
    axes = find_axes(network)
    options = [
        choices(axis, multiple=config.multiple, least=config.least, share=config.share)
        for axis in axes
    ]
    losses = batch_losses(
        network,
        work.split,
        LossConfig() if config.training is None else config.training.loss,
        batches=config.batches,
        batch_size=config.batch_size,
        seed=config.seed + number,
    )
    scores = importance(network, axes, config.importance, losses)

    def build(counts: Counts) -> DepthNet:
        keep = {
            axis.name: best_units(axis, int(n), scores)
            for axis, n in zip(axes, counts, strict=True)
        }
        return prune_channels(network, axes, keep)

    def choose(cost: CostModel, goal: float) -> Counts:
        return choose_counts(axes, options, cost, goal, config.spread, scores)

    if config.budget is None:
        of, part = config.target
        times = None if config.costs is None else read_times(config.costs)
        cost = cost_model(network, axes, of, times)
        before = cost([axis.units for axis in axes])
        counts = choose(cost, before * part ** (1 / config.rounds))
        small, after = build(counts), cost(counts)
        line = f"pruned to {after / before:.1%} of the {of}"
        note = {"of": of, "before": before, "after": after, "line": line}
    else:
        met = _meet(network, axes, options, config, number, work, build, choose)
        small, counts, note = met.network, met.counts, budget_note(met, config.budget)
    widths = {
        axis.name: [axis.width, int(n) * axis.channels]
        for axis, n in zip(axes, counts, strict=True)
    }
    return small, {**note, "widths": widths}


def _meet(
    network: DepthNet,
    axes: Sequence[Axis],
    options: Sequence[Sequence[int]],
    config: PruneConfig,
    number: int,
    work: Work,
    build: Callable[[Counts], DepthNet],
    choose: Callable[[CostModel, float], Counts],
) -> Met:
    """Goes a round's part of the way to the budget."""
    clock, budget = work.clock, config.budget
    assert budget is not None
    if clock is None:
        raise UserError("nothing here can predict milliseconds; run it by `ghostdepth compress`")

    def look(candidate: DepthNet) -> list[OpTime]:
        return clock(candidate, budget)

    work.say("predicting the time of every op at a few sets of widths")
    now = total(look(network))
    if number > 1 and now <= budget.ms:  # The round before came near enough.
        return Met(network, np.array([axis.units for axis in axes]), now, now, [])
    samples = sample(budget, network, options, build, look)
    cost = time_model(axes, samples)
    goal = now * (budget.ms / now) ** (1 / (config.rounds - number + 1))
    return meet(goal, samples, cost, partial(choose, cost), build, look, work.say)

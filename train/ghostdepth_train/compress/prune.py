"""Structured pruning: removes whole channels; the result is a smaller network of the same kind.

`pruning.channels` finds the units that can be removed, `pruning.importance` scores them, and
`pruning.widths` decides how many of each width stay. The result is a plain config and its weights,
without masks.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
from bench_depth.core.errors import UserError
from bench_depth.core.files import read_regular
from pydantic import AliasChoices

from ghostdepth_train.checkpoint import METRICS, Checkpoint, load_checkpoint, save_checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import LossConfig, TrainingConfig
from ghostdepth_train.config.fields import BatchSize, Channels, Count
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.budget import (
    BudgetResult,
    budget_note,
    latency_model,
    prune_to_budget,
    sample_latencies,
    total,
)
from ghostdepth_train.pruning.channels import Axis, best_units, find_axes, prune_channels
from ghostdepth_train.pruning.importance import Importance, batch_losses, importance
from ghostdepth_train.pruning.latency import LatencyBudget
from ghostdepth_train.pruning.roots import PRUNABLE
from ghostdepth_train.pruning.widths import (
    COSTS,
    ChannelCounts,
    Cost,
    CostModel,
    choices,
    choose_counts,
    cost_model,
)

TIME_COLUMNS = ("layer", "time_us")
TARGETS = (*COSTS, "budget")


def _former_spread(value: Any) -> Any:
    """`global_pruning` as earlier recipes have it: `spread: global` or `spread: uniform`."""
    return {"global": True, "uniform": False}.get(value, value) if isinstance(value, str) else value


class PruneConfig(Method):
    """Settings of pruning. Exactly one of `macs`, `parameters`, `time` and `budget` is given.

    Attributes:
        macs: Fraction of the multiply-accumulates that is left, 0 to 1.
        parameters: Fraction of the parameters that is left, 0 to 1.
        time: Fraction of the time that is left by the table `costs`, 0 to 1.
        costs: CSV file with the time of each layer, as `ghostdepth sensitivity` writes it.
        budget: Largest predicted latency of the exported file: see `pruning/budget.py`.
        importance: Measure by which units are removed: see `pruning/importance.py`.
        global_pruning: Whether units are removed wherever they matter least for their cost; else
            every width loses the same fraction.
        round_to: Pruned widths are multiples of this number of channels.
        min_channels: Smallest number of channels of a pruned width.
        min_fraction: Smallest fraction of each width that stays, 0 to 1.
        batches: Number of training batches for the importances `taylor` and `snip`.
        batch_size: Number of images in each of these batches.
        rounds: Number of prunings by equal ratios, with training between them.
        between: Training settings between rounds.
        training: Training settings after the last round; None leaves training to the recipe's next
            step.
    """

    encoders = PRUNABLE

    method: Literal["prune"] = "prune"
    macs: float | None = pydantic.Field(default=None, gt=0, lt=1)
    parameters: float | None = pydantic.Field(default=None, gt=0, lt=1)
    time: float | None = pydantic.Field(default=None, gt=0, lt=1)
    costs: Path | None = None
    budget: LatencyBudget | None = None
    importance: Importance = "taylor"
    global_pruning: Annotated[bool, pydantic.BeforeValidator(_former_spread)] = pydantic.Field(
        default=True, validation_alias=AliasChoices("global_pruning", "spread")
    )
    round_to: Channels = pydantic.Field(
        default=8, validation_alias=AliasChoices("round_to", "multiple")
    )
    min_channels: Channels = pydantic.Field(
        default=8, validation_alias=AliasChoices("min_channels", "least")
    )
    min_fraction: float = pydantic.Field(
        default=0.25, ge=0, le=1, validation_alias=AliasChoices("min_fraction", "share")
    )
    batches: Count = 32
    batch_size: BatchSize = 8
    rounds: int = pydantic.Field(default=1, ge=1, le=1000)
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
            raise ValueError("time and costs go together: the table has the time of each layer")
        return self

    @property
    def target(self) -> tuple[Cost, float]:
        """The limited cost and the fraction of it that is left; undefined with a budget."""
        (name,) = (name for name in COSTS if getattr(self, name) is not None)
        return name, getattr(self, name)

    def with_budget(self, budget: LatencyBudget) -> PruneConfig:
        """A copy with a latency budget as its target."""
        fields = self.model_dump(exclude={*TARGETS, "costs"})
        return PruneConfig.model_validate({**fields, "budget": budget})

    def check(self, start: Checkpoint | None, work: Work) -> None:
        """Refuses a table of costs that cannot be read."""
        if self.costs is not None:
            read_times(self.costs)


def apply(checkpoint: Checkpoint, config: PruneConfig, work: Work) -> Compressed:
    """Prunes in rounds and trains."""
    network = checkpoint.network
    history = []
    for number in range(1, config.rounds + 1):
        network, note = _round(network, checkpoint, config, work, number)
        history.append(note)
        work.log(note["line"])
        training = config.between if number < config.rounds else config.training
        if training is not None:
            network = work.train(network, training, config.seed, folder=f"run-{number}")
    return Compressed(network, {"rounds": history})


def read_times(path: Path) -> dict[str, float]:
    """Reads a table of costs with at least the columns `layer` and `time_us`.

    Returns:
        Microseconds of each layer, by name.

    Raises:
        UserError: The file cannot be read, lacks a column, or a time is not a finite number of at
            least 0.
    """
    try:
        text = read_regular(path).decode("utf-8")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
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
    """One pruning, or the saved result of it when a run is resumed."""
    folder = work.out / f"pruned-{number}"
    if work.resume and (folder / METRICS).is_file():
        done = load_checkpoint(folder)
        return done.network, done.metrics
    work.log(f"pruning by {config.importance}, round {number} of {config.rounds}")
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
        network: Network to prune; it is not changed.
        config: Pruning settings.
        work: Training pairs for `taylor` and `snip`, and the callbacks.
        number: Number of the round, from 1.

    Returns:
        The smaller network, and a note for the metrics with `of` (the cost), `before`, `after`,
        `widths` and `line`.

    Raises:
        UserError: The target cannot be reached with the smallest allowed widths.
    """
    axes = find_axes(network)
    options = [
        choices(
            axis,
            round_to=config.round_to,
            min_channels=config.min_channels,
            min_fraction=config.min_fraction,
        )
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

    def build(counts: ChannelCounts) -> DepthNet:
        keep = {
            axis.name: best_units(axis, int(n), scores)
            for axis, n in zip(axes, counts, strict=True)
        }
        return prune_channels(network, axes, keep)

    def choose(cost: CostModel, goal: float) -> ChannelCounts:
        return choose_counts(axes, options, cost, goal, scores if config.global_pruning else None)

    if config.budget is None:
        of, fraction = config.target
        times = None if config.costs is None else read_times(config.costs)
        cost = cost_model(network, axes, of, times)
        before = cost([axis.units for axis in axes])
        counts = choose(cost, before * fraction ** (1 / config.rounds))
        small, after = build(counts), cost(counts)
        line = f"pruned to {100 * after / before:.1f} % of the {of.replace('macs', 'MACs')}"
        note = {"of": of, "before": before, "after": after, "line": line}
    else:
        result = _to_budget(network, axes, options, config, number, work, build, choose)
        small, counts, note = result.network, result.counts, budget_note(result, config.budget)
    widths = {
        axis.name: [axis.width, int(n) * axis.channels]
        for axis, n in zip(axes, counts, strict=True)
    }
    return small, {**note, "widths": widths}


def _to_budget(
    network: DepthNet,
    axes: Sequence[Axis],
    options: Sequence[Sequence[int]],
    config: PruneConfig,
    number: int,
    work: Work,
    build: Callable[[ChannelCounts], DepthNet],
    choose: Callable[[CostModel, float], ChannelCounts],
) -> BudgetResult:
    """Prunes by this round's ratio towards the latency budget."""
    predict_latency, budget = work.predict_latency, config.budget
    assert budget is not None
    if predict_latency is None:
        raise UserError(
            "no predictor of latency is available here; run it with `ghostdepth compress`"
        )
    layer_latencies = partial(predict_latency, budget=budget)
    work.log("predicting the latency of every op at a few sets of widths")
    now = total(layer_latencies(network))
    if number > 1 and now <= budget.ms:  # The round before came within the budget.
        return BudgetResult(network, np.array([axis.units for axis in axes]), now, now, [])
    samples = sample_latencies(budget, network, options, build, layer_latencies)
    cost = latency_model(axes, samples)
    goal = now * (budget.ms / now) ** (1 / (config.rounds - number + 1))
    return prune_to_budget(
        goal, samples, cost, partial(choose, cost), build, layer_latencies, work.log
    )

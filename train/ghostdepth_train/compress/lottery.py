"""Lottery tickets: iterative magnitude pruning with rewinding.

- Frankle, Carbin, "The Lottery Ticket Hypothesis", ICLR 2019: train, remove the smallest weights,
  rewind the others to their initial values, repeat; the control reinitializes them at random.
- Frankle, Dziugaite, Roy, Carbin, "Linear Mode Connectivity and the Lottery Ticket Hypothesis",
  ICML 2020: rewind to the values after step k, and train from step k on.
- Renda, Frankle, Carbin, "Comparing Rewinding and Fine-tuning in Neural Network Pruning", ICLR
  2020: keep the weights, rewind only the learning rate.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pydantic
from bench_depth.core.errors import UserError
from bench_depth.core.files import write_bytes
from pydantic import AliasChoices
from torch import Tensor, nn

from ghostdepth_train.checkpoint import (
    Checkpoint,
    read_tensors,
    read_validation,
    save_checkpoint,
    write_tensors,
)
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.compress.snip import Start, describe, starting_network
from ghostdepth_train.config import TrainConfig, TrainingConfig
from ghostdepth_train.config.fields import Count
from ghostdepth_train.csv_files import csv_bytes
from ghostdepth_train.data import EpochSampler, Split
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.masks import (
    MaskedTrainer,
    Masks,
    apply_masks,
    count,
    keep_top,
    kept_fraction,
    present,
    require_path,
    weights,
)
from ghostdepth_train.run_options import RunOptions

HISTORY = "rounds.csv"
EARLY = "early.safetensors"


class LotteryConfig(Method):
    """Settings of iterative magnitude pruning.

    Attributes:
        rounds: Number of rounds of pruning and training. In the end `(1 - prune_fraction) **
            rounds` of the weights are left, besides those that are never pruned (`unprunable`).
        prune_fraction: Fraction of the remaining weights that each round removes, 0 to 1.
        rewind: What a round starts from: `init`, the initial weights; `early`, the weights after
            step `rewind_step` of the dense training; `rate`, the current weights, where only the
            learning rate schedule restarts.
        rewind_step: Optimizer step k of the dense training that `early` rewinds to.
        start: Initial weights: `random` ones, as in the papers, or those of the `checkpoint`. With
            `rate` and `checkpoint`, the checkpoint is the trained dense network.
        control: Whether the last ticket is also trained from new random weights.
        training: Training settings of each round.
    """

    method: Literal["lottery"] = "lottery"
    rounds: int = pydantic.Field(default=7, ge=1, le=50)
    prune_fraction: float = pydantic.Field(
        default=0.2, gt=0, lt=1, validation_alias=AliasChoices("prune_fraction", "share")
    )
    rewind: Literal["init", "early", "rate"] = "early"
    rewind_step: Count = 100
    start: Start = "random"
    control: bool = False
    training: TrainingConfig = TrainingConfig()


def unprunable(network: DepthNet) -> set[str]:
    """Names of weights that are never pruned: depthwise convolutions and the head.

    They are 3 % of the weights of `s`, and their magnitudes cannot be compared with those of the
    other layers: a batch norm follows, so the scale of a layer is that of its initialization. With
    60 % of the weights of `ghostnet-s` removed at once, its si-RMSE is 0.220 when they are kept
    and 0.287 when they are not (dense: 0.222; a third of the validation split).
    """
    depthwise = {
        f"{name}.weight"
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups > 1
    }
    return depthwise | {"head.weight"}


def prune_smallest(
    network: nn.Module, masks: Masks, fraction: float, exclude: Collection[str] = ()
) -> Masks:
    """Masks without the smallest weights over all layers.

    Args:
        network: Trained module of any kind.
        masks: Masks so far.
        fraction: Fraction of the kept, not excluded weights to remove, 0 to 1.
        exclude: Names of weights whose masks do not change.
    """
    among = {name: mask for name, mask in masks.items() if name not in exclude}
    magnitudes = {name: p.detach().abs() for name, p in weights(network).items()}
    return masks | keep_top(magnitudes, count(among) - round(fraction * count(among)), among)


def rewind(network: nn.Module, state: dict[str, Tensor], masks: Masks) -> None:
    """Loads `state` in place and sets the weights that are not kept to zero."""
    network.load_state_dict(state)
    apply_masks(network, masks)


class RoundTrainer(MaskedTrainer):
    """Training of one round.

    Args:
        config: See `Trainer`.
        split: See `Trainer`.
        options: See `Trainer`.
        masks: Weights that are kept.
        first_step: Number of optimizer steps that the initial weights have been trained for.
        snapshot: Step after which the weights are saved, and the file for them.
    """

    def __init__(
        self,
        config: TrainConfig,
        split: Split,
        options: RunOptions,
        *,
        masks: Masks,
        first_step: int = 0,
        snapshot: tuple[int, Path] | None = None,
    ) -> None:
        super().__init__(config, split, options, masks=masks)
        steps = len(self.sampler)
        self.first_step, self.snapshot = first_step, snapshot
        self.epoch = max(self.epoch, first_step // steps)
        self.steps_done = max(self.epoch * steps, first_step)

    def step(self, model: nn.Module, *batch: Tensor) -> Tensor:
        """One optimizer step."""
        loss = super().step(model, *batch)
        self.steps_done += 1
        if self.snapshot is not None and self.steps_done == self.snapshot[0]:
            state = {k: v.cpu().contiguous() for k, v in self.network.state_dict().items()}
            write_tensors(self.snapshot[1], state)
        return loss


MakeTrainer = Callable[[TrainConfig, Split, RunOptions], RoundTrainer]


def apply(checkpoint: Checkpoint, config: LotteryConfig, work: Work) -> Compressed:
    """Runs all rounds; each leaves its checkpoint in `round-NN/best` and a row in `rounds.csv`.

    Raises:
        UserError: The step to rewind to is not within the training, or a round would remove every
            path from input to output; the results of earlier rounds stay.
    """
    _require_step(config, work)
    initial = starting_network(checkpoint.network, config.start, config.seed)
    masks, rows = present(checkpoint.network), list[dict[str, Any]]()
    early = work.out / _folder(0) / EARLY
    trained = _dense(checkpoint, config, work, initial)
    _record(work, rows, 0, "dense", masks)
    for index in range(1, config.rounds + 1):
        masks = prune_smallest(trained, masks, config.prune_fraction, unprunable(trained))
        state, first_step = initial.state_dict(), 0
        if config.rewind == "rate":
            state = trained.state_dict()
        elif config.rewind == "early":
            state, first_step = read_tensors(early)[0], config.rewind_step
        network = DepthNet(initial.config)
        rewind(network, state, masks)
        require_path(network, (1, 3, *network.config.input_size))
        work.log(f"round {index} of {config.rounds}: {kept_fraction(masks):.1%} of the weights")
        trained = _train(network, config, work, _folder(index), _trainer(masks, first_step))
        _record(work, rows, index, "ticket", masks)
    if config.control:
        control = starting_network(checkpoint.network, "random", config.seed + 1)
        apply_masks(control, masks)
        work.log("control: the last ticket from new random weights")
        _train(control, config, work, "control", _trainer(masks))
        _record(work, rows, config.rounds, "control", masks)
    notes = describe(trained, masks)
    work.log(notes.pop("line"))
    return Compressed(trained, {**notes, "rounds": rows})


def _train(
    start: DepthNet, config: LotteryConfig, work: Work, folder: str, trainer: MakeTrainer
) -> DepthNet:
    return work.train(start, config.training, config.seed, folder=folder, trainer=trainer)


def _dense(
    checkpoint: Checkpoint, config: LotteryConfig, work: Work, initial: DepthNet
) -> DepthNet:
    """Round 0: the dense network, whose magnitudes give the first ticket."""
    masks, folder = present(checkpoint.network), work.out / _folder(0)
    if config.rewind == "rate" and config.start == "checkpoint":
        save_checkpoint(
            folder / "best",
            checkpoint.network,
            name=checkpoint.name,
            training_data=checkpoint.training_data,
            metrics={"validation": evaluate(checkpoint.network, work.split.val).to_dict()},
        )
        return checkpoint.network
    snapshot = (config.rewind_step, folder / EARLY) if config.rewind == "early" else None
    work.log("round 0: the dense network")
    return _train(initial, config, work, _folder(0), _trainer(masks, snapshot=snapshot))


def _trainer(
    masks: Masks, first_step: int = 0, snapshot: tuple[int, Path] | None = None
) -> MakeTrainer:
    return partial(RoundTrainer, masks=masks, first_step=first_step, snapshot=snapshot)


def _require_step(config: LotteryConfig, work: Work) -> None:
    training = config.training
    steps = len(EpochSampler(len(work.split.train), training.batch_size, 0)) * training.epochs
    if config.rewind == "early" and config.rewind_step >= steps:
        raise UserError(
            f"lottery: rewind_step {config.rewind_step} is not before the end of the training, "
            f"which has {steps} steps ({training.epochs} epochs)"
        )


def _folder(index: int) -> str:
    return f"round-{index:02}"


def _record(work: Work, rows: list[dict[str, Any]], index: int, kind: str, masks: Masks) -> None:
    """Adds the figures of a round and rewrites the history."""
    folder = "control" if kind == "control" else _folder(index)
    accuracy = read_validation(work.out / folder / "best")
    row = {"round": index, "kind": kind, "kept_weights": count(masks)}
    row["kept_share"] = kept_fraction(masks)
    rows.append(row | asdict(accuracy))
    write_bytes(work.out / HISTORY, csv_bytes(rows))

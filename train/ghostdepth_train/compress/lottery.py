"""Lottery tickets: iterative magnitude pruning with rewinding.

- Frankle, Carbin, "The Lottery Ticket Hypothesis", ICLR 2019: train, remove the smallest weights,
  set the rest back to their initial values, and so on; the control sets them to new random ones.
- Frankle, Dziugaite, Roy, Carbin, "Linear Mode Connectivity and the Lottery Ticket Hypothesis",
  ICML 2020: set back to the values after step k, and train the steps from k on.
- Renda, Frankle, Carbin, "Comparing Rewinding and Fine-tuning in Neural Network Pruning", ICLR
  2020: keep the weights, set only the learning rate back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal

import pydantic
import torch
from bench_depth.core.errors import UserError
from bench_depth.core.files import write_bytes
from torch import Tensor, nn

from ghostdepth_train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    read_tensors,
    save_checkpoint,
    write_tensors,
)
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.compress.snip import Start, describe, starting_network
from ghostdepth_train.config import TrainConfig, TrainingConfig
from ghostdepth_train.data import EpochSampler, Split
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.masks import (
    MaskedTrainer,
    Masks,
    apply_masks,
    count,
    keep_top,
    present,
    require_path,
    share,
    weights,
)
from ghostdepth_train.trainer import RunOptions, csv_bytes

HISTORY = "rounds.csv"
EARLY = "early.safetensors"


class LotteryConfig(Method):
    """Iterative magnitude pruning.

    Attributes:
        rounds: Of pruning and training; `(1 - share) ** rounds` of the weights stay, and those
            that are `spared`.
        share: Of the weights that are left, removed in each round.
        rewind: What a round starts from: the `init`ial weights; those after an `early` step of the
            dense training, `rewind_step`; or the weights as they are, only the learning `rate` is
            set back.
        rewind_step: k, for `early`: an optimiser step of the dense training.
        start: Initial weights: `random` ones, as in the papers, or the `checkpoint`'s. With
            `rate` and `checkpoint`, the checkpoint counts as the trained dense network.
        control: Train the last ticket from new random weights as well.
        training: Of each round.
    """

    method: Literal["lottery"] = "lottery"
    rounds: int = pydantic.Field(default=7, ge=1, le=50)
    share: float = pydantic.Field(default=0.2, gt=0, lt=1)
    rewind: Literal["init", "early", "rate"] = "early"
    rewind_step: int = pydantic.Field(default=100, ge=1)
    start: Start = "random"
    control: bool = False
    training: TrainingConfig = TrainingConfig()


CONFIG = LotteryConfig


def spared(network: DepthNet) -> set[str]:
    """Weights that are never removed: those of depthwise convolutions and of the head.

    They are 3 % of the weights of `s`, and magnitudes do not tell across them and the others: a
    batch norm follows, so that their scale is that of their initialisation. With 60 % of the
    weights of `ghostdepth-s` removed at once, its si-RMSE is 0.220 when they are spared and 0.287
    when not (dense: 0.222; a third of the validation split).
    """
    depthwise = {
        f"{name}.weight"
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups > 1
    }
    return depthwise | {"head.weight"}


def smallest_removed(
    network: nn.Module, masks: Masks, part: float, spare: Collection[str] = ()
) -> Masks:
    """Removes the smallest weights, over all layers at once.

    Args:
        network: Trained; any module.
        masks: What is left so far.
        part: Share of what is left, without what is spared, that is removed.
        spare: Names of weights that stay as they are.
    """
    among = {name: mask for name, mask in masks.items() if name not in spare}
    magnitudes = {name: p.detach().abs() for name, p in weights(network).items()}
    return masks | keep_top(magnitudes, count(among) - round(part * count(among)), among)


def rewind(network: nn.Module, state: dict[str, Tensor], masks: Masks) -> None:
    """Sets weights and statistics back to `state`, in place; what is not kept is zero."""
    network.load_state_dict(state)
    apply_masks(network, masks)


class RoundTrainer(MaskedTrainer):
    """One round.

    Args:
        config: As for `Trainer`.
        split: As for `Trainer`.
        options: As for `Trainer`.
        masks: What is trained.
        begin: Steps that the weights it starts from have behind them.
        keep: Keep the weights after this step, in this file.
    """

    def __init__(
        self,
        config: TrainConfig,
        split: Split,
        options: RunOptions,
        *,
        masks: Masks,
        begin: int = 0,
        keep: tuple[int, Path] | None = None,
    ) -> None:
        super().__init__(config, split, options, masks=masks)
        steps = len(self.sampler)
        self.first_step, self.keep = begin, keep
        self.epoch = max(self.epoch, begin // steps)
        self.taken = max(self.epoch * steps, begin)

    def step(self, *arguments: Any) -> Tensor:
        """One optimiser step."""
        loss = super().step(*arguments)
        self.taken += 1
        if self.keep is not None and self.taken == self.keep[0]:
            state = {k: v.cpu().contiguous() for k, v in self.network.state_dict().items()}
            write_tensors(self.keep[1], state)
        return loss


MakeTrainer = Callable[[TrainConfig, Split, RunOptions], RoundTrainer]


def apply(checkpoint: Checkpoint, config: LotteryConfig, work: Work) -> Compressed:
    """All rounds; each leaves its checkpoint in `round-NN/best` and a row in `rounds.csv`.

    Raises:
        UserError: The step to go back to is not in the training, or nothing is left; the rounds
            before stay.
    """
    _require_step(config, work)
    initial = starting_network(checkpoint.network, config.start, config.seed)
    size = (initial.config.input_height, initial.config.input_width)
    noise = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    masks, rows = present(checkpoint.network), list[dict[str, Any]]()
    early = work.out / _folder(0) / EARLY
    trained = _dense(checkpoint, config, work, initial)
    _record(work, rows, 0, "dense", masks)
    for index in range(1, config.rounds + 1):
        masks = smallest_removed(trained, masks, config.share, spared(trained))
        state, begin = initial.state_dict(), 0
        if config.rewind == "rate":
            state = trained.state_dict()
        elif config.rewind == "early":
            state, begin = read_tensors(early)[0], config.rewind_step
        network = DepthNet(initial.config)
        rewind(network, state, masks)
        require_path(network, noise)
        work.say(f"round {index} of {config.rounds}: {share(masks):.1%} of the weights")
        trained = _train(network, config, work, _folder(index), _trainer(masks, begin))
        _record(work, rows, index, "ticket", masks)
    if config.control:
        control = starting_network(checkpoint.network, "random", config.seed + 1)
        apply_masks(control, masks)
        work.say("control: the last ticket from new random weights")
        _train(control, config, work, "control", _trainer(masks))
        _record(work, rows, config.rounds, "control", masks)
    notes = describe(trained, masks)
    work.say(notes.pop("line"))
    return Compressed(trained, {**notes, "rounds": rows})


def _train(
    start: DepthNet, config: LotteryConfig, work: Work, folder: str, trainer: MakeTrainer
) -> DepthNet:
    return work.train(start, config.training, config.seed, folder=folder, trainer=trainer)


def _dense(
    checkpoint: Checkpoint, config: LotteryConfig, work: Work, initial: DepthNet
) -> DepthNet:
    """Round 0: the network from whose magnitudes the first ticket is drawn."""
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
    keep = (config.rewind_step, folder / EARLY) if config.rewind == "early" else None
    work.say("round 0: the dense network")
    return _train(initial, config, work, _folder(0), _trainer(masks, keep=keep))


def _trainer(masks: Masks, begin: int = 0, keep: tuple[int, Path] | None = None) -> MakeTrainer:
    return lambda config, split, options: RoundTrainer(
        config, split, options, masks=masks, begin=begin, keep=keep
    )


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
    """Adds a round's figures; the history is written anew with them."""
    folder = "control" if kind == "control" else _folder(index)
    metrics = load_checkpoint(work.out / folder / "best").metrics["validation"]
    row = {"round": index, "kind": kind, "kept_weights": count(masks), "kept_share": share(masks)}
    rows.append({**row, **{key: metrics[key] for key in ("si_rmse", "rmse", "delta_1")}})
    write_bytes(work.out / HISTORY, csv_bytes(rows))

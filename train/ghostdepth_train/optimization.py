"""How weights are changed: optimizer, learning-rate schedule and moving average."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from ghostdepth_train.config import TrainConfig
from ghostdepth_train.models.adder_conv import AdderAdamW, adders, others

_Tensors = tuple[Tensor, ...] | list[Tensor]


def make_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; biases and norms are not decayed, and adders take steps of their own."""
    special = adders(network)
    decay = [p for p in others(network) if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decay, "weight_decay": config.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    groups += [{"params": [adder.weight], "eta": adder.eta} for adder in special]
    kind = AdderAdamW if special else torch.optim.AdamW
    return kind(groups, lr=config.learning_rate)


def make_schedule(
    optimizer: torch.optim.Optimizer, steps_per_epoch: int, config: TrainConfig, first: int = 0
) -> LambdaLR:
    """Linear warm-up to the optimizer's learning rate, then half a cosine to zero.

    Args:
        optimizer: Optimizer whose learning rates are those of the peak.
        steps_per_epoch: Number of optimizer steps per epoch.
        config: Length of the training and of its warm-up.
        first: Number of optimizer steps that have been taken already.
    """
    warmup, total = config.warmup_epochs * steps_per_epoch, config.epochs * steps_per_epoch

    def factor(taken: int) -> float:
        step = min(first + taken, total - 1)
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))

    return LambdaLR(optimizer, factor)


def averaged_model(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of a network that `update_parameters` moves towards the network by a fraction.

    Batch-norm statistics are averaged too; counters are copied.

    Args:
        network: The average starts from its present weights; after step n, counted from 0,
            `n_averaged` is n + 2.
        decay: Decay of the average, 0 to 1; early steps use (1 + step) / (10 + step) where that is
            smaller, so that the random start is soon forgotten.
    """

    @torch.no_grad()
    def average(averages: _Tensors, values: _Tensors, number: Any) -> None:
        if averages[0].is_floating_point():
            count = int(number)
            weight = 1 - min(decay, count / (9 + count))
            torch._foreach_lerp_(averages, values, weight)
        else:
            torch._foreach_copy_(averages, values)

    averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    # With 0 torch would copy the weights after the first step instead of averaging them.
    averaged.n_averaged.fill_(1)
    return averaged

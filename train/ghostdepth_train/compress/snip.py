"""SNIP: prunes single weights before training, in a single shot.

Lee, Ajanthan, Torr, "SNIP: Single-shot Network Pruning based on Connection Sensitivity", ICLR 2019,
section 4.1. Each weight w_j is multiplied by a factor c_j = 1; the effect of the connection on the
loss L is g_j = dL/dc_j = w_j dL/dw_j, and its sensitivity s_j = |g_j| / sum_k |g_k|. The kappa
highest over all layers are kept, and the network is trained.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pydantic
import torch
from bench_depth.core.errors import UserError
from torch import Tensor, nn

from ghostdepth_train.checkpoint import Checkpoint, read_tensors, write_tensors
from ghostdepth_train.compress import prune
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import LossConfig, NetworkConfig, TrainingConfig
from ghostdepth_train.config.fields import Count
from ghostdepth_train.data import DepthDataset, EpochSampler, Split, training_loader
from ghostdepth_train.losses import network_loss
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.packed_weights import stored_bytes
from ghostdepth_train.pruning.masks import (
    MaskedTrainer,
    Masks,
    apply_masks,
    count,
    empty_layers,
    keep_top,
    kept_fraction,
    present,
    require_path,
    weights,
)

Loss = Callable[[Any, Any], Tensor]
Start = Literal["random", "checkpoint"]


class SnipConfig(Method):
    """Settings of SNIP and of the training after it.

    Attributes:
        keep: Fraction of all weights that is kept (kappa), 0 to 1. With `structured`, the fraction
            of all parameters.
        start: Which weights are scored and trained: `random` ones, as in the paper, or those of
            the `checkpoint`. Weights that an earlier step set to zero stay zero in both cases.
        batches: Number of training batches that the gradient is summed over.
        structured: Whether whole channels are removed by the sum of their sensitivities (see
            `prune`); the training after it does not keep earlier zeros.
        training: Training settings after the pruning.
    """

    method: Literal["snip"] = "snip"
    keep: float = pydantic.Field(default=0.2, gt=0, lt=1)
    start: Start = "random"
    batches: Count = 16
    structured: bool = False
    training: TrainingConfig = TrainingConfig()


def apply(checkpoint: Checkpoint, config: SnipConfig, work: Work) -> Compressed:
    """Scores, prunes and trains.

    Raises:
        UserError: Fewer weights than are to be kept are nonzero, or no path from input to output
            would be left.
    """
    network = starting_network(checkpoint.network, config.start, config.seed)
    if config.structured:
        return prune.apply(replace(checkpoint, network=network), _structured(config), work)
    masks = _masks(network, config, work)
    apply_masks(network, masks)
    require_path(network, (1, 3, *network.config.input_size))
    trained = work.train(
        network,
        config.training,
        config.seed,
        trainer=lambda *arguments: MaskedTrainer(*arguments, masks=masks),
    )
    notes = describe(trained, masks)
    work.log(notes.pop("line"))
    return Compressed(trained, notes)


def connection_sensitivity(
    network: nn.Module, loss: Loss, batches: Iterable[Any]
) -> dict[str, Tensor]:
    """The sensitivity s_j of every weight.

    Args:
        network: Network to score; it is not changed. Gradients are computed in training mode.
        loss: Called with the network and a batch; returns a scalar.
        batches: Batches that the gradient is summed over.

    Returns:
        A tensor for each weight, by name and of its shape; all elements sum to 1.

    Raises:
        UserError: There is no batch, all gradients are zero, or one is not finite.
    """
    network = copy.deepcopy(network).train()
    names, parameters = zip(*weights(network).items(), strict=True)
    total = [torch.zeros_like(p) for p in parameters]
    for batch in batches:
        gradients = torch.autograd.grad(loss(network, batch), parameters)
        torch._foreach_add_(total, list(gradients))
    scores = [(p.detach() * g).abs() for p, g in zip(parameters, total, strict=True)]
    norm = float(sum(score.sum(dtype=torch.float64) for score in scores))
    if not 0 < norm < float("inf"):
        raise UserError(
            f"SNIP: the sensitivities sum to {norm}; the batches are empty, the network gives no "
            "gradient, or its weights have diverged"
        )
    return {name: score / norm for name, score in zip(names, scores, strict=True)}


def sensitivity(
    network: DepthNet, batches: Iterable[tuple[Tensor, Tensor]], loss: LossConfig | None = None
) -> dict[str, Tensor]:
    """The sensitivity s_j of every weight of a depth network.

    Args:
        network: Network to score; it is not changed.
        batches: Pairs of Nx3xHxW uint8 RGB and Nx1xHxW depth in metres, as the training loader
            yields them.
        loss: Weights of the loss terms.
    """
    device = next(network.parameters()).device

    def batch_loss(copied: DepthNet, batch: tuple[Tensor, Tensor]) -> Tensor:
        rgb, depth = (part.to(device) for part in batch)
        return network_loss(copied, rgb, depth, loss or LossConfig())

    return connection_sensitivity(network, batch_loss, batches)


def training_batches(
    split: Split, network: NetworkConfig, training: TrainingConfig, seed: int, number: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The first `number` batches of a training run."""
    size = network.input_size
    dataset = DepthDataset(split.train, size, training.augment, seed)
    sampler = EpochSampler(len(split.train), training.batch_size, seed)
    loader = training_loader(dataset, sampler, workers=0)

    def endless() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from loader
            sampler.epoch += 1

    return islice(endless(), number)


def starting_network(network: DepthNet, start: Start, seed: int) -> DepthNet:
    """A copy, or a randomly initialized network that is zero where `network` is."""
    if start == "checkpoint":
        return copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = DepthNet(network.config)
    apply_masks(fresh, present(network))
    return fresh


def describe(network: nn.Module, masks: Masks) -> dict[str, Any]:
    """Figures of a sparse network for the notes; `line` is a summary for the log."""
    size = stored_bytes(network.state_dict())
    return {
        "kept_weights": count(masks),
        "kept_share": kept_fraction(masks),
        "empty_layers": empty_layers(masks),
        "checkpoint_bytes": size,
        "line": f"{count(masks):,} weights kept ({kept_fraction(masks):.1%}); the checkpoint takes "
        f"{size / 1e6:.2f} MB; exported files are neither smaller nor faster",
    }


def _structured(config: SnipConfig) -> prune.PruneConfig:
    """The equivalent step of structured pruning."""
    return prune.PruneConfig(
        seed=config.seed,
        importance="snip",
        parameters=config.keep,
        batches=config.batches,
        batch_size=config.training.batch_size,
        training=config.training,
    )


def _masks(network: DepthNet, config: SnipConfig, work: Work) -> Masks:
    """The masks, saved so that a resumed run has the same ones on any machine."""
    path: Path = work.out / "masks.safetensors"
    if work.resume and path.is_file():
        return read_tensors(path)[0]
    work.log(f"computing connection sensitivities on {config.batches} batches")
    training = config.training
    batches = training_batches(work.split, network.config, training, config.seed, config.batches)
    scores = sensitivity(network, batches, training.loss)
    among = present(network)
    total = sum(mask.numel() for mask in among.values())
    masks = keep_top(scores, round(config.keep * total), among)
    write_tensors(path, masks)
    return masks

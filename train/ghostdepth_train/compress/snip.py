"""SNIP: which connections matter is decided before training, in a single shot.

Lee, Ajanthan, Torr, "SNIP: Single-shot Network Pruning based on Connection Sensitivity", ICLR 2019,
section 4.1. Each weight w_j gets a factor c_j = 1; what the loss L feels of the connection is
g_j = dL/dc_j = w_j dL/dw_j, and its sensitivity s_j = |g_j| / sum_k |g_k|. The highest kappa over
all layers at once stay, and the network is trained.
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
from ghostdepth_train.compress.method import Compressed, Method, Work, compress, method_config
from ghostdepth_train.config import LossConfig, NetworkConfig, TrainingConfig
from ghostdepth_train.data import DepthDataset, EpochSampler, Split, training_loader
from ghostdepth_train.losses import depth_loss
from ghostdepth_train.models.network import DepthNet, log_depth, normaliser, resize
from ghostdepth_train.models.packed_weights import stored_bytes
from ghostdepth_train.pruning.masks import (
    MaskedTrainer,
    Masks,
    apply_masks,
    count,
    empty_layers,
    keep_top,
    present,
    require_path,
    share,
    weights,
)

Loss = Callable[[Any, Any], Tensor]
Start = Literal["random", "checkpoint"]


class SnipConfig(Method):
    """SNIP, then training.

    Attributes:
        keep: kappa: share of all weights that stays. With `structured`, of all parameters.
        start: Which weights are scored and trained: `random` ones, as in the paper, or the
            `checkpoint`'s. What an earlier step has set to zero stays zero with both.
        batches: Of the training set that the gradient is summed over.
        structured: Remove whole channels by the sum of their sensitivities (see `prune`); the
            training that follows does not hold earlier zeros.
        training: After the pruning.
    """

    method: Literal["snip"] = "snip"
    keep: float = pydantic.Field(default=0.2, gt=0, lt=1)
    start: Start = "random"
    batches: int = pydantic.Field(default=16, ge=1)
    structured: bool = False
    training: TrainingConfig = TrainingConfig()


CONFIG = SnipConfig


def apply(checkpoint: Checkpoint, config: SnipConfig, work: Work) -> Compressed:
    """Scores, prunes and trains.

    Raises:
        UserError: Fewer weights are left than are to be kept, or too few for a network.
    """
    network = starting_network(checkpoint.network, config.start, config.seed)
    if config.structured:
        return compress(replace(checkpoint, network=network), _channels(config), work)
    masks = _masks(network, config, work)
    apply_masks(network, masks)
    size = (network.config.input_height, network.config.input_width)
    require_path(network, torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0)))
    trained = work.train(
        network,
        config.training,
        config.seed,
        trainer=lambda *arguments: MaskedTrainer(*arguments, masks=masks),
    )
    notes = describe(trained, masks)
    work.say(notes.pop("line"))
    return Compressed(trained, notes)


def connection_sensitivity(
    network: nn.Module, loss: Loss, batches: Iterable[Any]
) -> dict[str, Tensor]:
    """s_j of every weight.

    Args:
        network: Stays as it is; the gradient is taken in training mode.
        loss: Called with the network and a batch; a scalar.
        batches: The gradient is summed over them.

    Returns:
        By the weights' names, of their shapes, all together summing to 1.

    Raises:
        UserError: There is no batch, or no gradient, or it is not finite.
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
    """s_j of every weight of a depth network.

    Args:
        network: Stays as it is.
        batches: Nx3xHxW uint8 RGB and Nx1xHxW metres, as the training loader gives them.
        loss: The mix of losses.
    """
    normalise, mix = normaliser(network.config), loss or LossConfig()
    device = next(network.parameters()).device

    def batch_loss(copied: DepthNet, batch: tuple[Tensor, Tensor]) -> Tensor:
        rgb, depth = (part.to(device) for part in batch)
        prediction = log_depth(copied(normalise(rgb)), network.config)
        return depth_loss(resize(prediction, *depth.shape[-2:]), depth, mix)

    return connection_sensitivity(network, batch_loss, batches)


def training_batches(
    split: Split, network: NetworkConfig, training: TrainingConfig, seed: int, number: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The first batches that a training run would see."""
    size = (network.input_height, network.input_width)
    dataset = DepthDataset(split.train, size, training.augment, seed)
    sampler = EpochSampler(len(split.train), training.batch_size, seed)
    loader = training_loader(dataset, sampler, workers=0)

    def endless() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from loader
            sampler.epoch += 1

    return islice(endless(), number)


def starting_network(network: DepthNet, start: Start, seed: int) -> DepthNet:
    """A copy, or one with new random weights that is zero where `network` is."""
    if start == "checkpoint":
        return copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = DepthNet(network.config)
    apply_masks(fresh, present(network))
    return fresh


def describe(network: nn.Module, masks: Masks) -> dict[str, Any]:
    """What a sparse network is, for the notes; `line` says it in words."""
    size = stored_bytes(network.state_dict())
    return {
        "kept_weights": count(masks),
        "kept_share": share(masks),
        "empty_layers": empty_layers(masks),
        "checkpoint_bytes": size,
        "line": f"{count(masks):,} weights kept ({share(masks):.1%}); the checkpoint takes "
        f"{size / 1e6:.2f} MB; exported files are neither smaller nor faster",
    }


def _channels(config: SnipConfig) -> Method:
    """The same as a step of structured pruning."""
    fields = {
        "method": "prune",
        "seed": config.seed,
        "importance": "snip",
        "parameters": config.keep,
        "batches": config.batches,
        "batch_size": config.training.batch_size,
        "training": config.training.model_dump(),
    }
    return method_config(fields, "snip, structured")


def _masks(network: DepthNet, config: SnipConfig, work: Work) -> Masks:
    """Kept in a file: a resumed run trains what it began with, on any machine."""
    path: Path = work.out / "masks.safetensors"
    if work.resume and path.is_file():
        return read_tensors(path)[0]
    work.say(f"scoring the connections on {config.batches} batches")
    training = config.training
    batches = training_batches(work.split, network.config, training, config.seed, config.batches)
    scores = sensitivity(network, batches, training.loss)
    among = present(network)
    total = sum(mask.numel() for mask in among.values())
    masks = keep_top(scores, round(config.keep * total), among)
    write_tensors(path, masks)
    return masks

"""Importance of the units of a width (see `channels.Axis`), by four measures.

- `magnitude`: L2 norm of the unit's weights in every layer, relative to the sum of the norms of the
  layer, summed over the layers (Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017,
  summed over coupled layers as in DepGraph, CVPR 2023, eq. 5).
- `bn`: the same for the scales of batch norms only (Liu et al., "Network Slimming", ICCV 2017).
- `taylor`: the square of the first-order change of the loss when all weights that read the unit
  become 0, (sum w g)^2, summed over batches (Molchanov et al., "Importance Estimation for Neural
  Network Pruning", CVPR 2019, eq. 8).
- `snip`: |w g| summed over all weights of the unit, where g is the gradient summed over batches
  (Lee et al., "SNIP", ICLR 2019, eq. 6, summed per unit).

The first two are relative to a layer, the others are changes of the loss. Why torch-pruning's
importances are not used: docs/adr/0010-pruning-by-hand.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args

import numpy as np
import torch
from bench_depth.core.errors import UserError
from numpy.typing import NDArray
from torch import Tensor, nn

from ghostdepth_train.config import AugmentConfig, LossConfig
from ghostdepth_train.data import DepthDataset, EpochSampler, Split
from ghostdepth_train.losses import network_loss
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.channels import Axis, Slice

Importance = Literal["magnitude", "bn", "taylor", "snip"]
Vector = NDArray[np.float64]
Scores = dict[str, list[Vector]]
# Returns a value for each channel of one side of a layer.
Measure = Callable[[nn.Module, str], Tensor]


def named(name: str) -> Importance:
    """The measure of that name.

    Raises:
        UserError: The name is unknown.
    """
    for known in get_args(Importance):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise UserError(f"unknown importance {name!r}; choose from {', '.join(get_args(Importance))}")


def importance(
    network: DepthNet,
    axes: Sequence[Axis],
    kind: Importance,
    losses: Iterator[Tensor],
) -> Scores:
    """The importance of every unit.

    Args:
        network: Network in eval mode.
        axes: Axes of the network, as `find_axes` returns them.
        kind: Measure of importance.
        losses: Losses of the network on training batches, see `batch_losses`; used by `taylor` and
            `snip` only.

    Returns:
        For each axis, by name, one vector per part with an importance for each unit, at least 0.
    """
    if kind == "magnitude":
        return _scores(network, axes, _norms, relative=True)
    if kind == "bn":
        scores = _scores(network, axes, _scales, relative=True)
        norms = _scores(network, axes, _norms, relative=True)
        # The layers of squeeze-and-excitation have no norm.
        return {
            name: [s if s.any() else n for s, n in zip(parts, norms[name], strict=True)]
            for name, parts in scores.items()
        }
    if kind == "snip":
        _gradients(network, losses)
        scores = _scores(network, axes, _sensitivity)
    else:
        scores = _taylor(network, axes, losses)
    network.zero_grad(set_to_none=True)
    return scores


def batch_losses(
    network: DepthNet, split: Split, loss: LossConfig, *, batches: int, batch_size: int, seed: int
) -> Iterator[Tensor]:
    """Losses on training batches without augmentation, each with its graph."""
    config = network.config
    plain = AugmentConfig(flip=0, zoom=1, colour=0, noise=0)
    dataset = DepthDataset(split.train, config.input_size, plain, seed)
    device = next(network.parameters()).device
    for keys in list(EpochSampler(len(split.train), batch_size, seed))[:batches]:
        pairs = [dataset[key] for key in keys]
        rgb = torch.stack([pair[0] for pair in pairs]).to(device)
        depth = torch.stack([pair[1] for pair in pairs]).to(device)
        yield network_loss(network, rgb, depth, loss)


def _taylor(network: DepthNet, axes: Sequence[Axis], losses: Iterator[Tensor]) -> Scores:
    total: Scores = {}
    for loss in losses:
        network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for name, parts in _scores(network, axes, _change).items():
            before = total.get(name, [np.zeros_like(part) for part in parts])
            total[name] = [a + b * b for a, b in zip(before, parts, strict=True)]
    return total


def _gradients(network: DepthNet, losses: Iterator[Tensor]) -> None:
    """Sums the gradients over the batches."""
    network.zero_grad(set_to_none=True)
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]


def _scores(
    network: DepthNet, axes: Sequence[Axis], measure: Measure, *, relative: bool = False
) -> Scores:
    """Sums a measure over the slices of each unit."""
    known: dict[tuple[str, str], Vector] = {}

    def of(piece: Slice) -> float:
        key = (piece.module, piece.side)
        if key not in known:
            with torch.no_grad():
                measured = measure(network.get_submodule(piece.module), piece.side)
            values = measured.double().cpu().numpy()
            known[key] = values / max(values.sum(), 1e-12) if relative else values
        return float(known[key][list(piece.indices)].sum())

    return {
        axis.name: [
            np.array([sum(of(piece) for piece in unit) for unit in units])
            for _, units in axis.parts
        ]
        for axis in axes
    }


def _per_channel(values: Tensor, side: str) -> Tensor:
    """Sums a weight over all dimensions but the channels of one side."""
    by_channel = values.transpose(0, 1) if side == "in" else values
    return by_channel.flatten(1).sum(1) if values.ndim > 1 else values


def _weight(layer: nn.Module) -> Tensor:
    assert isinstance(layer.weight, Tensor)
    return layer.weight


def _norms(layer: nn.Module, side: str) -> Tensor:
    norms = _per_channel(_weight(layer).square(), side).sqrt()
    # A batch norm only scales the output of its convolution.
    return torch.zeros_like(norms) if isinstance(layer, nn.BatchNorm2d) else norms


def _scales(layer: nn.Module, side: str) -> Tensor:
    scales = _per_channel(_weight(layer).abs(), side)
    return scales if isinstance(layer, nn.BatchNorm2d) else torch.zeros_like(scales)


def _sensitivity(layer: nn.Module, side: str) -> Tensor:
    return _per_channel((_weight(layer) * _gradient(layer)).abs(), side)


def _change(layer: nn.Module, side: str) -> Tensor:
    """First-order change of the loss when the weights that read the channels become 0."""
    change = _per_channel(-_weight(layer) * _gradient(layer), side)
    return change if side == "in" else torch.zeros_like(change)


def _gradient(layer: nn.Module) -> Tensor:
    gradient = _weight(layer).grad
    assert gradient is not None
    return gradient

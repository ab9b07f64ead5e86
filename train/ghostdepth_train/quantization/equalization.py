"""Two ways to make a network easier to quantize, without training.

Nagel, van Baalen, Blankevoort, Welling, "Data-Free Quantization Through Weight Equalization and
Bias Correction", ICCV 2019: cross-layer equalisation (section 4.1, equations 9 to 11) and bias
correction (section 4.2, with means over images instead of the running ones of batch norms).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.fx import Node

from ghostdepth_train.quantization.fake_quantization import Scales, SimulatedNet
from ghostdepth_train.quantization.quantized_tensors import Trunk
from ghostdepth_train.quantization.ranges import Range
from ghostdepth_train.quantization.torch_graph import TorchGraph

aten = torch.ops.aten
# Relu and these ops let a positive factor of a channel pass: f(s x) = s f(x).
PASSING = (
    aten.relu.default,
    aten.mul.Tensor,
    aten.mean.dim,
    aten.upsample_bilinear2d.vec,
)
SWEEPS = 10
# One factor of equalisation at most: channels that are all but dead stay what they are.
MOST = 8.0


@dataclass(frozen=True)
class Consumer:
    """A convolution that reads a producer's channels.

    Attributes:
        conv: Node of the convolution.
        start: The input channel at which the producer's begin; negative where the first of them
            were cut off.
    """

    conv: Node
    start: int


@torch.no_grad()
def equalize_layers(trunk: Trunk) -> int:
    """Moves factors between convolutions so that the weights on both sides of a channel match.

    Each channel c between a convolution and those that read it is divided by
    s_c = sqrt(r1_c r2_c) / r2_c at the writer and multiplied at the readers, with r1_c and r2_c the
    largest weights of the channel there. The network's function stays the same.

    Args:
        trunk: Traced trunk; its network's weights change.

    Returns:
        How many convolutions write channels that could be equalised.
    """
    traced, module = trunk.traced, trunk.module
    pairs = [
        (conv, found)
        for conv in traced.calls(aten.conv2d.default)
        if (found := consumers(traced, conv)) and conv.meta["shift"] is not None
    ]
    for _ in range(SWEEPS):
        for conv, found in pairs:
            _equalise_pair(traced, module, conv, found)
    return len(pairs)


def consumers(traced: TorchGraph, producer: Node) -> list[Consumer]:
    """The convolutions that read a node's channels, or none where something else does."""
    try:
        return list(_follow(traced, producer, 0))
    except LookupError:
        return []


def _follow(traced: TorchGraph, node: Node, start: int) -> Iterator[Consumer]:
    if node is traced.output:
        raise LookupError
    for user in node.users:
        if user.target == aten.conv2d.default:
            yield Consumer(user, start)
        elif user.target in PASSING:
            yield from _follow(traced, user, start)
        elif user.target == aten.cat.default and user.args[1] == 1:
            parts = cast(list[Node], user.args[0])
            before = parts[: parts.index(node)]
            yield from _follow(traced, user, start + sum(_channels(part) for part in before))
        elif user.target == aten.slice.Tensor and user.args[1] == 1:
            yield from _follow(traced, user, start - cast(int, user.args[2]))
        else:
            raise LookupError


def _channels(node: Node) -> int:
    return int(node.meta["val"].shape[1])


def _equalise_pair(
    traced: TorchGraph, module: nn.Module, conv: Node, found: list[Consumer]
) -> None:
    weight = traced.value(conv.args[1])
    written = weight.abs().amax((1, 2, 3))
    read = torch.zeros_like(written)
    for consumer in found:
        mine, theirs = _overlap(consumer, len(written), _inputs(traced, consumer))
        read[mine] = torch.maximum(read[mine], _largest(traced, consumer)[theirs])
    usable = (written > 0) & (read > 0)
    factor = torch.where(usable, (written / read.clamp_min(1e-12)).sqrt(), 1.0)
    factor = factor.clamp(1 / MOST, MOST).float()
    for name in {conv.meta["gain"], conv.meta["shift"]}:
        parameter = module.get_parameter(name)
        parameter.div_(factor.view(-1, *[1] * (parameter.ndim - 1)))
    for consumer in found:
        mine, theirs = _overlap(consumer, len(written), _inputs(traced, consumer))
        kernel = module.get_parameter(consumer.conv.meta["weight"])
        if _is_depthwise(consumer.conv):
            kernel[theirs] *= factor[mine].view(-1, 1, 1, 1)
        else:
            kernel[:, theirs] *= factor[mine].view(1, -1, 1, 1)


def _overlap(consumer: Consumer, count: int, inputs: int) -> tuple[slice, slice]:
    """Which of a producer's channels a consumer reads, and what it calls them."""
    first, last = max(0, -consumer.start), min(count, inputs - consumer.start)
    return slice(first, last), slice(first + consumer.start, last + consumer.start)


def _is_depthwise(conv: Node) -> bool:
    return conv.args[6:7] not in ((), (1,))


def _inputs(traced: TorchGraph, consumer: Consumer) -> int:
    shape = traced.constants[cast(Node, consumer.conv.args[1])]().shape
    return shape[0] if _is_depthwise(consumer.conv) else shape[1]


def _largest(traced: TorchGraph, consumer: Consumer) -> Tensor:
    """The largest weight of each input channel."""
    weight = traced.value(consumer.conv.args[1]).abs()
    return weight.amax((1, 2, 3) if _is_depthwise(consumer.conv) else (0, 2, 3))


class _Means(SimulatedNet):
    """Notes the mean of every convolution's channels, and shifts them to those that are wanted."""

    def __init__(
        self, trunk: Trunk, scales: Scales | None = None, wanted: Mapping[str, Tensor] = {}
    ) -> None:
        super().__init__(trunk, scales)
        self.means: dict[str, Tensor] = {}
        self.wanted = wanted

    def convolved(self, node: Node, y: Tensor) -> Tensor:
        self.means[node.name] = mean = y.mean((0, 2, 3))
        if node.name not in self.wanted:
            return y
        return y + (self.wanted[node.name] - mean).view(1, -1, 1, 1)


@torch.no_grad()
def correct_bias(trunk: Trunk, ranges: Mapping[str, Range], pictures: Tensor) -> float:
    """Shifts every convolution's channels so that their mean in int8 is that in float.

    In the order of the network: each convolution gets what the corrected ones before it give.

    Args:
        trunk: Traced trunk; its network's biases (of batch norms, where they follow) change.
        ranges: Ranges of the activations.
        pictures: Nx3xHxW, 0..255, of the network's size.

    Returns:
        The largest shift.
    """
    exact = _Means(trunk)
    exact.run(pictures)
    rounded = _Means(trunk, Scales(ranges), exact.means)
    rounded.run(pictures)
    shifts = list[float]()
    for node in exact.traced.calls(aten.conv2d.default):
        if node.meta["shift"] is None:
            continue
        shift = exact.means[node.name] - rounded.means[node.name]
        trunk.module.get_parameter(node.meta["shift"]).add_(shift)
        shifts.append(float(shift.abs().max()))
    return max(shifts)

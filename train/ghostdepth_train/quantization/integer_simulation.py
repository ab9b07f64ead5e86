"""The int8 network in integer arithmetic, op by op as XNNPACK computes it (LiteRT on x86-64).

A rounding that falls the other way once is a step of one tensor; a hundred layers later it is
noise everywhere. So agreement with a file means agreement of every op's arithmetic: convolutions
sum in 32 bits and are scaled in float32, rounding halves to even; additions and upsampling are
fixed-point numbers that round halves up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.fx import Node
from torch.nn import functional as F

from ghostdepth_train.models.network import Predictor, without_border
from ghostdepth_train.quantization.fake_quantization import convolve, weight_scale
from ghostdepth_train.quantization.quantized_tensors import (
    TO_FRACTIONS,
    Trunk,
    activations,
    is_fused,
)
from ghostdepth_train.quantization.ranges import HIGHEST, LOWEST, PIXELS, Range

aten = torch.ops.aten
_MOVES = (
    aten.flip.default,
    aten.reshape.default,
    aten.transpose.int,
    aten.upsample_nearest2d.vec,
)


class IntegerNet:
    """Runs a network in integer arithmetic.

    Args:
        trunk: The network and its graph.
        ranges: Ranges by the names of `QuantizedTensors`.

    Attributes:
        traced: The graph.
        ranges: Range of each node that is quantized.
        output_range: Range of the result.
    """

    def __init__(self, trunk: Trunk, ranges: Mapping[str, Range]) -> None:
        self.traced, quantized = trunk.traced, trunk.quantized
        self.ranges = {node: ranges[name] for node, name in quantized.names.items()}
        self.ranges |= quantized.fixed
        self.output_range = self.ranges[self.traced.output]

    @torch.no_grad()
    def run(self, image: Tensor, keep: dict[str, Tensor] | None = None) -> Tensor:
        """An image to encoded depth, both quantized.

        Args:
            image: 1x3xHxW, integers 0..255, H and W the network's.
            keep: Filled with every quantized tensor by its node's name.

        Returns:
            1x1xhxw float64 that holds integers -128..127.
        """
        values: dict[Node, Tensor] = {self.traced.input: image.double() + PIXELS.zero_point}
        for node in self.traced.graph.nodes:
            if node.op != "call_function" or node not in self.ranges:
                continue
            values[node] = self._call(node, values)
            if keep is not None:
                keep[str(node.meta["tensor"])] = values[node]
        return values[self.traced.output]

    def _call(self, node: Node, values: Mapping[Node, Tensor]) -> Tensor:
        """One op, with the one that is fused into it."""
        fused = node.all_input_nodes[0]
        work = fused if fused.op == "call_function" and is_fused(fused) else node
        out = self.ranges[node]
        low, high = out_limits(None if work is node else node.target, out)
        ins = [(values[n], self.ranges[n]) for n in activations(work, self.traced)]
        if work.target == aten.conv2d.default:
            _, *rest = work.args
            constants = [self.traced.constants[a]() if isinstance(a, Node) else a for a in rest]
            y = conv(*ins[0], constants, out)
        elif work.target == aten.add.Tensor:
            y = add(*ins[0], *ins[1], out)
        elif work.target == aten.mul.Tensor:
            y = mul(ins, work.args[1], out)
        elif work.target == aten.mean.dim:
            y = mean(*ins[0], out)
        elif work.target == aten.upsample_bilinear2d.vec:
            y = upsample(ins[0][0], cast(tuple[int, int], work.args[1]))
        elif work.target == aten.cat.default:
            y = self._cat(work, values)
        elif work.target == aten.pixel_shuffle.default:
            y = F.pixel_shuffle(ins[0][0], cast(int, work.args[1]))
        elif work.target in _MOVES:
            y = work.target(ins[0][0], *work.args[1:])
        elif work.target == aten.avg_pool2d.default:
            y = round_half_away(work.target(ins[0][0], *work.args[1:]))
        elif work.target == aten.matmul.default:
            y = matmul(*ins[0], *ins[1], out)
        elif work.target in TO_FRACTIONS:
            y = fractions(work.target, *ins[0], work.args[1:], out)
        else:
            assert work.target == aten.slice.Tensor, work.target
            y = ins[0][0].narrow(work.args[1], work.args[2], work.args[3] - work.args[2])  # type: ignore[arg-type,operator]
        return y.clamp(low, high)

    def _cat(self, node: Node, values: Mapping[Node, Tensor]) -> Tensor:
        parts, dim = node.args
        out = self.ranges[node]

        def part(item: Node) -> Tensor:
            if item in values:
                return values[item]
            return (self.traced.constants[item]().double() / out.scale).round() + out.zero_point

        return torch.cat([part(item) for item in parts], dim)  # type: ignore[union-attr,arg-type]


def out_limits(activation: Any, out: Range) -> tuple[int, int]:
    """The smallest and the largest quantized value after an activation."""
    low, high = LOWEST, HIGHEST
    if activation in (aten.relu.default, aten.relu6.default):
        low = out.zero_point
    if activation == aten.relu6.default:
        high = min(high, out.zero_point + round(6 / out.scale))
    return low, high


def conv(x: Tensor, given: Range, constants: list[Any], out: Range) -> Tensor:
    """A convolution: 32-bit sums, scaled per channel in float32, halves to even."""
    weight, bias, *rest = constants
    exact = weight_scale(weight.double())
    whole, scale = round_half_away(weight.double() / exact), exact.float().flatten()
    bias = torch.zeros(len(weight)) if bias is None else bias
    step = _f32(given.scale) * scale
    sums = convolve(
        x - given.zero_point, whole, round_half_away(bias.double() / step.double()), *rest
    )
    factor = step / _f32(out.scale)
    return _scaled(sums, factor.view(1, -1, 1, 1), out)


def add(a: Tensor, a_range: Range, b: Tensor, b_range: Range, out: Range) -> Tensor:
    """A sum: fixed point with 21 significant bits, halves up."""
    factors = [_f32(r.scale) / _f32(out.scale) for r in (a_range, b_range)]
    _, exponent = math.frexp(max(float(f) for f in factors))
    shift = 20 - (exponent - 1)
    m, n = (round(math.ldexp(float(f), shift)) for f in factors)
    total: Tensor = (a - a_range.zero_point) * m + (b - b_range.zero_point) * n
    return ((total + 2.0 ** (shift - 1)) / 2.0**shift).floor() + out.zero_point


def mul(ins: list[tuple[Tensor, Range]], number: Any, out: Range) -> Tensor:
    """A product of two tensors, or of one with a positive number, which 255 steps stand for."""
    if len(ins) == 1:
        other = _f32(number) / _f32(255)
        ins = [*ins, (torch.tensor(255.0 - 128), Range(float(other), LOWEST))]
    (a, a_range), (b, b_range) = ins
    product = (a - a_range.zero_point) * (b - b_range.zero_point)
    return _scaled(product, _f32(a_range.scale) * _f32(b_range.scale) / _f32(out.scale), out)


def matmul(a: Tensor, a_range: Range, b: Tensor, b_range: Range, out: Range) -> Tensor:
    """A product of matrices: 32-bit sums, scaled in float32."""
    sums = (a - a_range.zero_point) @ (b - b_range.zero_point)
    return _scaled(sums, _f32(a_range.scale) * _f32(b_range.scale) / _f32(out.scale), out)


def fractions(function: Any, x: Tensor, given: Range, rest: Any, out: Range) -> Tensor:
    """Softmax or sigmoid, exact and then rounded; TFLite's tables are within a step of it."""
    exact = function((x - given.zero_point) * given.scale, *rest)
    return cast(Tensor, (exact / out.scale).round() + out.zero_point)


def mean(x: Tensor, given: Range, out: Range) -> Tensor:
    """The mean of a map: a 32-bit sum, scaled in float32."""
    count = x.shape[2] * x.shape[3]
    sums = (x - given.zero_point).sum((2, 3), keepdim=True)
    return _scaled(sums, _f32(given.scale) / _f32(out.scale) / count, out)


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, half-pixel centres, with 11-bit weights an axis; halves up."""
    (top, bottom, down), (left, right, across) = (
        _neighbours(n, m) for n, m in zip(x.shape[2:], size, strict=True)
    )
    rows = [x[:, :, index] for index in (top, bottom)]
    upper, lower = (
        row[..., left] * 2048 + (row[..., right] - row[..., left]) * across for row in rows
    )
    mixed = upper * 2048 + (lower - upper) * down.view(-1, 1)
    result: Tensor = ((mixed + 2**21) / 2**22).floor()
    return result


def _neighbours(given: int, wanted: int) -> tuple[Tensor, Tensor, Tensor]:
    centre = (torch.arange(wanted).float() + 0.5) * (_f32(given) / _f32(wanted)) - 0.5
    centre = centre.clamp(0, given - 1)
    first = centre.floor().long()
    weight = ((centre - first) * 2048).round().double()
    return first, (first + 1).clamp_max(given - 1), weight


def round_half_away(x: Tensor) -> Tensor:
    """Rounded to integers, halves away from 0."""
    return x.sign() * (x.abs() + 0.5).floor()


def _scaled(sums: Tensor, factor: Tensor, out: Range) -> Tensor:
    return (sums.float() * factor).round().double() + out.zero_point


def _f32(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float32)


class Int8Net(Predictor):
    """An `IntegerNet` in a `DepthNet`'s place: normalised RGB in, encoded depth out.

    Args:
        trunk: The network as it is when this is called, and its graph.
        ranges: Ranges by the names of `QuantizedTensors`.
    """

    def __init__(self, trunk: Trunk, ranges: Mapping[str, Range]) -> None:
        super().__init__()
        self.config = trunk.network.config
        self.net = IntegerNet(trunk, ranges)

    def forward(self, x: Tensor, bordered: bool = False) -> Tensor:
        """Nx3xHxW normalised RGB -> Nx1xhxw encoded depth; `bordered` as in `DepthNet`."""
        # The graph makes the border itself.
        x = without_border(x, self.config.border, 1) if bordered else x
        std, mean = (torch.tensor(v).view(1, 3, 1, 1) for v in (self.config.std, self.config.mean))
        pixels = ((x.cpu() * std + mean) * 255).round().clamp(0, 255)
        whole = torch.cat([self.net.run(image[None]) for image in pixels])
        out = self.net.output_range
        return ((whole - out.zero_point) * out.scale).float()

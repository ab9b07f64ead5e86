"""A depth network as its int8 file will run it, in float32, with gradients.

Quantization and training with it: Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 3. Learned scales: Esser et al.,
"Learned Step Size Quantization", ICLR 2020, equations 1 to 3, here of log2(scale), so that a step
of the optimizer changes small and large scales alike (Jain et al., MLSys 2020, section 4.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.fx.node import map_arg
from torch.nn import functional as F

from ghostdepth_train.quantization.quantized_tensors import Trunk
from ghostdepth_train.quantization.ranges import HIGHEST, LOWEST, SCALE_BITS, Range

aten = torch.ops.aten
WEIGHT_MAX = 127
Watch = Callable[[str, Tensor], None]


class Scales(nn.Module):
    """The ranges of activations, with scales that learn and zero points that stay.

    Args:
        ranges: Ranges by the names of `QuantizedTensors`.
    """

    def __init__(self, ranges: Mapping[str, Range]) -> None:
        super().__init__()
        self.names = list(ranges)
        logs = [math.log2(range_.scale) for range_ in ranges.values()]
        self.log_scales = nn.ParameterList(nn.Parameter(torch.tensor([log])) for log in logs)
        self.zero_points: Tensor
        points = torch.tensor([range_.zero_point for range_ in ranges.values()])
        self.register_buffer("zero_points", points)
        self._index = {name: i for i, name in enumerate(self.names)}

    def scale(self, name: str) -> Tensor:
        """One scale, rounded as a `Range` has it; the gradient passes the rounding."""
        scale = torch.exp2(self.log_scales[self._index[name]])
        _, exponent = torch.frexp(scale.detach())
        unit = torch.ldexp(torch.ones_like(scale), exponent - SCALE_BITS)
        return scale + ((scale / unit).round() * unit - scale).detach()

    def quantize(self, x: Tensor, name: str) -> Tensor:
        """Rounds and clips to the 256 numbers of a range."""
        zero_point = self.zero_points[self._index[name]]
        # Esser et al., section 2.2: keeps the scale's steps in proportion to the weights'.
        factor = 1 / math.sqrt(x.numel() / x.shape[0] * HIGHEST)
        return torch._fake_quantize_learnable_per_tensor_affine(
            x, self.scale(name), zero_point.view(1).float(), LOWEST, HIGHEST, factor
        )

    @torch.no_grad()
    def ranges(self) -> dict[str, Range]:
        """The ranges as they are now."""
        points = self.zero_points.tolist()
        return {n: Range(float(self.scale(n)), p) for n, p in zip(self.names, points, strict=True)}


class SimulatedNet(nn.Module):
    """Runs a network's simplified graph, with weights and activations rounded to 8 bits.

    It has no parameters of its own: it looks the network's up, whose batch norms it folds with
    their statistics as they are.

    Args:
        trunk: The network and its graph.
        scales: Ranges of the activations; None leaves activations and weights as they are.
        watch: Called with the name and value of each quantized tensor, before it is rounded.

    Attributes:
        traced: The graph.
        quantized: Quantized tensors of the network.
    """

    def __init__(
        self, trunk: Trunk, scales: Scales | None = None, watch: Watch | None = None
    ) -> None:
        super().__init__()
        config = trunk.network.config
        self.traced, self.quantized = trunk.traced, trunk.quantized
        # Not as submodules: their trainer owns the parameters.
        self._scales = [scales]
        self.watch = watch
        mean = torch.tensor(config.mean).view(1, 3, 1, 1)
        std = torch.tensor(config.std).view(1, 3, 1, 1)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Nx3xHxW normalised RGB -> Nx1xhxw encoded depth, as `DepthNet`."""
        return self.run((x * self.std + self.mean) * 255)

    def run(self, image: Tensor) -> Tensor:
        """Nx3xHxW RGB 0..255 -> Nx1xhxw encoded depth."""
        values: dict[Node, Any] = {n: c() for n, c in self.traced.constants.items()}
        values[self.traced.input] = self._rounded(self.traced.input, image)
        for node in self.traced.graph.nodes:
            if node.op != "call_function":
                continue
            args = map_arg(node.args, values.__getitem__)
            kwargs = map_arg(node.kwargs, values.__getitem__)
            values[node] = self._rounded(node, self._call(node, args, kwargs))
        return cast(Tensor, values[self.traced.output])

    def convolved(self, node: Node, y: Tensor) -> Tensor:
        """Hook on the output `y` of a convolution, for subclasses; gives what its readers get."""
        return y

    def _call(self, node: Node, args: Any, kwargs: Any) -> Tensor:
        if node.target == aten.conv2d.default:
            x, weight, *rest = args
            if self._scales[0] is not None:
                weight = quantize_weight(weight)
            return self.convolved(node, convolve(x, weight, *rest))
        if node.target == aten.cat.default:
            parts, dim = args
            batch = max(part.shape[0] for part in parts)
            return torch.cat([part.expand(batch, -1, -1, -1) for part in parts], dim)
        return cast(Tensor, node.target(*args, **kwargs))  # type: ignore[operator]

    def _rounded(self, node: Node, x: Tensor) -> Tensor:
        scales = self._scales[0]
        if (given := self.quantized.fixed.get(node)) is not None:
            return x if scales is None else round_to(x, given)
        name = self.quantized.names.get(node)
        if name is None:
            return x
        if self.watch is not None:
            self.watch(name, x)
        return x if scales is None else scales.quantize(x, name)


def round_to(x: Tensor, given: Range) -> Tensor:
    """Rounds and clips to the numbers of a range that does not learn; the gradient passes."""
    rounded = ((x.detach() / given.scale).round() * given.scale).clamp(given.low, given.high)
    return x + (rounded - x.detach())


def weight_scale(weight: Tensor) -> Tensor:
    """The scale of each output channel of OxIxKxK weights, Ox1x1x1."""
    return (weight.abs().amax((1, 2, 3), keepdim=True) / WEIGHT_MAX).clamp_min(1e-30)


def quantize_weight(weight: Tensor) -> Tensor:
    """Rounds OxIxKxK weights to 255 numbers a channel; the gradient passes the rounding."""
    scale = weight_scale(weight.detach())
    rounded = (weight.detach() / scale).round() * scale
    return weight + (rounded - weight.detach())


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = (1, 1),
    padding: Any = (0, 0),
    dilation: Any = (1, 1),
    groups: int = 1,
) -> Tensor:
    """A convolution whose padding may be four numbers: top, bottom, left, right."""
    if len(padding) == 4:
        top, bottom, left, right = padding
        x, padding = F.pad(x, (left, right, top, bottom)), (0, 0)
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)

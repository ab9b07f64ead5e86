"""Each op of the table against torch, through a .tflite file that is really run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_export.convert.aten import LOWERINGS
from ghostdepth_export.convert.lowering import lower
from ghostdepth_export.convert.tensorflow_quietly import tf
from ghostdepth_export.convert.tflite import convert
from ghostdepth_train.models.attention import LinearAttention, SoftmaxAttention
from ghostdepth_train.models.ghostnet import GhostModule, SameConv2d, SqueezeExcite
from ghostdepth_train.quantization.tracing import trace
from torch import nn
from torch.nn import functional as F

from tests.export.conftest import op_names, run_tflite


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module, **buffers: Any) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)
        for name, value in buffers.items():
            self.register_buffer(name, value)

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x, *self.parts, *self.buffers(recurse=False))


def channels(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)


def two_users(x: torch.Tensor, conv: nn.Module, norm: nn.Module) -> torch.Tensor:
    y = conv(x)
    return norm(y) + y


def normalise(x: torch.Tensor, conv: nn.Module, scale: Any, shift: Any) -> Any:
    return conv(x * scale + shift)


SHAPE = (1, 4, 5, 7)
# How a module is made; with the shape of its input, where that is another.
Make = Callable[[], nn.Module]
CASES: dict[str, Make | tuple[Make, tuple[int, ...]]] = {
    "add a number": lambda: Apply(lambda x: x + 3),
    "add a constant": (lambda: Apply(lambda x, c: x + c, c=channels(1, 2, 3)), (1, 3, 5, 7)),
    "add two": lambda: Apply(lambda x, a, b: a(x) + b(x), *_convs(2)),
    "subtract two": lambda: Apply(lambda x, a, b: a(x) - b(x), *_convs(2)),
    "multiply by a number": lambda: Apply(lambda x: x * (1 / 6)),
    "multiply by a constant": (lambda: Apply(lambda x, c: x * c, c=channels(1, 2)), (1, 2, 5, 7)),
    "multiply by a gate": (lambda: SqueezeExcite(8, 4), (1, 8, 5, 7)),
    "mean": lambda: Apply(lambda x: x.mean((2, 3), keepdim=True)),
    "mean, negative dimensions": lambda: Apply(lambda x: x.mean((-2,), keepdim=True)),
    "cat": lambda: Apply(lambda x, a, b: torch.cat([a(x), b(x)], 1), *_convs(2)),
    "cat along a row": lambda: Apply(lambda x: torch.cat([x, x], -1)),
    "slice": (lambda: GhostModule(6, 7, relu=True), (1, 6, 5, 7)),
    "flip": lambda: Apply(lambda x: x.flip(2)),
    "flip along a row and a column": lambda: Apply(lambda x: x.flip(2, -1)),
    "relu": nn.ReLU,
    "relu6": lambda: Apply(lambda x: F.relu6(x * 9)),
    "relu6 module": lambda: Apply(lambda x, limit: limit(x * 9), nn.ReLU6()),
    "relu6 in place": lambda: nn.Sequential(nn.Conv2d(4, 6, 1), nn.ReLU6(True)),
    "tanh": nn.Tanh,
    "hardtanh": lambda: nn.Hardtanh(-0.5, 0.7),
    "clamp": lambda: Apply(lambda x: x.clamp(-0.5, 0.7)),
    "clamp far from 0": lambda: Apply(lambda x: (x + 40).clamp(39.5, 40.7)),
    "clamp from below": lambda: Apply(lambda x: x.clamp(min=-0.5)),
    "clamp from above": lambda: Apply(lambda x: x.clamp(max=0.5)),
    "conv and clamp above 0": lambda: Apply(
        lambda x, c: c(x).clamp(0.1, 3), nn.Conv2d(4, 1, 3, padding=1)
    ),
    "exp": (lambda: Apply(torch.exp), (1, 1, 5, 7)),
    "reciprocal": (lambda: Apply(lambda x: 1 / (x.clamp(0.1, 3))), (1, 1, 5, 7)),
    "resize up": lambda: Apply(lambda x: _resize(x, (9, 16))),
    "resize down": (lambda: Apply(lambda x: _resize(x, (5, 6))), (1, 4, 16, 23)),
    "resize one channel": (lambda: Apply(lambda x: _resize(x, (13, 11))), (1, 1, 5, 7)),
    "resize unevenly": (lambda: Apply(lambda x: _resize(x, (15, 20))), (1, 4, 8, 10)),
    "pad": lambda: Apply(lambda x: F.pad(x, (1, 2, 0, 3))),
    "pad with a value": lambda: Apply(lambda x: F.pad(x, (1, 0, 2, 0), value=1.5)),
    "conv 1x1": lambda: nn.Conv2d(4, 6, 1),
    "conv 1x1 without bias": lambda: nn.Conv2d(4, 6, 1, bias=False),
    "conv 3x3": lambda: nn.Conv2d(4, 6, 3, padding=1),
    "conv to one channel in blocks": (lambda: nn.Conv2d(4, 1, 3, padding=1), (1, 4, 8, 12)),
    "conv to one channel in blocks, rows and columns of their own": (
        lambda: nn.Conv2d(4, 1, (5, 3), padding=(2, 1), bias=False),
        (1, 4, 12, 8),
    ),
    "conv to one channel, no whole blocks": (
        lambda: nn.Conv2d(4, 1, 3, padding=1),
        (1, 4, 8, 10),
    ),
    "conv to few channels in blocks": (lambda: nn.Conv2d(4, 3, 3, padding=1), (1, 4, 6, 10)),
    "sub-pixel conv": (
        lambda: nn.Sequential(nn.Conv2d(6, 4, 3, padding=1), nn.PixelShuffle(2)),
        (1, 6, 4, 10),
    ),
    "conv 3x3 valid": lambda: nn.Conv2d(4, 6, 3),
    "conv with rows and columns of their own": (
        lambda: nn.Conv2d(4, 6, (3, 5), padding=(1, 2)),
        (1, 4, 6, 9),
    ),
    "conv stride 2 same, even": (lambda: SameConv2d(4, 6, 3, 2), (1, 4, 8, 10)),
    "conv stride 2 same, odd": (lambda: SameConv2d(4, 6, 3, 2), (1, 4, 7, 9)),
    "conv stride 2 same, odd rows only": (lambda: SameConv2d(4, 6, 5, 2), (1, 4, 7, 10)),
    "conv stride 2 symmetric, even": (lambda: nn.Conv2d(4, 6, 3, 2, 1), (1, 4, 8, 10)),
    "conv stride 2 symmetric, odd": (lambda: nn.Conv2d(4, 6, 3, 2, 1), (1, 4, 7, 9)),
    "conv with a wide padding": (lambda: nn.Conv2d(4, 6, 1, padding=2), (1, 4, 7, 9)),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4),
    "depthwise, two each": lambda: nn.Conv2d(4, 8, 3, padding=1, groups=4),
    "depthwise stride 2 same": (lambda: SameConv2d(4, 4, 5, 2, groups=4), (1, 4, 8, 9)),
    "depthwise stride 2 symmetric": (lambda: nn.Conv2d(4, 4, 5, 2, 2, groups=4), (1, 4, 8, 10)),
    "pad not before a conv alone": lambda: Apply(
        lambda x, c: _both(F.pad(x, (1, 1, 1, 1)), c), nn.Conv2d(4, 4, 3, padding=1)
    ),
    "conv and batch norm": lambda: nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6)),
    "depthwise and batch norm": lambda: nn.Sequential(
        nn.Conv2d(4, 8, 3, groups=4, bias=False), nn.BatchNorm2d(8)
    ),
    "batch norm alone": lambda: nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()),
    "batch norm without weights": lambda: nn.BatchNorm2d(4, affine=False),
    "batch norm of a shared conv": lambda: Apply(two_users, nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)),
    "normalisation and conv": (
        lambda: Apply(
            normalise, SameConv2d(3, 6, 3, 2), scale=channels(0.5, 2, 4), shift=channels(-1, 2, 3)
        ),
        (1, 3, 8, 10),
    ),
    "softmax attention": lambda: Apply(_attend, *_convs(3), SoftmaxAttention(2)),
    "softmax attention with one head": lambda: Apply(_attend, *_convs(3), SoftmaxAttention(1)),
    "linear attention": lambda: Apply(_attend, *_convs(3), LinearAttention(2)),
    "gate of DFC attention": (lambda: GhostModule(4, 6, relu=True, dfc=True), (1, 4, 6, 9)),
    "gate of DFC attention, one row": (
        lambda: GhostModule(4, 7, relu=True, dfc=True),
        (1, 4, 1, 5),
    ),
    "normalisation by 0 and conv": (
        lambda: Apply(
            normalise, SameConv2d(2, 6, 3, 2), scale=channels(0, 2), shift=channels(-1, 2)
        ),
        (1, 2, 8, 10),
    ),
}


def _convs(count: int) -> list[nn.Module]:
    return [nn.Conv2d(4, 4, 1) for _ in range(count)]


def _attend(x: torch.Tensor, *parts: nn.Module) -> Any:
    *projections, core = parts
    return core(*(projection(x) for projection in projections))


def _resize(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def _both(x: torch.Tensor, conv: nn.Module) -> torch.Tensor:
    return conv(x) + x


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    case = CASES[name]
    make, shape = case if isinstance(case, tuple) else (case, SHAPE)
    torch.manual_seed(0)
    module = make()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 2)
    return module.eval(), torch.randn(shape)


@pytest.mark.parametrize("name", CASES)
def test_an_op_gives_what_torch_gives(name: str) -> None:
    module, x = build(name)
    with torch.no_grad():
        want = module(x).permute(0, 2, 3, 1).numpy()
    got = run_tflite(convert(lower(module, tuple(x.shape))), x.permute(0, 2, 3, 1).numpy().copy())
    # The last op of one channel leaves 1xHx1xW.
    np.testing.assert_allclose(got.reshape(want.shape), want, rtol=1e-5, atol=2e-6)


def test_every_op_of_the_table_has_a_case() -> None:
    covered = set()
    for name in CASES:
        module, x = build(name)
        graph = trace(module, tuple(x.shape)).graph
        covered |= {node.target for node in graph.nodes if node.op == "call_function"}
    assert covered == set(LOWERINGS)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (nn.GELU(), "aten.gelu.default"),
        (Apply(torch.erf), "aten.erf.default"),
        (Apply(lambda x: x.permute(0, 1, 3, 2)), "aten.permute.default"),
        (nn.Conv2d(4, 4, 1, groups=2), "aten.conv2d with 2 groups"),
        (nn.Conv2d(4, 4, 3, dilation=2), "aten.conv2d with dilation [2, 2]"),
        (nn.Conv2d(4, 4, 1, stride=(1, 2)), "stride [1, 2]"),
        (nn.UpsamplingBilinear2d(size=(9, 9)), "aten.upsample_bilinear2d"),
        (nn.ReflectionPad2d(1), "aten.pad with mode reflect"),
        (Apply(lambda x: x.mean((2, 3))), "aten.mean"),
        (Apply(lambda x: x.reshape(-1, 8, 3, 6)), "aten.reshape of [1, 4, 6, 6] to [-1, 8, 3, 6]"),
        (Apply(lambda x: x.transpose(2, 3)), "aten.transpose of dimensions 2 and 3 of 4"),
        (Apply(lambda x: x @ x), "aten.matmul of 4 and 4 dimensions"),
        (nn.Softmax(2), "aten.softmax over dimension 2"),
        (nn.AvgPool2d(3, 2), "aten.avg_pool2d has a lowering only for 2x2"),
        (nn.Upsample(scale_factor=2.0), "aten.upsample_nearest2d"),
    ],
)
def test_an_op_without_a_lowering_names_itself(module: nn.Module, name: str) -> None:
    with pytest.raises(UserError) as caught:
        lower(module, (1, 4, 6, 6))
    assert name in str(caught.value)


@pytest.mark.parametrize("size", [(8, 10), (7, 9), (8, 9)])
@pytest.mark.parametrize("kernel", [3, 5])
def test_same_padding_needs_no_pad_op(size: tuple[int, int], kernel: int) -> None:
    data = convert(lower(SameConv2d(4, 4, kernel, 2, groups=4), (1, 4, *size)))
    assert op_names(data) == ["DEPTHWISE_CONV_2D"]


def test_symmetric_padding_that_is_not_same_becomes_one_pad() -> None:
    assert op_names(convert(lower(nn.Conv2d(4, 4, 3, 2, 1), (1, 4, 8, 10)))) == ["PAD", "CONV_2D"]


def test_symmetric_padding_that_is_same_needs_no_pad() -> None:
    assert op_names(convert(lower(nn.Conv2d(4, 4, 3, 2, 1), (1, 4, 7, 9)))) == ["CONV_2D"]


@pytest.mark.parametrize(
    ("channels_out", "columns", "names"),
    [
        (1, 12, ["CONV_2D", "DEPTH_TO_SPACE"]),
        (1, 10, ["CONV_2D"]),  # no whole number of blocks
        (4, 10, ["CONV_2D", "DEPTH_TO_SPACE"]),
        (5, 12, ["CONV_2D"]),
    ],
)
def test_a_convolution_to_few_channels_runs_in_blocks(
    channels_out: int, columns: int, names: list[str]
) -> None:
    module = nn.Conv2d(4, channels_out, 3, padding=1)
    assert op_names(convert(lower(module, (1, 4, 8, columns)))) == names


def test_pixels_of_several_channels_are_refused() -> None:
    with pytest.raises(UserError, match="pixel_shuffle of 8 channels by 2 has no lowering"):
        lower(Apply(lambda x: F.pixel_shuffle(x, 2)), (1, 8, 4, 5))


def test_both_limits_need_no_minimum_and_no_maximum() -> None:
    data = convert(lower(Apply(lambda x: x.clamp(-0.5, 0.7)), (1, 4, 5, 7)))
    assert op_names(data) == ["MUL", "ADD", "MUL", "ADD"]


def test_conv_batch_norm_and_relu_become_one_op() -> None:
    module = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
    assert op_names(convert(lower(module, (1, 4, 5, 7)))) == ["CONV_2D"]


@pytest.mark.parametrize(
    ("conv", "edges"),
    [
        (SameConv2d(3, 6, 3, 2), 2),  # below and on the right
        (nn.Conv2d(3, 6, 3, 2, 1), 2),  # all around
        (nn.Conv2d(3, 6, 1), 0),
    ],
)
def test_the_normalisation_goes_into_the_convolution(conv: nn.Module, edges: int) -> None:
    module = Apply(normalise, conv, scale=channels(0.5, 2, 4), shift=channels(-1, 2, 3))
    x = torch.randn(1, 3, 8, 10)
    data = convert(lower(module, tuple(x.shape)))
    assert op_names(data) == ["CONCATENATION"] * edges + ["CONV_2D"]
    with torch.no_grad():
        want = module.eval()(x).permute(0, 2, 3, 1).numpy()
    got = run_tflite(data, x.permute(0, 2, 3, 1).numpy().copy())
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_one_channel_is_upsampled_to_the_same_numbers_axis_by_axis() -> None:
    x = np.random.default_rng(0).uniform(0.3, 12, (1, 8, 10, 1)).astype(np.float32)
    data = convert(lower(Apply(lambda x: _resize(x, (60, 80))), (1, 1, 8, 10)))
    assert op_names(data) == ["TRANSPOSE", "RESIZE_BILINEAR"] * 2
    want = tf.raw_ops.ResizeBilinear(images=x, size=(60, 80), half_pixel_centers=True)
    np.testing.assert_allclose(run_tflite(data, x).reshape(want.shape), want, rtol=1e-6)


def test_permutations_at_both_ends_leave_no_op() -> None:
    module = Apply(lambda x: F.relu(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
    assert op_names(convert(lower(module, (1, 5, 7, 3)))) == ["RELU"]

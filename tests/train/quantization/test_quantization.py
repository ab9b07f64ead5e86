"""The simulated int8 network, in floating point and in integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.models.network import CameraTrunk, DepthNet
from ghostdepth_train.quantization import (
    Range,
    Trunk,
    find_quantized_tensors,
    read_ranges,
    write_ranges,
)
from ghostdepth_train.quantization.fake_quantization import Scales, SimulatedNet, quantize_weight
from ghostdepth_train.quantization.integer_simulation import IntegerNet, add, upsample
from ghostdepth_train.quantization.tracing import trace
from torch import Tensor, nn
from torch.nn import functional as F

from tests.train.quantization.conftest import exact


def test_without_ranges_the_simulation_is_the_network(
    network: DepthNet, trunk: Trunk, pictures: Tensor
) -> None:
    with torch.no_grad():
        got = SimulatedNet(trunk).run(pictures)
    torch.testing.assert_close(got, exact(network, pictures), rtol=1e-4, atol=1e-5)


def test_float_and_integer_simulation_differ_as_two_roundings_do(
    network: DepthNet, trunk: Trunk, pictures: Tensor, ranges: dict[str, Range]
) -> None:
    integer = IntegerNet(trunk, ranges)
    out, want = integer.output_range, exact(network, pictures)
    with torch.no_grad():
        fake = SimulatedNet(trunk, Scales(ranges)).run(pictures)
    steps = torch.cat([integer.run(picture[None]) for picture in pictures])
    got = (steps - out.zero_point) * out.scale
    # One rounding that falls the other way makes others do so, layer after layer: in the end the
    # two have nothing in common but what is rounded.
    noise = (got - want).square().mean()
    assert (got - fake).square().mean() < 2.5 * noise
    assert noise < 0.1 * want.var()


def test_float_and_integer_simulation_agree_on_one_layer(
    trunk: Trunk, pictures: Tensor, ranges: dict[str, Range]
) -> None:
    integer, kept = IntegerNet(trunk, ranges), dict[str, Tensor]()
    integer.run(pictures[:1], kept)
    name = trunk.quantized.range_names()[0]
    seen: list[Tensor] = []
    watch = SimulatedNet(trunk, Scales(ranges), lambda n, x: seen.append(x) if n == name else None)
    with torch.no_grad():
        watch.run(pictures[:1])
    out = ranges[name]
    error = (seen[0] / out.scale).round().clamp(0, 255) - 128 - kept[name]
    assert (error != 0).double().mean() < 5e-3
    assert error.abs().max() <= 1


def test_every_weight_and_scale_gets_a_gradient(
    network: DepthNet, trunk: Trunk, pictures: Tensor, ranges: dict[str, Range]
) -> None:
    scales = Scales(ranges)
    SimulatedNet(trunk, scales).run(pictures).square().mean().backward()
    trained = [p for name, p in network.named_parameters() if p.ndim > 1 or "bias" in name]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in scales.parameters())
    assert sum(bool(p.grad.any()) for p in scales.parameters()) > 0.9 * len(ranges)


def test_scales_start_at_their_ranges_and_stay_readable(ranges: dict[str, Range]) -> None:
    scales = Scales(ranges)
    assert scales.ranges() == ranges
    with torch.no_grad():
        for parameter in scales.parameters():
            parameter.add_(0.1234)
    read_ranges(write_ranges(scales.ranges()), ranges.keys(), "x")


def test_a_learned_scale_has_the_gradient_of_the_paper() -> None:
    # Esser et al., equation 3: -x/s + round(x/s) inside, the clipped level outside; here times
    # d scale / d log2 scale.
    scales = Scales({"a": Range(0.25, 0)})
    x = torch.tensor([[0.3, -1.1, 99.0, -99.0]])
    factor = 1 / np.sqrt(4 * 127)
    scales.quantize(x, "a").sum().backward()
    inside = sum(round(v / 0.25) - v / 0.25 for v in (0.3, -1.1))
    want = (inside + 127 - 128) * factor * 0.25 * np.log(2)
    assert float(scales.log_scales[0].grad) == pytest.approx(want, rel=1e-4)


def test_weights_are_rounded_per_channel_and_zero_stays() -> None:
    weight = torch.randn(4, 3, 3, 3) * torch.tensor([0.01, 1, 30, 0]).view(4, 1, 1, 1)
    got = quantize_weight(weight)
    step = weight.abs().amax((1, 2, 3)) / 127
    assert ((got - weight).abs().amax((1, 2, 3)) <= step * 0.501).all()
    assert (got[3] == 0).all()


def test_names_do_not_depend_on_the_camera(network: DepthNet, trunk: Trunk) -> None:
    own = trunk.quantized.range_names()
    other = trace(CameraTrunk(network), (1, 97, 131, 3))
    assert find_quantized_tensors(other).range_names() == own


def test_inputs_of_concatenation_and_upsampling_share_the_range_of_the_output(
    network: DepthNet, trunk: Trunk
) -> None:
    traced, quantized = trunk.traced, trunk.quantized
    aten = torch.ops.aten
    for target in (aten.cat.default, aten.upsample_bilinear2d.vec):
        for node in traced.calls(target):
            parts = [n for n in node.all_input_nodes if n in quantized.names]
            assert {quantized.names[n] for n in parts} <= {quantized.names.get(node)}


def test_an_op_without_int8_is_named() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.exp(x)

    with pytest.raises(UserError, match=r"aten\.exp\.default of the network has no int8"):
        find_quantized_tensors(trace(Odd(), (1, 3, 4, 4)))


def test_an_integer_sum_is_the_rounded_sum() -> None:
    a, b = torch.randint(-128, 128, (2, 1, 3, 20, 20), generator=torch.Generator().manual_seed(0))
    ra, rb, out = Range.of(-1, 3), Range.of(-2, 2), Range.of(-3, 5)
    got = add(a.double(), ra, b.double(), rb, out)
    real = ((a - ra.zero_point) * ra.scale + (b - rb.zero_point) * rb.scale) / out.scale
    assert (got - out.zero_point - real).abs().max() <= 0.5001


def test_integer_upsampling_is_the_rounded_upsampling() -> None:
    x = torch.randint(-128, 128, (1, 3, 5, 6), generator=torch.Generator().manual_seed(0)).double()
    want = F.interpolate(x, (10, 11), mode="bilinear", align_corners=False)
    assert (upsample(x, (10, 11)) - want).abs().max() <= 0.6

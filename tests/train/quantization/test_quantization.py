"""The simulated int8 network, its ranges, and what makes them fit."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.config import load_train_config
from ghostdepth_train.models.network import CameraTrunk, DepthNet
from ghostdepth_train.quantization import (
    Range,
    Trunk,
    find_quantized_tensors,
    read_ranges,
    write_ranges,
)
from ghostdepth_train.quantization.equalization import consumers, correct_bias, equalize_layers
from ghostdepth_train.quantization.fake_quantization import Scales, SimulatedNet, quantize_weight
from ghostdepth_train.quantization.integer_simulation import IntegerNet, add, upsample
from ghostdepth_train.quantization.observers import (
    BINS,
    Histogram,
    choose_range,
    collect_histograms,
    mse_range,
)
from ghostdepth_train.quantization.tracing import trace
from torch import Tensor, nn
from torch.nn import functional as F


@pytest.fixture(scope="module")
def traced_once() -> Trunk:
    torch.manual_seed(0)
    net = DepthNet(load_train_config("tiny").network)
    nn.init.normal_(net.head.weight, std=0.05)
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.data.uniform_(0.5, 1.5)
            norm.bias.data.normal_(0, 0.3)
    return Trunk.of(net)


@pytest.fixture
def trunk(traced_once: Trunk) -> Iterator[Trunk]:
    """A random network whose weights a test may change: tracing it takes seconds."""
    before = copy.deepcopy(traced_once.network.state_dict())
    yield traced_once
    traced_once.network.load_state_dict(before)
    traced_once.network.zero_grad()


@pytest.fixture
def network(trunk: Trunk) -> DepthNet:
    return trunk.network


@pytest.fixture
def pictures(network: DepthNet) -> Tensor:
    config = network.config
    coarse = torch.rand(4, 3, 5, 6) * 255
    return F.interpolate(coarse, (config.input_height, config.input_width), mode="bilinear").round()


@pytest.fixture
def ranges(trunk: Trunk, pictures: Tensor) -> dict[str, Range]:
    seen = collect_histograms(trunk, pictures.split(1))
    return {name: choose_range(h, "minmax", 100) for name, h in seen.items()}


def exact(network: DepthNet, pictures: Tensor) -> Tensor:
    with torch.no_grad():
        return CameraTrunk(network)(pictures.permute(0, 2, 3, 1))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.0, 6.0), (0.5, 2.0), (-4, -1), (0, 0)])
def test_a_range_covers_its_ends_and_holds_zero(low: float, high: float) -> None:
    made = Range.of(low, high)
    step = made.scale * (1 + 1e-4)
    assert made.low <= min(low, 0) + step
    assert made.high >= max(high, 0) - step
    assert -128 <= made.zero_point <= 127


@pytest.mark.parametrize("end", [1e-5, 0.3, 2.7182818, 123.456])
def test_the_ends_of_a_range_are_exact_in_float32(end: float) -> None:
    made = Range.of(-end / 3, end)
    assert float(np.float32(made.low)) == made.low
    assert float(np.float32(made.high)) == made.high
    assert (np.float32(made.high) - np.float32(made.low)) / np.float32(255) == made.scale


def test_ranges_survive_json(ranges: dict[str, Range]) -> None:
    text = json.dumps(write_ranges(ranges))
    assert read_ranges(json.loads(text), ranges.keys(), "x") == ranges


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v | {"schema": "other"}, "is not a ghostdepth-ranges/1 file"),
        (lambda v: v | {"activations": {}}, "ranges of another network"),
        (lambda v: v | {"activations": {"a": {"scale": -1.0, "zero_point": 0}}}, "x: a has no"),
        (lambda v: v | {"activations": {"a": {"scale": 1.0, "zero_point": 200}}}, "x: a has no"),
        (lambda v: v | {"activations": {"a": 3}}, "x: a has no"),
        (lambda v: [], "is not a"),
    ],
)
def test_ranges_that_are_wrong_are_named(change, message: str) -> None:  # type: ignore[no-untyped-def]
    value = write_ranges({"a": Range(1.0, 0)})
    with pytest.raises(UserError, match=message):
        read_ranges(change(value), {"a"}, "x")


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


def test_percentile_and_mse_cut_off_an_outlier_and_minmax_does_not() -> None:
    counts = torch.zeros(BINS, dtype=torch.float64)
    counts[: BINS // 4] = 1000
    counts[-1] = 1
    seen = Histogram(0.0, 8.0, counts)
    assert choose_range(seen, "minmax", 99).high == pytest.approx(8, rel=0.01)
    assert choose_range(seen, "percentile", 99.9).high == pytest.approx(2, rel=0.02)
    assert choose_range(seen, "mse", 99).high < 5


def test_the_mse_range_is_the_best_of_those_tried() -> None:
    torch.manual_seed(0)
    x = torch.randn(200_000).double()
    low, high = float(x.min()), float(x.max())
    counts = torch.histc(x.float(), BINS, low, high).double()
    chosen = mse_range(Histogram(low, high, counts))

    def cost(range_: Range) -> float:
        q = ((x / range_.scale).round() + range_.zero_point).clamp(-128, 127)
        return float(((q - range_.zero_point) * range_.scale - x).square().mean())

    assert cost(chosen) <= 1.02 * min(
        cost(Range.of(low * s, high * s)) for s in np.arange(0.3, 1.01, 0.02)
    )


def test_histograms_hold_every_number(network: DepthNet, trunk: Trunk, pictures: Tensor) -> None:
    seen = collect_histograms(trunk, pictures.split(1))
    head = seen[trunk.quantized.range_names()[-1]]
    values = exact(network, pictures)
    assert head.counts.sum() == values.numel()
    assert (head.low, head.high) == (
        pytest.approx(float(values.min()), abs=1e-5),
        pytest.approx(float(values.max()), abs=1e-5),
    )


@pytest.mark.parametrize("se", [True, False])
def test_equalising_keeps_the_function(
    network: DepthNet, trunk: Trunk, pictures: Tensor, se: bool
) -> None:
    config = load_train_config("tiny").network.model_dump()
    for stage in config["encoder"]["stages"]:
        for block in stage:
            block["se"] = block["se"] if se else 0
            # An odd width: the last cheap channel is cut off.
            block["mid"] += 1
    torch.manual_seed(1)
    odd = DepthNet(type(network.config).model_validate(config)).eval()
    nn.init.normal_(odd.head.weight, std=0.05)
    for norm in odd.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.weight.data.uniform_(0.2, 1)
            norm.bias.data.normal_(0, 0.3)
    want, before = exact(odd, pictures), copy.deepcopy(odd.state_dict())
    assert equalize_layers(Trunk.of(odd)) > 10
    assert any(not torch.equal(before[k], v) for k, v in odd.state_dict().items())
    assert (exact(odd, pictures) - want).abs().max() < 1e-3 * want.std()


def test_equalization_brings_weight_ranges_of_a_pair_closer(
    network: DepthNet, trunk: Trunk
) -> None:
    first = network.decoder[0].depthwise
    first[1].weight.data[0] *= 50
    traced = trunk.traced
    conv = next(
        c
        for c in traced.calls(torch.ops.aten.conv2d.default)
        if "0.depthwise.0" in c.meta["tensor"]
    )
    (reader,) = consumers(traced, conv)

    def spread() -> float:
        written = traced.value(conv.args[1]).abs().amax((1, 2, 3))
        read = traced.value(reader.conv.args[1]).abs().amax((0, 2, 3))
        return float((written / read).detach().log().abs().max())

    before = spread()
    equalize_layers(trunk)
    assert spread() < 0.3 * before


def test_a_sum_stops_equalisation(network: DepthNet, trunk: Trunk) -> None:
    traced = trunk.traced
    for conv in traced.calls(torch.ops.aten.conv2d.default):
        if "lateral" in conv.meta["tensor"] or "head" in conv.meta["tensor"]:
            assert consumers(traced, conv) == []


def test_bias_correction_brings_the_means_back(
    network: DepthNet, trunk: Trunk, pictures: Tensor
) -> None:
    # Coarse ranges, so that rounding and clipping shift the means.
    ranges = {
        name: choose_range(h, "percentile", 97)
        for name, h in collect_histograms(trunk, pictures.split(1)).items()
    }
    want = exact(network, pictures).mean()

    def error() -> float:
        with torch.no_grad():
            return float((SimulatedNet(trunk, Scales(ranges)).run(pictures).mean() - want).abs())

    before = error()
    assert correct_bias(trunk, ranges, pictures) > 0
    assert error() < 0.5 * before


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

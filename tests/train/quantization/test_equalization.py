"""Equalized weights and corrected biases."""

from __future__ import annotations

import copy

import pytest
import torch
from ghostdepth_train.config import load_train_config
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.quantization import Trunk
from ghostdepth_train.quantization.equalization import consumers, correct_bias, equalize_layers
from ghostdepth_train.quantization.fake_quantization import Scales, SimulatedNet
from ghostdepth_train.quantization.observers import choose_range, collect_histograms
from torch import Tensor, nn

from tests.train.quantization.conftest import exact


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

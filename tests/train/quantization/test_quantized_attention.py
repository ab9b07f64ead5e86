"""Attention in int8: the simulation that trains, and the one in integers."""

from __future__ import annotations

import pytest
import torch
from ghostdepth_train.models.network import normaliser
from ghostdepth_train.quantization import Range, Trunk
from ghostdepth_train.quantization.fake_quantization import Scales, SimulatedNet
from ghostdepth_train.quantization.integer_simulation import Int8Net
from torch import Tensor

from tests.train.models.attention_network import attention_network, images
from tests.train.quantization.conftest import minmax_ranges


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    return Trunk.of(attention_network())


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return images(2)


@pytest.fixture(scope="module")
def ranges(trunk: Trunk, pictures: Tensor) -> dict[str, Range]:
    return minmax_ranges(trunk, pictures)


@torch.no_grad()
def test_the_graph_is_the_network_for_a_batch(trunk: Trunk, pictures: Tensor) -> None:
    x = normaliser(trunk.network.config)(pictures)
    torch.testing.assert_close(SimulatedNet(trunk)(x), trunk.network(x), rtol=1e-4, atol=1e-5)


def test_softmax_and_sigmoid_have_the_range_that_tflite_gives_them(
    trunk: Trunk, ranges: dict[str, Range]
) -> None:
    fixed = {str(node.target): given for node, given in trunk.quantized.fixed.items()}
    for op in ("aten.softmax.int", "aten.sigmoid.default", "aten.upsample_nearest2d.vec"):
        assert (fixed[op].low, fixed[op].high) == (0, 255 / 256)
    assert not any("softmax" in name or "sigmoid" in name for name in ranges)


def test_training_for_int8_reaches_every_weight(
    trunk: Trunk, ranges: dict[str, Range], pictures: Tensor
) -> None:
    scales = Scales(ranges)
    SimulatedNet(trunk, scales).run(pictures).square().mean().backward()
    kernels = {n: p for n, p in trunk.network.named_parameters() if p.ndim == 4}
    without = [name for name, p in kernels.items() if p.grad is None or not bool(p.grad.any())]
    trunk.network.zero_grad()
    assert not without


@torch.no_grad()
def test_the_integer_network_gives_what_the_simulation_gives(
    trunk: Trunk, ranges: dict[str, Range], pictures: Tensor
) -> None:
    simulated = SimulatedNet(trunk, Scales(ranges)).run(pictures)
    whole = Int8Net(trunk, ranges)(normaliser(trunk.network.config)(pictures))
    error = float((whole - simulated).square().mean() / simulated.var())
    assert error < 0.05  # A rounding the other way is noise in all that follows.

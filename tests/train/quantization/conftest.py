"""A network with random weights and statistics, traced once."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from ghostdepth_train.config import load_train_config
from ghostdepth_train.models.network import CameraTrunk, DepthNet
from ghostdepth_train.quantization import Range, Trunk
from ghostdepth_train.quantization.observers import choose_range, collect_histograms
from torch import Tensor, nn
from torch.nn import functional as F


@pytest.fixture(scope="session")
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
    return F.interpolate(coarse, config.input_size, mode="bilinear").round()


@pytest.fixture
def ranges(trunk: Trunk, pictures: Tensor) -> dict[str, Range]:
    return minmax_ranges(trunk, pictures)


def minmax_ranges(trunk: Trunk, pictures: Tensor) -> dict[str, Range]:
    seen = collect_histograms(trunk, pictures.split(1))
    return {name: choose_range(h, "minmax", 100) for name, h in seen.items()}


def exact(network: DepthNet, pictures: Tensor) -> Tensor:
    """The output in floating point, as it is exported."""
    with torch.no_grad():
        return CameraTrunk(network)(pictures.permute(0, 2, 3, 1))

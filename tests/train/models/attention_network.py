"""A very small network with every kind of attention, for tests of what treats networks."""

from __future__ import annotations

from typing import Any

import torch
from ghostdepth_train.config import NetworkConfig
from ghostdepth_train.models.network import DepthNet, normaliser
from torch import Tensor, nn
from torch.nn import functional as F


def attention_config(**encoder: Any) -> NetworkConfig:
    """64x96, one block a stage; softmax at stride 16, linear at 32 and in the decoder, DFC."""
    blocks = [
        {"kernel": 3, "mid": 8, "out": 8},
        {"kernel": 3, "mid": 16, "out": 8, "stride": 2},
        {"kernel": 3, "mid": 16, "out": 8, "stride": 2},
        {"kernel": 3, "mid": 24, "out": 16, "stride": 2},
        {"kernel": 5, "mid": 24, "out": 16, "stride": 2, "se": 8, "dfc": True},
        {"kernel": 5, "mid": 32, "out": 16, "dfc": True},
    ]
    heads = {"heads": 2, "head_channels": 4, "feed_forward": 12}
    linear = heads | {"kind": "linear"}
    attention = [heads | {"stride": 16}, linear | {"stride": 32}]
    stages = [[block] for block in blocks]
    decoder = {"widths": [16, 8], "attention": [linear | {"stride": 16, "feed_forward": 0}]}
    return NetworkConfig.model_validate(
        {
            "input_height": 64,
            "input_width": 96,
            "encoder": {"stem": 8, "stages": stages, "attention": attention, **encoder},
            "decoder": decoder,
        }
    )


@torch.no_grad()
def attention_network() -> DepthNet:
    """Random weights, with batch norms that have seen what they normalize, as after training."""
    torch.manual_seed(0)
    network = DepthNet(attention_config())
    nn.init.normal_(network.head.weight, std=0.05)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None  # The mean over all batches.
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.3)
    network(normaliser(network.config)(images(8)))
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_var.clamp_min_(0.1)  # No norm makes noise of an all but dead channel.
    return network.eval()


def images(count: int) -> Tensor:
    """Blobs with noise, which has what a photo has at every scale: Nx3x64x96, 0..255."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 5, 6, generator=generator)
    noise = torch.rand(count, 3, 64, 96, generator=generator) / 4
    blobs = F.interpolate(coarse, (64, 96), mode="bilinear") * 3 / 4
    return ((blobs + noise) * 255).round()

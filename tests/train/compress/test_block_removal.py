"""Block removal: the rest keeps its weights, and the result is a network like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import load_checkpoint, save_checkpoint
from ghostdepth_train.compress.block_removal import DropBlocksConfig, drop_blocks
from ghostdepth_train.config import DecoderConfig, TrainConfig
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.channels import find_axes, prune_channels, remove_channels
from torch import Tensor

from tests.train.making import random_network

# Of `tiny`: blocks that add their result to their input as it is.
RESIDUAL = ("0.0", "2.0", "6.1", "8.3")


@pytest.fixture
def network(tiny_config: TrainConfig) -> DepthNet:
    return random_network(tiny_config.network)


@pytest.fixture
def picture() -> Tensor:
    return torch.randn(2, 3, 64, 96)


@torch.no_grad()
def test_without_blocks_is_as_if_they_added_nothing(network: DepthNet, picture: Tensor) -> None:
    smaller = drop_blocks(network, DropBlocksConfig(blocks=RESIDUAL))
    for name in RESIDUAL:
        block = network.encoder.get_submodule(f"blocks.{name}")
        block.forward = lambda x: x
    torch.testing.assert_close(smaller(picture), network(picture))


@torch.no_grad()
def test_removing_squeeze_and_excitation_is_as_a_scale_of_one(
    network: DepthNet, picture: Tensor
) -> None:
    smaller = drop_blocks(network, DropBlocksConfig(se=False))
    blocks = [block for stage in network.encoder.blocks for block in stage if block.se is not None]
    for block in blocks:
        block.se = None
    assert blocks
    torch.testing.assert_close(smaller(picture), network(picture))


@torch.no_grad()
def test_an_upsampling_head_starts_with_the_old_depth(network: DepthNet, picture: Tensor) -> None:
    larger = drop_blocks(network, DropBlocksConfig(upsample=4))(picture)
    same = network(picture).repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(larger, same)


@torch.no_grad()
def test_the_levels_that_stay_have_their_weights(network: DepthNet, picture: Tensor) -> None:
    smaller = drop_blocks(network, DropBlocksConfig(levels=2, upsample=2))
    seen: dict[DepthNet, Tensor] = {}
    for net in (network, smaller):
        net.decoder[1].register_forward_hook(lambda *args, net=net: seen.update({net: args[2]}))
        net(picture)
    torch.testing.assert_close(seen[smaller], seen[network])
    assert smaller.config.decoder == DecoderConfig(widths=(16, 8), upsample=2)


def test_a_new_head_follows_the_seed(network: DepthNet) -> None:
    config = DropBlocksConfig(levels=1)
    a, b, c = (
        drop_blocks(network, config.model_copy(update={"seed": seed})).head for seed in (0, 0, 1)
    )
    assert torch.equal(a.weight, b.weight) and not torch.equal(a.weight, c.weight)


@torch.no_grad()
def test_a_network_without_blocks_can_be_saved_and_pruned(
    network: DepthNet, picture: Tensor, tmp_path: Path
) -> None:
    config = DropBlocksConfig(levels=2, upsample=2, blocks=("0.0", "6.2"), se=False)
    save_checkpoint(
        tmp_path, drop_blocks(network, config), name="x", training_data="none", metrics={}
    )
    smaller = load_checkpoint(tmp_path).network
    axes = find_axes(smaller)
    keep = {axis.name: [list(range((axis.units + 1) // 2)) for _ in axis.parts] for axis in axes}
    pruned = prune_channels(smaller, axes, keep)
    torch.testing.assert_close(pruned(picture), remove_channels(smaller, axes, keep)(picture))
    assert pruned.config.decoder.upsample == 2


def test_adders_that_stay_keep_their_places(tiny_config: TrainConfig) -> None:
    adders = (
        "encoder.blocks.6.1.ghost1.primary_conv.0",
        "encoder.blocks.6.2.ghost1.primary_conv.0",
    )
    adders += ("decoder.2.pointwise.0",)
    network = DepthNet(tiny_config.network.model_copy(update={"adder": adders}))
    smaller = drop_blocks(network, DropBlocksConfig(levels=2, blocks=("6.1",)))
    assert smaller.config.adder == ("encoder.blocks.6.1.ghost1.primary_conv.0",)
    a = network.get_submodule(adders[1]).weight
    assert torch.equal(a, smaller.get_submodule(smaller.config.adder[0]).weight)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "drop_blocks: nothing would be removed; set levels, upsample, blocks, se"),
        ({"levels": 4}, "drop_blocks: the network has 3 decoder levels, not 4"),
        (
            {"blocks": ("1.0",)},
            r"drop_blocks: block '1.0' cannot be removed; these can: 0.0, 2.0, ",
        ),
        ({"blocks": ("0",)}, "drop_blocks: block '0' cannot be removed"),
    ],
)
def test_a_block_that_cannot_be_removed_is_named(
    network: DepthNet, changes: Any, line: str
) -> None:
    with pytest.raises(UserError, match=line):
        drop_blocks(network, DropBlocksConfig(**changes))

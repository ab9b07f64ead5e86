"""Attention in the networks that pruning and block removal change."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ghostdepth_train.compress.block_removal import DropBlocksConfig, drop_blocks
from ghostdepth_train.compress.prune import PruneConfig, prune
from ghostdepth_train.models.attention import AttentionBlock
from ghostdepth_train.models.ghostnet import GhostModule
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.pruning.budget import total
from ghostdepth_train.pruning.channels import find_axes, prune_channels, remove_channels
from ghostdepth_train.pruning.latency import LatencyBudget, LayerLatency
from ghostdepth_train.pruning.widths import cost_model
from torch import Tensor, nn

from tests.train.making import work
from tests.train.models.attention_network import attention_network


@pytest.fixture
def network() -> DepthNet:
    return attention_network()


@pytest.fixture
def picture() -> Tensor:
    return torch.randn(2, 3, 64, 96)


@torch.no_grad()
def test_pruning_removes_the_same_channels_in_all_that_attention_reads_and_adds_to(
    network: DepthNet, picture: Tensor
) -> None:
    axes = find_axes(network)
    generator = torch.Generator().manual_seed(0)
    keep = {}
    for axis in axes:
        count = max(1, axis.units // 2)
        keep[axis.name] = [
            sorted(torch.randperm(axis.units, generator=generator)[:count].tolist())
            for _ in axis.parts
        ]
    pruned = prune_channels(network, axes, keep)
    attention = pruned.config.encoder.attention  # type: ignore[union-attr]
    assert [block.feed_forward for block in attention] == [6, 6]
    assert [block.heads * block.head_channels for block in attention] == [8, 8]
    torch.testing.assert_close(pruned(picture), remove_channels(network, axes, keep)(picture))


@torch.no_grad()
def test_channels_of_the_feed_forward_part_that_give_nothing_are_no_loss(
    network: DepthNet, picture: Tensor
) -> None:
    norm = network.encoder.attention[0].feed_forward[1]
    norm.weight[5:], norm.bias[5:] = 0, 0
    keep = {"encoder.attention.0.feed_forward": [list(range(5))]}
    pruned = prune_channels(network, find_axes(network), keep)
    torch.testing.assert_close(pruned(picture), network(picture))


def test_the_products_of_attention_cost_macs_but_no_width_changes_them(network: DepthNet) -> None:
    axes = find_axes(network)
    assert cost_model(network, axes, "macs").fixed > 0
    assert cost_model(network, axes, "parameters").fixed == 0


def test_a_budget_in_milliseconds_is_met_with_attention(
    network: DepthNet, data: Path, tmp_path: Path
) -> None:
    def clock(network: DepthNet, budget: LatencyBudget) -> list[LayerLatency]:
        return [
            LayerLatency("ANY", row.name, row.kind != "attention", 0.01 + row.macs / 1e5)
            for row in layer_costs(network)
        ]

    budget = LatencyBudget(ms=1)
    ms = 0.8 * total(clock(network, budget))
    config = PruneConfig(
        budget=LatencyBudget(ms=ms), importance="magnitude", round_to=2, min_channels=2
    )
    pruned, _ = prune(network, config, work(data, tmp_path, predict_latency=clock))
    assert 0.9 * ms <= total(clock(pruned, budget)) <= ms
    assert any(isinstance(module, AttentionBlock) for module in pruned.modules())


@torch.no_grad()
def test_without_attention_is_as_if_it_let_everything_pass(
    network: DepthNet, picture: Tensor
) -> None:
    smaller = drop_blocks(network, DropBlocksConfig(attention=False))
    for module in network.modules():
        if isinstance(module, AttentionBlock):
            module.forward = lambda x: x  # type: ignore[method-assign]
        if isinstance(module, GhostModule):
            module.short_conv = None
    torch.testing.assert_close(smaller(picture), network(picture))
    assert not any(isinstance(m, AttentionBlock) for m in smaller.modules())


@torch.no_grad()
def test_attention_stays_when_other_parts_go(network: DepthNet, picture: Tensor) -> None:
    smaller = drop_blocks(network, DropBlocksConfig(blocks=("5.0",)))
    network.encoder.blocks[5] = nn.Identity()
    torch.testing.assert_close(smaller(picture), network(picture))

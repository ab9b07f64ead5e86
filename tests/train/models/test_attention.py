"""Attention against torch's own, against plain sums, and as a part of networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.config import AttentionConfig, NetworkConfig, load_train_config, parse_config
from ghostdepth_train.models.attention import (
    AttentionBlock,
    LinearAttention,
    SoftmaxAttention,
)
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F


def with_attention(**encoder: Any) -> NetworkConfig:
    """A network with attention at both strides of the encoder and in the decoder."""
    value = load_train_config("tiny").network.model_dump()
    softmax = {"heads": 2, "head_channels": 4, "feed_forward": 12}
    linear = softmax | {"kind": "linear"}
    value["encoder"] |= {
        "attention": [softmax | {"stride": 16}, linear | {"stride": 32}],
        **encoder,
    }
    value["decoder"]["attention"] = [linear | {"stride": 16, "feed_forward": 0}]
    return NetworkConfig.model_validate(value)


def positions(x: Tensor, heads: int) -> Tensor:
    """NxCxHxW -> NxheadsxLxC/heads, as torch has it."""
    return x.unflatten(1, (heads, -1)).flatten(3).transpose(2, 3)


SIZES = st.tuples(*(st.integers(1, n) for n in (3, 4, 5, 6, 7)), st.integers(0, 99))


def maps(size: tuple[int, ...]) -> tuple[int, list[Tensor]]:
    batch, heads, width, height, columns, seed = size
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, heads * width, height, columns)
    return heads, [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3)]


@settings(max_examples=30, deadline=None)
@given(SIZES)
def test_softmax_attention_is_torchs(size: tuple[int, ...]) -> None:
    heads, (q, k, v) = maps(size)
    want = F.scaled_dot_product_attention(*(positions(x, heads) for x in (q, k, v)))
    torch.testing.assert_close(positions(SoftmaxAttention(heads)(q, k, v), heads), want)


@settings(max_examples=30, deadline=None)
@given(SIZES)
def test_linear_attention_is_the_mean_of_values_weighted_by_relu_products(
    size: tuple[int, ...],
) -> None:
    heads, (q, k, v) = maps(size)
    queries, keys, values = (positions(x, heads) for x in (q.relu(), k.relu(), v))
    weights = queries @ keys.transpose(2, 3) / keys.shape[2]  # Each query with each key.
    torch.testing.assert_close(positions(LinearAttention(heads)(q, k, v), heads), weights @ values)


@torch.no_grad()
def test_a_block_is_torchs_multi_head_attention_and_feed_forward() -> None:
    torch.manual_seed(0)
    config = AttentionConfig(stride=16, heads=3, head_channels=4, feed_forward=20)
    block, x = AttentionBlock(12, config).eval(), torch.randn(2, 12, 3, 5)
    for norm in block.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps = 0.0  # With the statistics of a new network: the identity.
    theirs = nn.MultiheadAttention(12, 3, bias=False, batch_first=True)
    parts = (block.query, block.key, block.value)
    theirs.in_proj_weight.copy_(torch.cat([part[0].weight[..., 0, 0] for part in parts]))
    theirs.out_proj.weight.copy_(block.project[0].weight[..., 0, 0])
    first, second = (block.feed_forward[i].weight[..., 0, 0] for i in (0, 3))

    y = (x + block.position[0](x)).flatten(2).transpose(1, 2)
    y = y + theirs(y, y, y, need_weights=False)[0]
    y = y + F.relu(y @ first.T) @ second.T
    torch.testing.assert_close(block(x), y.transpose(1, 2).view_as(x), rtol=1e-5, atol=1e-5)


def test_a_gradient_reaches_every_parameter_of_a_network_with_all_kinds() -> None:
    torch.manual_seed(0)
    network = DepthNet(with_attention(width_multiplier=0.25, dfc=True))
    network(torch.randn(2, 3, 64, 96)).square().mean().backward()
    without = [
        name
        for name, p in network.named_parameters()
        if p.grad is None or not bool(p.grad.abs().sum())
    ]
    assert not without


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (96, 160), (80, 48)])
@torch.no_grad()
def test_any_size_of_the_picture_works(size: tuple[int, int]) -> None:
    network = DepthNet(with_attention(width_multiplier=0.25, dfc=True)).eval()
    depth = network(torch.randn(1, 3, *size))
    assert bool(depth.isfinite().all())


def test_the_products_of_attention_count() -> None:
    rows = {row.name: row for row in layer_costs(DepthNet(with_attention()))}
    found = {name: row.macs for name, row in rows.items() if row.kind == "attention"}
    # 64x96 has 4x6 positions at stride 16 and 2x3 at 32: scores and sums of two heads of 4.
    assert found == {
        "encoder.attention.0.core": 2 * (24 * 24 * 4) * 2,
        "encoder.attention.1.core": 2 * (6 * 4 * 4) * 2,
        "attention.0.core": 2 * (24 * 4 * 4) * 2,
    }


@pytest.mark.parametrize(
    ("where", "block", "message"),
    [
        ("encoder", {"stride": 8}, "stride"),
        ("encoder", {"stride": 16, "heads": 0}, "heads"),
        ("encoder", {"stride": 16, "kind": "cosine"}, "kind"),
        ("decoder", {"stride": 32}, "the decoder begins at stride 16; stride 32 is the encoder's"),
    ],
)
def test_attention_that_cannot_be_is_one_line(
    where: str, block: dict[str, Any], message: str
) -> None:
    value = load_train_config("tiny").network.model_dump()
    value[where]["attention"] = [block]
    with pytest.raises(UserError, match=message) as caught:
        parse_config(NetworkConfig, value, "config")
    assert "\n" not in str(caught.value)

"""Attention for feature maps at stride 16 and 32: softmax, linear, and GhostNetV2's DFC.

- Softmax: scaled dot-product attention with several heads, residual sums and a feed-forward part
  (Vaswani et al., "Attention Is All You Need", NeurIPS 2017, sections 3.2 and 3.3). Batch norm,
  which is folded into the convolution before it, stands for layer norm, inside the residual branch
  as in LeViT (Graham et al., ICCV 2021).
- Linear: ReLU of queries and keys stands for the softmax, so that keys and values are multiplied
  first (Katharopoulos et al., "Transformers are RNNs", ICML 2020). The sum is divided by the number
  of positions, not by a sum of its own, and normalized after the projection (Qin et al., "The Devil
  in Linear Transformer", EMNLP 2022): every op has an int8 kernel in TFLite 2.5.
- DFC: decoupled fully connected attention (Tang et al., "GhostNetV2", NeurIPS 2022), a part of
  ghost modules; parameter names follow timm's `ghostnetv2_*`.

Positions are encoded by a depthwise 3x3 convolution, whose zero padding marks where the borders are
(Chu et al., "Conditional Positional Encodings for Vision Transformers", ICLR 2023): any size works.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostdepth_train.config import AttentionConfig


class AttentionCore(nn.Module):
    """Weightless part of attention: the heads' queries, keys and values to what they attend to.

    Maps are NxCxHxW; the channels of head i are those from i * C / heads on. Inside, a head's map
    is one matrix of channels x positions. The batch's size is never a number in the graph.

    Args:
        heads: Number of heads; it divides the channels.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Three maps of NxCxHxW, float -> NxCxHxW."""
        raise NotImplementedError

    def macs(self, channels: int, height: int, width: int) -> int:
        """Multiply-accumulates of the two matrix products for one picture."""
        raise NotImplementedError

    def _split(self, x: Tensor) -> Tensor:
        """NxCxHxW -> (N heads)x(C / heads)x(H W)."""
        _, channels, height, width = x.shape
        return x.reshape(-1, channels // self.heads, height * width)


class SoftmaxAttention(AttentionCore):
    """softmax(Q K^T / sqrt(d)) V for each head, d = C / heads (Vaswani et al., equation 1)."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Three maps of NxCxHxW, float -> NxCxHxW."""
        scaled = query * (query.shape[1] // self.heads) ** -0.5
        # A column per query: positions of keys x positions of queries.
        weights = (self._split(key).transpose(1, 2) @ self._split(scaled)).softmax(1)
        return (self._split(value) @ weights).reshape(-1, *query.shape[1:])

    def macs(self, channels: int, height: int, width: int) -> int:
        """Multiply-accumulates of the two matrix products for one picture."""
        return 2 * channels * (height * width) ** 2


class LinearAttention(AttentionCore):
    """relu(Q) (relu(K)^T V) / (H W) for each head."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Three maps of NxCxHxW, float -> NxCxHxW."""
        positions = query.shape[2] * query.shape[3]
        context = self._split(value) @ self._split(F.relu(key)).transpose(1, 2)
        context = context * (1 / positions)
        return (context @ self._split(F.relu(query))).reshape(-1, *query.shape[1:])

    def macs(self, channels: int, height: int, width: int) -> int:
        """Multiply-accumulates of the two matrix products for one picture."""
        return 2 * channels * (channels // self.heads) * height * width


CORES: dict[str, type[AttentionCore]] = {"softmax": SoftmaxAttention, "linear": LinearAttention}


def _normed(inp: int, out: int, kernel: int = 1, groups: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(inp, out, kernel, padding=kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(out)]


class AttentionBlock(nn.Module):
    """Position encoding, attention and feed-forward, each added to what it reads.

    Args:
        channels: Channels of the map.
        config: Heads and widths.
    """

    def __init__(self, channels: int, config: AttentionConfig) -> None:
        super().__init__()
        inner, hidden = config.heads * config.head_channels, config.feed_forward
        self.position = nn.Sequential(*_normed(channels, channels, 3, channels))
        self.query = nn.Sequential(*_normed(channels, inner))
        self.key = nn.Sequential(*_normed(channels, inner))
        self.value = nn.Sequential(*_normed(channels, inner))
        self.core = CORES[config.kind](config.heads)
        self.project = nn.Sequential(*_normed(inner, channels))
        self.feed_forward: nn.Module | None = None
        if hidden:
            self.feed_forward = nn.Sequential(
                *_normed(channels, hidden), nn.ReLU(), *_normed(hidden, channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """NxCxHxW -> NxCxHxW, float."""
        x = x + self.position(x)
        x = x + self.project(self.core(self.query(x), self.key(x), self.value(x)))
        return x if self.feed_forward is None else x + self.feed_forward(x)


def dfc_gate(inp: int, out: int) -> nn.Sequential:
    """The layers of DFC attention before the sigmoid, named as timm's `short_conv`."""
    return nn.Sequential(
        *_normed(inp, out),
        nn.Conv2d(out, out, (1, 5), padding=(0, 2), groups=out, bias=False),
        nn.BatchNorm2d(out),
        nn.Conv2d(out, out, (5, 1), padding=(2, 0), groups=out, bias=False),
        nn.BatchNorm2d(out),
    )


def apply_dfc(features: Tensor, x: Tensor, gate: nn.Module) -> Tensor:
    """Scales features by a gate that is computed at half the size (Tang et al., section 3.2).

    Args:
        features: NxC'xHxW.
        x: NxCxHxW, the input of the ghost module.
        gate: `dfc_gate(C, C')`.

    Returns:
        NxC'xHxW.
    """
    # timm drops an odd last row or column; a single one has to stay.
    half = F.avg_pool2d(x, 2, 2, ceil_mode=1 in x.shape[-2:])
    weights = torch.sigmoid(gate(half))
    return features * F.interpolate(weights, features.shape[-2:], mode="nearest")

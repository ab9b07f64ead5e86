"""GhostNet: More Features from Cheap Operations (Han et al., CVPR 2020, arXiv:1911.11907).

Own code; parameter names follow timm's `ghostnet_050/_100/_130` and `ghostnetv2_*`, so that public
ImageNet weights load. A ghost module makes half of its channels with a 1x1 convolution and the
other half from those with a cheap depthwise 3x3.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostdepth_train.config import BlockConfig, EncoderConfig
from ghostdepth_train.models.attention import AttentionBlock, apply_dfc, dfc_gate

STRIDES = (2, 4, 8, 16, 32)


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis of `size` pixels, as TensorFlow's SAME."""
    pads = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return pads // 2, pads - pads // 2


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: the odd zero goes to the bottom and right."""

    def forward(self, input: Tensor) -> Tensor:
        """NxCxHxW -> NxC'xceil(H/s)xceil(W/s), float."""
        axes = zip(input.shape[-2:], self.kernel_size, self.stride, strict=True)
        (top, bottom), (left, right) = (same_pads(*axis) for axis in axes)
        if top == bottom and left == right:
            padding = (top, left)
        else:
            input, padding = F.pad(input, (left, right, top, bottom)), (0, 0)
        return F.conv2d(input, self.weight, self.bias, self.stride, padding, (1, 1), self.groups)


def conv(
    inp: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, padding: str = "same"
) -> nn.Conv2d:
    """A bias-free convolution; `padding` matters only where the stride is 2."""
    kind = SameConv2d if padding == "same" and stride > 1 else nn.Conv2d
    return kind(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False)


class GhostModule(nn.Module):
    """`out` channels: the first half by a 1x1 convolution, the second from it, depthwise.

    With `dfc` they are scaled by GhostNetV2's attention.
    """

    def __init__(self, inp: int, out: int, *, relu: bool, dfc: bool = False) -> None:
        super().__init__()
        self.out = out
        primary = math.ceil(out / 2)

        def act() -> nn.Module:
            return nn.ReLU() if relu else nn.Identity()

        self.primary_conv = nn.Sequential(conv(inp, primary), nn.BatchNorm2d(primary), act())
        self.cheap_operation = nn.Sequential(
            conv(primary, primary, 3, groups=primary), nn.BatchNorm2d(primary), act()
        )
        self.short_conv = dfc_gate(inp, out) if dfc else None

    def forward(self, x: Tensor) -> Tensor:
        """NxCxHxW -> NxoutxHxW."""
        primary = self.primary_conv(x)
        both = torch.cat([primary, self.cheap_operation(primary)], dim=1)
        both = both if both.shape[1] == self.out else both[:, : self.out]
        return both if self.short_conv is None else apply_dfc(both, x, self.short_conv)


class SqueezeExcite(nn.Module):
    """Channels scaled by a function of their means; the sigmoid is relu6(x + 3) / 6 as in timm."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, reduced, 1)
        self.conv_expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """NxCxHxW -> the same shape."""
        scale = x.mean((2, 3), keepdim=True)
        scale = self.conv_expand(F.relu(self.conv_reduce(scale)))
        return x * (F.relu6(scale + 3) * (1 / 6))


class GhostBottleneck(nn.Module):
    """Ghost module, depthwise stride 2 where asked for, SE where asked for, ghost module, sum."""

    def __init__(self, inp: int, config: BlockConfig, padding: str) -> None:
        super().__init__()
        kernel, stride, mid, out = config.kernel, config.stride, config.mid, config.out
        self.ghost1 = GhostModule(inp, mid, relu=True, dfc=config.dfc)
        self.conv_dw: nn.Module | None = None
        if stride > 1:
            self.conv_dw = conv(mid, mid, kernel, stride, mid, padding)
            self.bn_dw = nn.BatchNorm2d(mid)
        self.se = SqueezeExcite(mid, config.se) if config.se else None
        self.ghost2 = GhostModule(mid, out, relu=False)
        self.shortcut = (
            nn.Identity()
            if inp == out and stride == 1 and not config.conv_shortcut
            else nn.Sequential(
                conv(inp, inp, kernel, stride, inp, padding),
                nn.BatchNorm2d(inp),
                conv(inp, out),
                nn.BatchNorm2d(out),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """NxCxHxW -> NxoutxH/strideW/stride."""
        y = self.ghost1(x)
        if self.conv_dw is not None:
            y = self.bn_dw(self.conv_dw(y))
        if self.se is not None:
            y = self.se(y)
        return cast(Tensor, self.ghost2(y) + self.shortcut(x))


class GhostEncoder(nn.Module):
    """Stem and stages: the features a decoder needs.

    Attributes:
        channels: Number of channels of the features at stride 2, 4, 8, 16, 32.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.conv_stem = conv(3, config.stem, 3, 2, padding=config.padding)
        self.bn1 = nn.BatchNorm2d(config.stem)
        stages: list[nn.Module] = []
        self._taps: list[int] = []
        self.channels: list[int] = []
        width = config.stem
        for index, blocks in enumerate(config.stages):
            if blocks and blocks[0].stride == 2:
                self._tap(index - 1, width)
            stage = []
            for block in blocks:
                stage.append(GhostBottleneck(width, block, config.padding))
                width = block.out
            stages.append(nn.Sequential(*stage))
        self._tap(len(stages) - 1, width)
        self.blocks = nn.Sequential(*stages)
        self._attention_strides = [block.stride for block in config.attention]
        self.attention = nn.ModuleList(
            AttentionBlock(self.channels[STRIDES.index(block.stride)], block)
            for block in config.attention
        )

    def _tap(self, stage: int, width: int) -> None:
        self._taps.append(stage)
        self.channels.append(width)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Nx3xHxW, normalised RGB -> features at stride 2, 4, 8, 16, 32."""
        x = F.relu(self.bn1(self.conv_stem(x)))
        features = [x] if self._taps[0] < 0 else []
        for index, stage in enumerate(self.blocks):
            x = stage(x)
            if index in self._taps:
                x = self._attend(x, STRIDES[len(features)])
                features.append(x)
        return features

    def _attend(self, x: Tensor, stride: int) -> Tensor:
        for at, block in zip(self._attention_strides, self.attention, strict=True):
            x = block(x) if at == stride else x
        return x

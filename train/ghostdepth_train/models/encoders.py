"""The encoders that a depth network can have: GhostNet, or one of a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench_depth.core.errors import UserError
from torch import Tensor, nn

from ghostdepth_train.config import (
    EncoderConfig,
    LiteBlockConfig,
    LiteEncoderConfig,
    TimmEncoderConfig,
)
from ghostdepth_train.models.ghostnet import STRIDES, GhostEncoder


class Encoder(nn.Module):
    """The interface that a decoder needs.

    Attributes:
        channels: Number of channels of the features at stride 2, 4, 8, 16, 32.
    """

    channels: list[int]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Nx3xHxW, normalised RGB -> features at stride 2, 4, 8, 16, 32."""
        raise NotImplementedError


class LiteEncoder(Encoder):
    """EfficientNet-Lite (Tan and Le, "EfficientNet", ICML 2019; Lite: 2020, no SE, ReLU6).

    Raises:
        UserError: The encoder's library is not installed, `blocks` is out of its range, or
            `widths` does not fit the blocks.
    """

    def __init__(self, config: LiteEncoderConfig) -> None:
        super().__init__()
        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise UserError(
                "the efficientnet-lite encoder needs a library: pip install 'ghostdepth[teachers]'"
            ) from error
        # Without an image size: paddings follow from the size of the input.
        net = EfficientNet.from_name(f"efficientnet-lite{config.variant}", image_size=None)
        for classifier in ("_conv_head", "_bn1", "_avg_pooling", "_dropout", "_fc"):
            delattr(net, classifier)
        self.net = net
        self._drop = float(net._global_params.drop_connect_rate or 0)
        strides = [int(block._depthwise_conv.stride[0]) for block in net._blocks]
        # A block's input is tapped where the block halves it, and the last block's output.
        self._taps = {index for index, stride in enumerate(strides) if stride == 2}
        least, total = max(self._taps) + 1, len(strides)
        kept = total if config.blocks is None else config.blocks
        if not least <= kept <= total:
            raise UserError(
                f"efficientnet-lite{config.variant} has {total} blocks, of which a depth network "
                f"needs the first {least}: set `blocks` from {least} to {total}, not to {kept}"
            )
        del net._blocks[kept:]
        if config.stem is not None and config.widths is not None:
            _set_widths(net, config.stem, config.widths)
        blocks = list(net._blocks)
        inputs = [int(blocks[index]._block_args.input_filters) for index in sorted(self._taps)]
        self.channels = [*inputs, int(blocks[-1]._block_args.output_filters)]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Nx3xHxW, normalised RGB -> features at stride 2, 4, 8, 16, 32."""
        net: Any = self.net
        x = net._swish(net._bn0(net._conv_stem(x)))
        features = []
        for index, block in enumerate(net._blocks):
            if index in self._taps:
                features.append(x)
            x = block(x, drop_connect_rate=self._drop * index / len(net._blocks))
        return [*features, x]


def adds_input(block: Any) -> bool:
    """Whether a block of EfficientNet-Lite adds its input to its output."""
    args = block._block_args
    return bool(block.id_skip and args.stride == 1 and args.input_filters == args.output_filters)


def expands(block: Any) -> bool:
    """Whether a block of EfficientNet-Lite has a convolution before its depthwise one."""
    return bool(block._block_args.expand_ratio != 1)


def _set_widths(net: Any, stem: int, widths: Sequence[LiteBlockConfig]) -> None:
    """Replaces the layers of an EfficientNet-Lite by new ones of the widths that pruning left.

    Raises:
        UserError: The widths are not those of this network's blocks.
    """
    if len(widths) != len(net._blocks):
        raise UserError(
            f"the encoder has {len(net._blocks)} blocks, and `widths` is of {len(widths)}"
        )
    net._conv_stem, net._bn0 = _layers(net._conv_stem, net._bn0, 3, stem)
    inp = stem
    for index, (block, width) in enumerate(zip(net._blocks, widths, strict=True)):
        # A block may lose its shortcut's reason, equal widths, or gain it: it stays what it was.
        block.id_skip = adds_input(block)
        for field, bound in (("mid", not expands(block)), ("out", block.id_skip)):
            if bound and getattr(width, field) != inp:
                raise UserError(
                    f"encoder.widths.{index}.{field} is {getattr(width, field)}, and must be "
                    f"{inp}, the width of the block's input"
                )
        if expands(block):
            block._expand_conv, block._bn0 = _layers(block._expand_conv, block._bn0, inp, width.mid)
        depthwise, project = block._depthwise_conv, block._project_conv
        block._depthwise_conv, block._bn1 = _layers(depthwise, block._bn1, width.mid, width.mid)
        block._project_conv, block._bn2 = _layers(project, block._bn2, width.mid, width.out)
        block._block_args = block._block_args._replace(input_filters=inp, output_filters=width.out)
        inp = width.out


def _layers(conv: Any, norm: Any, inp: int, out: int) -> tuple[nn.Module, nn.Module]:
    """A convolution and its norm like these, with random weights and other widths."""
    groups = out if conv.groups > 1 else 1
    new = type(conv)(inp, out, conv.kernel_size, stride=conv.stride, groups=groups, bias=False)
    return new, nn.BatchNorm2d(out, eps=norm.eps, momentum=norm.momentum)


class TimmEncoder(Encoder):
    """An encoder of the timm library.

    Raises:
        UserError: timm does not import, has no such model, or its strides do not fit.
    """

    def __init__(self, config: TimmEncoderConfig) -> None:
        super().__init__()
        try:
            import timm

            net = timm.create_model(config.name, features_only=True, pretrained=False)
        except Exception as error:  # a broken torchvision raises RuntimeError on import
            raise UserError(
                f"cannot build the timm encoder {config.name!r}: {error}; "
                "install timm with a torchvision that fits torch, or choose another name"
            ) from error
        if tuple(net.feature_info.reduction()) != STRIDES:
            raise UserError(
                f"timm's {config.name} gives features at strides {net.feature_info.reduction()}, "
                f"a depth network needs {list(STRIDES)}"
            )
        self.net = net
        self.channels = [int(width) for width in net.feature_info.channels()]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Nx3xHxW, normalised RGB -> features at stride 2, 4, 8, 16, 32."""
        return list(self.net(x))


def build_encoder(
    config: EncoderConfig | LiteEncoderConfig | TimmEncoderConfig,
) -> GhostEncoder | Encoder:
    """The encoder that a config describes, with random weights.

    Raises:
        UserError: A library is missing or does not know the network.
    """
    if isinstance(config, LiteEncoderConfig):
        return LiteEncoder(config)
    if isinstance(config, TimmEncoderConfig):
        return TimmEncoder(config)
    return GhostEncoder(config)

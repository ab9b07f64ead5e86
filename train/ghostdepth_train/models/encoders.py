"""The encoders that a depth network can have: GhostNet, or a bigger one for a teacher."""

from __future__ import annotations

from typing import Any

from bench_depth.core.errors import UserError
from torch import Tensor, nn

from ghostdepth_train.config import EncoderConfig, LiteEncoderConfig, TimmEncoderConfig
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
        UserError: The encoder's library is not installed, or `blocks` is out of its range.
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

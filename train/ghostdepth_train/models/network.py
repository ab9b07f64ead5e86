"""The depth network, and the graph that runs at the camera.

`DepthNet` is what is trained. `CameraNet` puts resizing, normalisation and decoding around it: raw
RGB of the camera's size in, metres out. Evaluation and export both use `CameraNet`, so that what is
measured is what is shipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from bench_depth.model.camera import depth_factor
from torch import Tensor, nn
from torch.nn import functional as F

from ghostdepth_train.config import NetworkConfig
from ghostdepth_train.models.adder_conv import use_adders
from ghostdepth_train.models.attention import AttentionBlock
from ghostdepth_train.models.encoders import build_encoder
from ghostdepth_train.models.ghostnet import conv
from ghostdepth_train.models.stream import StreamCell


def resize(x: Tensor, height: int, width: int) -> Tensor:
    """Bilinear, half-pixel centres, no antialias: as TFLite's RESIZE_BILINEAR and ONNX's Resize."""
    if x.shape[-2:] == (height, width):
        return x
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)


def surround(x: Tensor, border: tuple[int, int]) -> Tensor:
    """NxCxHxW -> with its mirror image around it, the edge itself not repeated.

    It is written as slices and a concatenation, which TFLite copies by rows; its MIRROR_PAD looks
    the place of every number up.

    Args:
        x: Maps.
        border: Rows above and below, and columns left and right; each less than the map's.
    """
    for dim, count in zip((2, 3), border, strict=True):
        if count:
            last = x.shape[dim] - 1
            before = _part(x, dim, 1, 1 + count).flip(dim)
            behind = _part(x, dim, last - count, last).flip(dim)
            x = torch.cat([before, x, behind], dim)
    return x


def without_border(x: Tensor, border: tuple[int, int], stride: int) -> Tensor:
    """Maps of a picture with a border at some stride, NxCxHxW -> those of the picture alone.

    A border of a fraction of a cell is rounded to whole ones.
    """
    for dim, count in zip((2, 3), border, strict=True):
        cells = round(count / stride)
        if cells:
            x = _part(x, dim, cells, x.shape[dim] - cells)
    return x


def _part(x: Tensor, dim: int, first: int, end: int) -> Tensor:
    """Rows (2) or columns (3) of maps."""
    return x[:, :, first:end] if dim == 2 else x[:, :, :, first:end]


class FuseUp(nn.Module):
    """One decoder level: narrow, upsample to the skip's size, add the skip, refine depthwise.

    The 1x1 convolution runs before the upsampling, where it costs a quarter.
    """

    def __init__(self, inp: int, skip: int, width: int) -> None:
        super().__init__()
        self.narrow = nn.Sequential(conv(inp, width), nn.BatchNorm2d(width))
        self.lateral = nn.Sequential(conv(skip, width), nn.BatchNorm2d(width))
        self.depthwise = nn.Sequential(
            conv(width, width, 3, groups=width), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.pointwise = nn.Sequential(conv(width, width), nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """NxCxhxw and NxC'xHxW -> NxwidthxHxW."""
        x = resize(self.narrow(x), skip.shape[-2], skip.shape[-1])
        x = F.relu(x + self.lateral(skip))
        return cast(Tensor, self.pointwise(self.depthwise(x)))


class Predictor(nn.Module):
    """Anything that gives Nx1xhxw encoded depth for Nx3xHxW normalised RGB.

    Where its config has a border, its `forward` takes `bordered` as that of `DepthNet` does.

    Attributes:
        config: The network as plain numbers.
    """

    config: NetworkConfig

    @property
    def state_shape(self) -> tuple[int, int, int] | None:
        """Channels, rows and columns of the state of one stream; None without a `stream`."""
        stream, config = self.config.decoder.stream, self.config
        if stream is None:
            return None
        height, width = config.grid_size
        return stream.channels, -(-height // 16), -(-width // 16)


class DepthNet(Predictor):
    """Normalised RGB -> one channel of encoded depth at the decoder's output stride.

    With a `stream` in its config it also carries a state from frame to frame; where none is given,
    the state is empty, all 0.

    Raises:
        UserError: The config names an adder where none can be.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        *skips, width = self.encoder.channels
        levels = []
        for out, skip in zip(config.decoder.widths, reversed(skips), strict=False):
            levels.append(FuseUp(width, skip, out))
            width = out
        self.decoder = nn.ModuleList(levels)
        self.attention = nn.Sequential(
            *(AttentionBlock(config.decoder.widths[0], each) for each in config.decoder.attention)
        )
        stream, width_16 = config.decoder.stream, config.decoder.widths[0]
        self.stream = None if stream is None else StreamCell(width_16, stream)
        self.head = nn.Conv2d(width, config.decoder.upsample**2, 3, padding=1)
        self._initialise()
        use_adders(self, config.adder)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if self.stream is not None:
            self.stream.initialise()
        # Start at a plausible depth everywhere: the middle of the range on a log scale.
        middle = math.sqrt(self.config.depth_min * self.config.depth_max)
        nn.init.normal_(self.head.weight, std=0.01)
        assert self.head.bias is not None
        start = math.log(middle) if self.config.depth_encoding == "log" else 1 / middle
        nn.init.constant_(self.head.bias, start)

    def forward(self, x: Tensor, truncate: int | None = None, bordered: bool = False) -> Tensor:
        """Nx3xHxW normalised RGB -> Nx1xH/sxW/s: ln(metres) or 1/metres, not clamped.

        With `truncate`, NxTx3xHxW clips -> NxTx1xH/sxW/s, see `clip`. `bordered` says that the
        border of the config is around `x` already.
        """
        if truncate is not None:
            return self.clip(x, truncate)
        return self.decode(self.features(x, bordered))

    def features(self, x: Tensor, bordered: bool = False) -> Sequence[Tensor]:
        """The encoder's maps of a picture and its border, finest first; arguments as `forward`."""
        encoded = self.encoder(x if bordered else surround(x, self.config.border))
        return cast(Sequence[Tensor], encoded)

    def decode(self, features: Sequence[Tensor]) -> Tensor:
        """The encoder's features, finest first -> Nx1xH/sxW/s, as `forward`."""
        x = self._coarse(features)
        if self.stream is not None:
            x, _ = self.stream(x, self.stream.empty(x))
        return self._fine(x, features)

    def step(self, x: Tensor, state: Tensor, bordered: bool = False) -> tuple[Tensor, Tensor]:
        """One frame of each of N streams; only for a network with a `stream`.

        Args:
            x: Nx3xHxW normalised RGB.
            state: The state after the frame before, of `state_shape`; zeros where there is none.
            bordered: As in `forward`.

        Returns:
            Nx1xH/sxW/s encoded depth, and the state after this frame.
        """
        assert self.stream is not None
        features = self.features(x, bordered)
        y, state = self.stream(self._coarse(features), state)
        return self._fine(y, features), state

    def clip(self, x: Tensor, truncate: int) -> Tensor:
        """Every frame of N clips, each from an empty state; only with a `stream`.

        Args:
            x: NxTx3xHxW normalised RGB.
            truncate: Number of frames after which the state passes no gradient on.

        Returns:
            NxTx1xH/sxW/s encoded depth.
        """
        assert self.stream is not None
        features = self.features(x.flatten(0, 1))
        coarse = self._coarse(features)
        coarse = coarse.reshape(*x.shape[:2], *coarse.shape[1:])
        encoded = self._fine(self.stream.clip(coarse, truncate).flatten(0, 1), features)
        return encoded.reshape(*x.shape[:2], *encoded.shape[1:])

    def _coarse(self, features: Sequence[Tensor]) -> Tensor:
        """The decoder's features at stride 16."""
        return cast(Tensor, self.attention(self.decoder[0](features[-1], features[-2])))

    def _fine(self, x: Tensor, features: Sequence[Tensor]) -> Tensor:
        """The decoder's features at stride 16 -> encoded depth."""
        skips = list(features[:-2])
        for index, level in enumerate(self.decoder):
            x = level(x, skips.pop()) if index else x
        x = self.head(x)
        decoder = self.config.decoder
        if decoder.upsample > 1:
            x = F.pixel_shuffle(x, decoder.upsample)
        return without_border(x, self.config.border, decoder.output_stride)


def log_depth(encoded: Tensor, config: NetworkConfig) -> Tensor:
    """Encoded depth -> ln(metres), for the losses; finite and with a gradient everywhere."""
    if config.depth_encoding == "log":
        return encoded
    floor = 1 / config.depth_max
    # Below the farthest depth continue along the logarithm's tangent instead of diving to -inf.
    tangent = (encoded - floor) / floor + math.log(floor)
    return -torch.where(encoded > floor, encoded.clamp_min(floor).log(), tangent)


def decode_depth(encoded: Tensor, config: NetworkConfig) -> Tensor:
    """Encoded depth -> metres, clamped to the config's range."""
    low, high = config.depth_min, config.depth_max
    if config.depth_encoding == "log":
        return encoded.clamp(math.log(low), math.log(high)).exp()
    return 1 / encoded.clamp(1 / high, 1 / low)


class CameraTrunk(nn.Module):
    """Camera image -> encoded depth: everything that can run in int8."""

    def __init__(self, net: Predictor) -> None:
        super().__init__()
        self.net = net
        scale = [1 / (255 * s) for s in net.config.std]
        shift = [-m / s for m, s in zip(net.config.mean, net.config.std, strict=True)]
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(1, 3, 1, 1), persistent=False)

    def forward(self, rgb: Tensor, state: Tensor | None = None) -> Any:
        """One picture, or one frame of a stream.

        Args:
            rgb: NxHxWx3 float RGB 0..255.
            state: As `DepthNet.step` takes it; None for a picture by itself.

        Returns:
            Nx1xhxw encoded depth; with a state, a pair of this and the next state.
        """
        x = rgb.permute(0, 3, 1, 2)
        x = resize(x, *self.net.config.input_size)
        # Before it is normalised: of that the first convolution takes care then.
        border = self.net.config.border
        x = surround(x, border) * self.scale + self.shift
        if state is not None:
            return cast(DepthNet, self.net).step(x, state, bordered=True)
        return self.net(x, bordered=True) if any(border) else self.net(x)


class CameraTail(nn.Module):
    """Encoded depth -> metres at the output's size: stays in float in every file.

    Depth is decoded before it is upsampled: exp of 5,120 values is cheaper than of 307,200.
    """

    def __init__(
        self, config: NetworkConfig, height: int, width: int, hfov: float | None = None
    ) -> None:
        super().__init__()
        self.config, self.height, self.width = config, height, width
        known = hfov is not None and config.hfov is not None
        self.factor = depth_factor(cast(float, config.hfov), cast(float, hfov)) if known else 1.0

    def forward(self, encoded: Tensor) -> Tensor:
        """Nx1xhxw encoded depth -> NxHxWx1 metres."""
        metres = decode_depth(encoded, self.config)
        if self.factor != 1:
            metres = metres * self.factor
        return resize(metres, self.height, self.width).permute(0, 2, 3, 1)


class CameraNet(nn.Module):
    """The network that is exported: raw RGB of the camera in, metres of `height` x `width` out.

    Args:
        net: The network.
        height: Rows of the depth map.
        width: Columns of the depth map.
        hfov: Horizontal field of view of the camera, degrees; None, or where `net` does not know
            that of its training data, for metres as the network gives them.
    """

    def __init__(
        self, net: Predictor, height: int = 480, width: int = 640, hfov: float | None = None
    ) -> None:
        super().__init__()
        self.trunk = CameraTrunk(net)
        self.tail = CameraTail(net.config, height, width, hfov)

    def forward(self, rgb: Tensor, state: Tensor | None = None) -> Any:
        """NxHxWx3 float RGB 0..255 -> NxHxWx1 float metres; with a state, a pair of it and this."""
        if state is None:
            return self.tail(self.trunk(rgb))
        encoded, state = self.trunk(rgb, state)
        return self.tail(encoded), state


def normaliser(config: NetworkConfig) -> Callable[[Tensor], Tensor]:
    """A function Nx3xHxW RGB 0..255 -> normalised float, as the training loop needs it."""
    mean = torch.tensor(config.mean).view(1, 3, 1, 1)
    std = torch.tensor(config.std).view(1, 3, 1, 1)
    return lambda rgb: (rgb.float() / 255 - mean.to(rgb.device)) / std.to(rgb.device)

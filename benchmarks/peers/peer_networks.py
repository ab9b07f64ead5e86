"""Small depth networks of other authors, built anew from their papers.

Each takes normalised RGB of its paper's input size and gives log depth, as `DepthNet` does, so that
it is trained, measured and exported by the same code. Layers that TensorFlow Lite 2.5 lacks are
replaced by the nearest that it has; every docstring says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from ghostdepth_train.config import NetworkConfig
from ghostdepth_train.models.ghostnet import SqueezeExcite, conv
from ghostdepth_train.models.network import Predictor, resize
from torch import Tensor, nn
from torch.nn import functional as F


def unit(
    inp: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: str = "relu"
) -> nn.Sequential:
    """Convolution, batch norm and `relu`, `relu6` or no activation."""
    acts = {"relu": nn.ReLU, "relu6": nn.ReLU6, "": nn.Identity}
    return nn.Sequential(
        conv(inp, out, kernel, stride, groups=groups), nn.BatchNorm2d(out), acts[act]()
    )


def separable(inp: int, out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A depthwise convolution, then a 1x1 one."""
    return nn.Sequential(unit(inp, inp, kernel, stride, groups=inp), unit(inp, out))


class Inverted(nn.Module):
    """The inverted residual of MobileNetV2 and V3, without squeeze-and-excitation."""

    def __init__(self, inp: int, mid: int, out: int, stride: int, act: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            unit(inp, mid, act=act) if mid != inp else nn.Identity(),
            unit(mid, mid, 3, stride, groups=mid, act=act),
            unit(mid, out, act=""),
        )
        self.residual = stride == 1 and inp == out

    def forward(self, x: Tensor) -> Tensor:
        """NxCxHxW -> NxC'xH/sxW/s."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class Stages(nn.Module):
    """An encoder: a sequence that is tapped before each halving and at its end."""

    def __init__(self, layers: Sequence[tuple[nn.Module, int, int]]) -> None:
        """`layers`: module, channels of its output, stride."""
        super().__init__()
        self.layers = nn.ModuleList(module for module, _, _ in layers)
        self.taps = {i for i in range(1, len(layers)) if layers[i][2] == 2}
        self.channels = [layers[i - 1][1] for i in sorted(self.taps)] + [layers[-1][1]]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Nx3xHxW -> features, finest first."""
        features = []
        for index, layer in enumerate(self.layers):
            if index in self.taps:
                features.append(x)
            x = layer(x)
        return [*features, x]


class Peer(Predictor):
    """A network at its paper's input size.

    Attributes:
        size: Height and width of the input, pixels.
        stride: Input pixels per pixel of its depth, along each axis.
    """

    size: tuple[int, int]
    stride: int

    def __init__(self) -> None:
        super().__init__()
        # Only sizes, normalisation and range are read from it: there is no encoder of this kind.
        levels = 5 - int(math.log2(self.stride))
        self.config = NetworkConfig.model_validate(
            {
                "input_height": self.size[0],
                "input_width": self.size[1],
                "encoder": {"kind": "timm", "name": type(self).__name__},
                "decoder": {"widths": [1] * min(levels, 4), "upsample": 2 ** max(levels - 4, 0)},
            }
        )

    def head(self, inp: int, kernel: int = 3) -> nn.Conv2d:
        """The last convolution, which starts at the middle of the range of log depth."""
        layer = nn.Conv2d(inp, 1, kernel, padding=kernel // 2)
        nn.init.normal_(layer.weight, std=0.01)
        assert layer.bias is not None
        nn.init.constant_(layer.bias, math.log(self.config.depth_min * self.config.depth_max) / 2)
        return layer


class LiteDepth(Peer):
    """LiteDepth (Li et al. 2022, arXiv:2209.00961).

    MobileNetV3-small-minimalistic, bilinear upsampling, concatenated skips, 1x1 convolutions to 72,
    24 and 8 channels.
    """

    size = (128, 160)
    stride = 4

    def __init__(self) -> None:
        super().__init__()
        # Expanded channels, channels, stride (Howard et al. 2019, minimalistic: 3x3, ReLU, no SE).
        rows = [(16, 16, 2), (72, 24, 2), (88, 24, 1), (96, 40, 2), *[(240, 40, 1)] * 2]
        rows += [(120, 48, 1), (144, 48, 1), (288, 96, 2), *[(576, 96, 1)] * 2]
        layers: list[tuple[nn.Module, int, int]] = [(unit(3, 16, 3, 2), 16, 2)]
        for mid, out, stride in rows:
            layers.append((Inverted(layers[-1][1], mid, out, stride, "relu"), out, stride))
        self.encoder = Stages(layers)
        *skips, width = self.encoder.channels
        self.decoder = nn.ModuleList()
        for out, skip in zip((72, 24, 8), reversed(skips), strict=False):
            self.decoder.append(unit(width + skip, out))
            width = out
        self.last = self.head(width)

    def forward(self, x: Tensor) -> Tensor:
        """Nx3xHxW -> Nx1xH/4xW/4."""
        *skips, x = self.encoder(x)
        for level in self.decoder:
            skip = skips.pop()
            x = level(torch.cat([resize(x, *skip.shape[-2:]), skip], 1))
        return self.last(x)


class FastDepth(Peer):
    """FastDepth before pruning (Wofk et al. 2019, arXiv:1903.03273).

    MobileNet and NNConv5: five depthwise 5x5 and 1x1 convolutions, each upsampled, three skips that
    are added. Upsampling is bilinear instead of nearest.
    """

    size = (224, 224)
    stride = 1

    def __init__(self) -> None:
        super().__init__()
        rows = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
        layers: list[tuple[nn.Module, int, int]] = [(unit(3, 32, 3, 2), 32, 2)]
        for out, stride in [*rows, (1024, 2), (1024, 1)]:
            layers.append((separable(layers[-1][1], out, stride=stride), out, stride))
        self.encoder = Stages(layers)
        width = self.encoder.channels[-1]
        self.decoder = nn.ModuleList()
        for out in (512, 256, 128, 64, 32):
            self.decoder.append(separable(width, out, 5))
            width = out
        self.last = self.head(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Nx3xHxW -> Nx1xHxW."""
        *skips, x = self.encoder(x)
        skips = [None, *skips[:3], None]
        for level in self.decoder:
            x = level(x)
            x = resize(x, 2 * x.shape[-2], 2 * x.shape[-1])
            skip = skips.pop()
            x = x if skip is None else x + skip
        return self.last(x)


class MobileNetV2UNet(Peer):
    """A U-Net on MobileNetV2 (Sandler et al. 2018; Ronneberger et al. 2015).

    Bilinear upsampling, concatenated skips, two 3x3 convolutions a level.
    """

    size = (128, 160)
    stride = 2

    def __init__(self) -> None:
        super().__init__()
        layers: list[tuple[nn.Module, int, int]] = [(unit(3, 32, 3, 2, act="relu6"), 32, 2)]
        rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
        for factor, out, count, stride in [*rows, (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
            for index in range(count):
                inp, step = layers[-1][1], stride if index == 0 else 1
                layers.append((Inverted(inp, factor * inp, out, step, "relu6"), out, step))
        self.encoder = Stages(layers)
        *skips, width = self.encoder.channels
        self.decoder = nn.ModuleList()
        for out, skip in zip((96, 64, 32, 16), reversed(skips), strict=True):
            self.decoder.append(nn.Sequential(unit(width + skip, out, 3), unit(out, out, 3)))
            width = out
        self.last = self.head(width)

    forward = LiteDepth.forward


class Residual(nn.Module):
    """The basic residual block of ResNet."""

    def __init__(self, inp: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(unit(inp, out, 3, stride), unit(out, out, 3, act=""))
        same = stride == 1 and inp == out
        self.shortcut = nn.Identity() if same else unit(inp, out, 1, stride, act="")

    def forward(self, x: Tensor) -> Tensor:
        """NxCxHxW -> NxC'xH/sxW/s."""
        return F.relu(self.layers(x) + self.shortcut(x))


class Guided(nn.Module):
    """A guided upsampling block: twice the size, refined by the picture at that size."""

    def __init__(self, inp: int, width: int, out: int) -> None:
        super().__init__()
        self.picture = nn.Sequential(unit(3, width, 3), unit(width, width))
        self.depth = nn.Sequential(unit(inp, width, 3), unit(width, width))
        self.attention = SqueezeExcite(2 * width, max(width // 2, 4))
        self.fuse = unit(2 * width, inp)
        self.reduce = unit(inp, out, act="")

    def forward(self, picture: Tensor, x: Tensor) -> Tensor:
        """Nx3xHxW and NxCxhxw -> NxC'x2hx2w."""
        x = resize(x, 2 * x.shape[-2], 2 * x.shape[-1])
        picture = resize(picture, *x.shape[-2:])
        both = torch.cat([self.picture(picture), self.depth(x)], 1)
        return self.reduce(x + self.fuse(self.attention(both)))


class GuideDepthS(Peer):
    """GuideDepth-S (Rudolph et al. 2022, arXiv:2203.04206).

    A slim dual-resolution encoder (DDRNet-23-slim without its pyramid pooling, which averages over
    windows) to stride 8 and three guided upsampling blocks.
    """

    size = (240, 320)
    stride = 1

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            unit(3, 32, 3, 2), unit(32, 32, 3, 2), Residual(32, 32), Residual(32, 32)
        )
        self.shared = nn.Sequential(Residual(32, 64, 2), Residual(64, 64))
        self.fine = nn.ModuleList(Residual(64, 64) for _ in range(2))
        self.coarse = nn.ModuleList(
            nn.Sequential(Residual(inp, out, 2), Residual(out, out))
            for inp, out in ((64, 128), (128, 256))
        )
        self.up = nn.ModuleList(unit(inp, 64, act="") for inp in (128, 256))
        self.down = unit(64, 128, 3, 2, act="")
        self.guided = nn.ModuleList(
            Guided(inp, width, out) for inp, width, out in ((64, 32, 32), (32, 16, 16), (16, 8, 8))
        )
        self.last = self.head(8)

    def forward(self, x: Tensor) -> Tensor:
        """Nx3xHxW -> Nx1xHxW."""
        picture, fine = x, self.shared(self.stem(x))
        coarse = fine
        for index, (high, low, up) in enumerate(zip(self.fine, self.coarse, self.up, strict=True)):
            raised, coarse = high(fine), low(coarse)
            if index == 0:
                coarse = F.relu(coarse + self.down(raised))
            fine = F.relu(raised + resize(up(coarse), *raised.shape[-2:]))
        for block in self.guided:
            fine = block(picture, fine)
        return self.last(fine)


PEERS: dict[str, Callable[[], Peer]] = {
    "litedepth-like": LiteDepth,
    "mobilenetv2-unet": MobileNetV2UNet,
    "fastdepth-like": FastDepth,
    "guidedepth-s-like": GuideDepthS,
}

"""GhostNet as a classifier of ImageNet, the network that timm's weights belong to."""

from __future__ import annotations

from typing import cast

from ghostdepth_train.config import EncoderConfig
from ghostdepth_train.models.ghostnet import GhostEncoder, conv
from torch import Tensor, nn
from torch.nn import functional as F


class GhostNet(GhostEncoder):
    """The whole classifier, as timm's `ghostnet_*`: the encoder, a 1x1 head and 1000 classes."""

    def __init__(self, config: EncoderConfig, classes: int = 1000) -> None:
        super().__init__(config)
        inp, width = self.channels[-1], config.stages[-1][-1].mid
        head = nn.Sequential()
        head.add_module("conv", conv(inp, width))
        head.add_module("bn1", nn.BatchNorm2d(width))
        self.blocks.append(nn.Sequential(head))
        self.conv_head = nn.Conv2d(width, 1280, 1)
        self.classifier = nn.Linear(1280, classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Nx3xHxW, normalised RGB -> the last feature map, stride 32."""
        x = F.relu(self.bn1(self.conv_stem(x)))
        return F.relu(self.blocks(x))

    def logits(self, x: Tensor) -> Tensor:
        """Nx3xHxW, normalised RGB -> Nxclasses."""
        pooled = self.forward_features(x).mean((2, 3), keepdim=True)
        return cast(Tensor, self.classifier(F.relu(self.conv_head(pooled)).flatten(1)))

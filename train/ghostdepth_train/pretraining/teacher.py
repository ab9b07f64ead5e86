"""Networks whose features the encoder can be trained to match."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ghostdepth_train.config import NetworkConfig, parse_config
from ghostdepth_train.distillation.checkpoint_teacher import CheckpointTeacher
from ghostdepth_train.distillation.labels import by_stride
from ghostdepth_train.initial_weights import IMAGENET_PACKAGES, load_imagenet
from ghostdepth_train.models.network import DepthNet, normaliser


class ImageNetTeacher:
    """The encoder of an ImageNet classifier, frozen.

    Args:
        name: A name in `IMAGENET_PACKAGES`, or timm's name of a model.
        device: Device that the network runs on.

    Raises:
        UserError: The library or the weights of the network cannot be found.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        encoder: dict[str, object] = {"kind": "timm", "name": name}
        if name in IMAGENET_PACKAGES:
            encoder = {"kind": "efficientnet-lite", "variant": int(name[-1])}
        value = {"encoder": encoder, "decoder": {"widths": [8]}}
        network = DepthNet(parse_config(NetworkConfig, value, f"teacher {name}"))
        load_imagenet(network, name)
        self.identity = f"{name} (ImageNet)"
        self.channels = by_stride(network.encoder.channels)
        self._encoder = network.encoder.to(device).eval().requires_grad_(False)
        self._normalise = normaliser(network.config)

    @torch.no_grad()
    def features(self, rgb: Tensor) -> Mapping[int, Tensor]:
        """Nx3xHxW RGB 0..255 -> features at stride 2, 4, 8, 16, 32."""
        return by_stride(self._encoder(self._normalise(rgb)))


def load_feature_teacher(spec: str, device: torch.device) -> ImageNetTeacher | CheckpointTeacher:
    """Loads a teacher of features; the caller's random numbers stay what they are.

    Args:
        spec: A checkpoint folder, a name in `IMAGENET_PACKAGES`, or timm's name of a model.
        device: Device that the network runs on.

    Raises:
        UserError: There is no such teacher.
    """
    with torch.random.fork_rng(devices=[]):
        if Path(spec).is_dir():
            return CheckpointTeacher(Path(spec), device)
        return ImageNetTeacher(spec, device)

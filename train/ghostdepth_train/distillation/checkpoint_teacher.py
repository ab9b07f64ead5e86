"""A depth network of this project as a teacher, whatever its encoder."""

from __future__ import annotations

from pathlib import Path

import torch
from bench_depth.core.errors import MODEL_FAILED, UserError
from torch import Tensor

from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.distillation.labels import TeacherLabels, by_stride, metric_labels
from ghostdepth_train.distillation.teacher import Teacher
from ghostdepth_train.models.network import (
    DepthNet,
    decode_depth,
    normaliser,
    resize,
    without_border,
)


class CheckpointTeacher(Teacher):
    """The network of a checkpoint folder.

    Args:
        folder: The checkpoint.
        device: Device that the network runs on.

    Raises:
        UserError: As `load_checkpoint`.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        checkpoint = load_checkpoint(folder)
        self.name = checkpoint.name
        self.identity = f"{checkpoint.name} sha256:{checkpoint.sha256[:16]}"
        self.quantity = "metric"
        self.device = device
        network = checkpoint.network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: DepthNet = network.eval().requires_grad_(False)
        self.channels = by_stride(self.network.encoder.channels)
        self.size = self.network.config.input_size
        self._normalise = normaliser(self.network.config)

    @torch.no_grad()
    def __call__(self, rgb: Tensor) -> TeacherLabels:
        """See `Teacher`; the image is resized as the exported graph does it."""
        config = self.network.config
        small = resize(rgb.to(self.device).float(), *config.input_size)
        # The layout of its weights: a sixth less time on a CPU.
        x = self._normalise(small).contiguous(memory_format=torch.channels_last)
        features = self.network.features(x)
        encoded = self.network.decode(features)
        if not bool(encoded.isfinite().all()):
            raise UserError(f"the teacher {self.name} gives NaN or infinity", MODEL_FAILED)
        metres = decode_depth(encoded, config).float()
        maps = by_stride([f.to(rgb.device) for f in features])
        inner = {s: without_border(f, config.border, s) for s, f in maps.items()}
        return metric_labels(metres.to(rgb.device), inner)

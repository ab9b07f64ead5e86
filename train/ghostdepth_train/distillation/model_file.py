"""Any .onnx or .tflite file that gives depth, as `bench-depth` runs it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.contract import read_model_bytes
from torch import Tensor

from ghostdepth_train.distillation.labels import TeacherLabels, metric_labels
from ghostdepth_train.distillation.teacher import Teacher
from ghostdepth_train.model_process import ModelProcess

SUFFIXES = (".onnx", ".tflite")


class FileTeacher(Teacher):
    """A model file, read by its contract or by the description beside it.

    Its labels are of the image's size. Relative depth, of which only the scale is unknown, is
    given as relative inverse depth. It runs on the CPU, one image after the other, in a process of
    its own.

    Args:
        path: The file.

    Raises:
        UserError: It cannot be read or run, or does not give one depth map.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        digest = hashlib.sha256(read_model_bytes(path)).hexdigest()
        self.identity = f"{path.name} sha256:{digest[:16]}"
        self._model = ModelProcess(path, torch.get_num_threads())
        self.warnings = self._model.warnings
        self.quantity = "relative-inverse" if self._model.relative else "metric"

    @torch.no_grad()
    def __call__(self, rgb: Tensor) -> TeacherLabels:
        """See `Teacher`."""
        images = to_uint8(rgb)
        maps = np.stack([self._model.predict(image) for image in images])
        depth = torch.from_numpy(maps)[:, None].to(rgb.device)
        if not bool(depth.isfinite().all()):
            raise UserError(f"the teacher {self.path} gives NaN or infinity", MODEL_FAILED)
        if not self._model.relative:
            return metric_labels(depth)
        if self._model.quantity == "inverse-depth":
            return TeacherLabels(depth, "relative-inverse")
        known = depth > 0
        return TeacherLabels(
            torch.where(known, 1 / torch.where(known, depth, 1.0), 0.0),
            "relative-inverse",
            known.float(),
        )


def to_uint8(rgb: Tensor) -> np.ndarray:
    """Nx3xHxW RGB 0..255 of any dtype and device -> NxHxWx3 uint8."""
    whole = rgb if rgb.dtype == torch.uint8 else rgb.round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(whole.permute(0, 2, 3, 1).cpu().numpy())

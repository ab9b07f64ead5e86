"""From a name to a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from bench_depth.core.errors import UserError
from bench_depth.core.files import is_folder

from ghostdepth_train.distillation.checkpoint_teacher import CheckpointTeacher
from ghostdepth_train.distillation.ensemble import Ensemble
from ghostdepth_train.distillation.hub import HubTeacher
from ghostdepth_train.distillation.hub_files import PREPROCESSOR
from ghostdepth_train.distillation.model_file import SUFFIXES, FileTeacher
from ghostdepth_train.distillation.teacher import Teacher

HUB = "transformers:"


def load_teacher(spec: str | Sequence[str], device: torch.device | str = "cpu") -> Teacher:
    """Loads a teacher, or several as one.

    Args:
        spec: A checkpoint folder of ours; a .onnx or .tflite file, with whatever describes it
            (see docs/any-model.md); `transformers:NAME_OR_FOLDER`, a depth model of that library;
            or a list of these, which become an ensemble.
        device: Device that torch networks run on; files run on the CPU.

    Raises:
        UserError: There is no such teacher, it cannot be loaded, or it does not give depth.
    """
    specs = [spec] if isinstance(spec, str) else list(spec)
    if not specs:
        raise UserError("no teacher was named; give a checkpoint folder")
    # Building a network draws random numbers, which must not change what the caller draws.
    with torch.random.fork_rng(devices=[]):
        teachers = [_load_one(one, torch.device(device)) for one in specs]
    if len(teachers) == 1:
        return teachers[0]
    return Ensemble(teachers)


def _load_one(spec: str, device: torch.device) -> Teacher:
    if spec.startswith(HUB):
        return HubTeacher(spec.removeprefix(HUB), device)
    if is_folder(Path(spec)):
        if (Path(spec) / PREPROCESSOR).is_file():
            raise UserError(f"{spec} is a folder of the transformers library; say {HUB}{spec}")
        return CheckpointTeacher(Path(spec), device)
    if Path(spec).suffix in SUFFIXES:
        return FileTeacher(Path(spec))
    raise UserError(
        f"unknown teacher {spec[:80]!r}: neither a checkpoint folder, nor a .onnx or .tflite file, "
        f"nor {HUB}NAME_OR_FOLDER"
    )

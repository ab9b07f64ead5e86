"""Stores a teacher's labels of unlabelled images, for students that are trained later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from bench_depth.accuracy.readers.frame import millimetres
from bench_depth.core.dataset import Pair, read_rgb, write_depth
from bench_depth.core.errors import UserError, refuse_warnings
from bench_depth.core.files import read_json, write_json
from bench_depth.plausibility.output_checks import OutputWatch
from numpy.typing import NDArray

from ghostdepth_train.distillation import Teacher
from ghostdepth_train.distillation.stored import StoredLabels
from ghostdepth_train.distillation.unlabelled import require_usable_images
from ghostdepth_train.run_folder import run_folder

# Students are small; a label of a camera's size would be a hundred times their input.
LARGEST_SIDE = 320
RECORD = "teacher.json"


def label_images(
    teacher: Teacher | StoredLabels,
    images: Sequence[Pair],
    out: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    log: Callable[[str], None] = lambda line: None,
    strict: bool = False,
) -> int:
    """Labels the images that have no label yet; a call after a kill continues where it was.

    A label is uint16 millimetres, 0 where the teacher gives no depth; its confidence is not kept.
    `out/teacher.json` names the teacher.

    Args:
        teacher: A metric teacher, or labels that are stored already.
        images: Images of `list_unlabelled(folder, out)`.
        out: Folder in which `NAME.png` is written.
        progress: Called with the number of images that are done, and that of all.
        log: Called with one line for each kind of implausible depth that the teacher gives, and
            for what is assumed of it.
        strict: Whether an assumption or the first implausible depth, which is not stored, is an
            error.

    Returns:
        The number of labels written.

    Raises:
        UserError: The teacher is relative, `out` holds other labels or is in use by another
            process, an image or a label that is there cannot be used, a file cannot be written, or
            depth is implausible and `strict` is set (exit code 4).
    """
    if teacher.quantity != "metric":
        raise UserError(
            f"{teacher.name} gives relative depth, which has no unit; add a metric teacher "
            "to whose depth it is aligned, as a second --teacher"
        )
    for line in teacher.warnings.values():
        log(line)
    refuse_warnings(teacher.warnings, strict)
    written, watch = 0, OutputWatch(True, log)
    with run_folder(out, "ghostdepth label"):
        _open(teacher, out)
        require_usable_images(images)
        for index, image in enumerate(images):
            path = out / f"{image.name}.png"
            if not path.is_file():
                photo = read_rgb(image.rgb)
                if isinstance(teacher, StoredLabels):
                    metres = teacher(image.name)
                else:
                    metres = _label(teacher, photo)
                watch(image.name, metres, photo)
                refuse_warnings(watch.codes, strict)
                write_depth(path, millimetres(metres))
                written += 1
            progress(index + 1, len(images))
    return written


def _open(teacher: Teacher | StoredLabels, out: Path) -> None:
    record = out / RECORD
    if record.is_file():
        found = read_json(record)
        if found != {"teacher": teacher.identity}:
            named = found.get("teacher") if isinstance(found, dict) else found
            raise UserError(
                f"{out} holds labels of {named}, not of {teacher.identity}; choose another --out"
            )
    elif any(out.glob("[!.]*.png")):
        raise UserError(
            f"{out} holds labels but no {RECORD} that names their teacher; choose another --out"
        )
    write_json(record, {"teacher": teacher.identity})


def _label(teacher: Teacher, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """HxW metres, 0 = unknown, at most `LARGEST_SIDE` long."""
    labels = teacher(torch.from_numpy(rgb).permute(2, 0, 1)[None])
    metres = torch.where(labels.weight > 0, labels.log_depth.exp(), 0.0)[0, 0].numpy()
    scale = LARGEST_SIDE / max(metres.shape)
    if scale >= 1:
        return metres
    size = (max(1, round(metres.shape[1] * scale)), max(1, round(metres.shape[0] * scale)))
    # Sampled, not averaged: no depth appears between two objects.
    near = cv2.resize(metres, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(near, np.float32)

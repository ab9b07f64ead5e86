"""Public depth datasets -> the project's dataset folder (`rgb/NAME` + `depth/NAME.png`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from bench_depth.accuracy.readers import find_frames
from bench_depth.accuracy.readers.frame import DatasetFrame
from bench_depth.core.dataset import write_depth
from bench_depth.core.errors import UserError
from bench_depth.core.files import read_regular, real_path, write_bytes
from numpy.typing import NDArray

from ghostdepth_train.run_folder import run_folder

JPEG_QUALITY = 95


def convert(
    source: str,
    path: Path,
    out: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    split: str | None = None,
) -> int:
    """Writes a source's pairs into a dataset folder.

    Depth becomes uint16 millimetres: negative, NaN, infinite and above 65.535 m become 0 = unknown.
    Pairs that `out` already holds whole are not read again, so that a conversion that was stopped
    continues where it was.

    Args:
        source: A key of `bench_depth.accuracy.readers.DATASET_FORMATS`.
        path: The source's file or folder, as its reader describes it.
        out: The dataset folder; made where missing. Not inside `path`.
        progress: Called with (pairs done, pairs in all) before the first and after each pair.
        split: A part of the source, where it has named parts; None takes all.

    Returns:
        How many pairs of this source `out` holds now.

    Raises:
        UserError: An unknown source or split, another process at work in `out`, or a file that is
            missing, damaged or not in the source's format; pairs before it are written and stay.
    """
    path, out = Path(path), Path(out)
    frames = find_frames(source, path, split)
    if real_path(out).is_relative_to(real_path(path)):
        raise UserError(f"--out {out} lies inside the source {path}; choose another folder")
    with run_folder(out, "ghostdepth convert"):
        for done, frame in enumerate(frames):
            if progress:
                progress(done, len(frames))
            _write(frame, out)
    if progress:
        progress(len(frames), len(frames))
    return len(frames)


def _write(frame: DatasetFrame, out: Path) -> None:
    """Writes one pair into the dataset folder `out`, unless it is there already."""
    suffix = frame.photo.suffix.lower() if isinstance(frame.photo, Path) else ".jpg"
    rgb_path = out / "rgb" / f"{frame.name}{suffix}"
    depth_path = out / "depth" / f"{frame.name}.png"
    if rgb_path.is_file() and depth_path.is_file():
        return
    rgb, depth = frame.read()
    # A file is copied as it is: no second loss by JPEG.
    photo = read_regular(frame.photo) if isinstance(frame.photo, Path) else _jpeg(rgb)
    write_bytes(rgb_path, photo)
    write_depth(depth_path, depth)


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    ok, data = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not ok:
        raise UserError(f"cannot encode a {rgb.shape[1]}x{rgb.shape[0]} photo as JPEG")
    return data.tobytes()

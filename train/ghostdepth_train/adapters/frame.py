"""What an adapter finds, how it is written, and what several adapters need to read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from bench_depth.dataset import read_rgb, write_depth
from bench_depth.errors import UserError
from bench_depth.files import write_bytes
from numpy.typing import NDArray

MAX_MILLIMETRES = 65535
JPEG_QUALITY = 95


@dataclass(frozen=True)
class Frame:
    """One pair of a source: found, but not read yet, so that a resumed conversion can skip it.

    Attributes:
        name: The pair's name in the dataset folder, without suffix.
        photo: A .jpg or .png file, which is copied as it is; or a function that gives HxWx3 uint8
            RGB, which is written as JPEG.
        depth: A function that gives HxW float32 metres; 0, NaN and infinity are unknown.
    """

    name: str
    photo: Path | Callable[[], NDArray[np.uint8]]
    depth: Callable[[], NDArray[np.float32]]


def write_frame(frame: Frame, out: Path) -> None:
    """Writes one pair into the dataset folder `out`, unless it is there already.

    Raises:
        UserError: The source cannot be read, photo and depth differ in size, or the disk is full.
    """
    suffix = frame.photo.suffix.lower() if isinstance(frame.photo, Path) else ".jpg"
    rgb_path = out / "rgb" / f"{frame.name}{suffix}"
    depth_path = out / "depth" / f"{frame.name}.png"
    if rgb_path.is_file() and depth_path.is_file():
        return
    rgb = read_rgb(frame.photo) if isinstance(frame.photo, Path) else frame.photo()
    depth = frame.depth()
    if rgb.shape[:2] != depth.shape:
        raise UserError(
            f"the photo of {frame.name} is {rgb.shape[1]}x{rgb.shape[0]} but its depth map is "
            f"{depth.shape[1]}x{depth.shape[0]}; the source may be damaged, fetch it again"
        )
    photo = frame.photo.read_bytes() if isinstance(frame.photo, Path) else _jpeg(rgb)
    write_bytes(rgb_path, photo)
    write_depth(depth_path, millimetres(depth))


def millimetres(depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """HxW metres -> whole millimetres; what uint16 cannot hold becomes 0 = unknown."""
    values = np.rint(np.asarray(depth, np.float64) * 1000)
    # NaN fails both comparisons.
    return np.where((values > 0) & (values <= MAX_MILLIMETRES), values, 0.0)


def read_png16(path: Path, per_metre: float) -> NDArray[np.float32]:
    """Reads a depth PNG as HxW float32 metres: its uint16 values / `per_metre`, 0 = unknown.

    Raises:
        UserError: The file is missing, damaged, or not a 16-bit single-channel picture.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise UserError(f"{path} is not a readable picture; it may be truncated, fetch it again")
    if image.dtype != np.uint16 or image.ndim != 2:
        found = (
            f"{8 * image.dtype.itemsize}-bit, {1 if image.ndim == 2 else image.shape[2]} channels"
        )
        raise UserError(
            f"{path} is {found}; this source's depth is a 16-bit single-channel PNG with "
            f"{per_metre:g} steps a metre; use the file as it was published"
        )
    return np.asarray(image / np.float32(per_metre), np.float32)


def require_file(path: Path, why: str) -> Path:
    """Gives `path` back; `why` says in an error what it is needed for.

    Raises:
        UserError: `path` is not a file.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing, but {why}; is the source unpacked whole?")
    return path


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    ok, data = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not ok:
        raise UserError(f"cannot encode a {rgb.shape[1]}x{rgb.shape[0]} photo as JPEG")
    return data.tobytes()

"""What a reader finds, and what several readers need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.core.dataset import read_rgb
from bench_depth.core.errors import UserError

MAX_MILLIMETRES = 65535


@dataclass(frozen=True)
class DatasetFrame:
    """One pair of a source: found, but not read yet.

    Attributes:
        name: The pair's name, unique in its source, fit for a file name without suffix.
        photo: A .jpg or .png file, or a function that gives HxWx3 uint8 RGB.
        depth: A function that gives HxW uint16 millimetres, 0 = unknown.
    """

    name: str
    photo: Union[Path, Callable[[], NDArray[np.uint8]]]
    depth: Callable[[], NDArray[np.uint16]]

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """Reads both: HxWx3 uint8 RGB and HxW uint16 millimetres, 0 = unknown.

        Raises:
            UserError: The source cannot be read, or photo and depth differ in size.
        """
        rgb = read_rgb(self.photo) if isinstance(self.photo, Path) else self.photo()
        depth = self.depth()
        if rgb.shape[:2] != depth.shape:
            raise UserError(
                f"the photo of {self.name} is {rgb.shape[1]}x{rgb.shape[0]} but its depth map is "
                f"{depth.shape[1]}x{depth.shape[0]}; the source may be damaged, fetch it again"
            )
        return rgb, depth


def millimetres(metres: NDArray[np.floating]) -> NDArray[np.uint16]:
    """HxW metres -> whole millimetres; what uint16 cannot hold becomes 0 = unknown.

    That is: negative, NaN, infinite, and above 65.535 m.
    """
    values = np.rint(np.asarray(metres, np.float64) * 1000)
    # NaN fails both comparisons.
    return np.where((values > 0) & (values <= MAX_MILLIMETRES), values, 0.0).astype(np.uint16)


def read_png16(path: Path, per_metre: float) -> NDArray[np.uint16]:
    """Reads a depth PNG as HxW millimetres: uint16 values, `per_metre` a metre, 0 = unknown.

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
    return millimetres(image / np.float32(per_metre))


def require_file(path: Path, why: str) -> Path:
    """Gives `path` back; `why` says in an error what it is needed for.

    Raises:
        UserError: `path` is not a file.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing, but {why}; is the source unpacked whole?")
    return path

"""A frame found by a reader, and helpers that several readers share."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.dataset import read_stored_rgb, read_uint16
from bench_depth.core.errors import UserError
from bench_depth.core.files import require_regular

MAX_MILLIMETRES = 65535


@dataclass(frozen=True)
class DatasetFrame:
    """One photo of a published dataset and its ground truth, found but not read yet.

    Attributes:
        name: Name of the frame, unique in its dataset and valid as a file name without suffix.
        photo: A .jpg or .png file, or a function that returns HxWx3 uint8 RGB.
        depth: A function that returns HxW uint16 millimetres, 0 = unknown.
    """

    name: str
    photo: Union[Path, Callable[[], NDArray[np.uint8]]]
    depth: Callable[[], NDArray[np.uint16]]

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """Reads both: HxWx3 uint8 RGB and HxW uint16 millimetres, 0 = unknown.

        Raises:
            UserError: A file cannot be read, or photo and depth differ in size.
        """
        rgb = read_stored_rgb(self.photo) if isinstance(self.photo, Path) else self.photo()
        depth = self.depth()
        if rgb.shape[:2] != depth.shape:
            raise UserError(
                f"the photo of {self.name} is {rgb.shape[1]}x{rgb.shape[0]} but its depth map is "
                f"{depth.shape[1]}x{depth.shape[0]}; the data may be damaged, download it again"
            )
        return rgb, depth


def millimetres(metres: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Converts HxW metres to millimetres, rounded to integers.

    Negative, NaN and infinite values, and those above 65.535 m, become 0 = unknown.
    """
    values = np.rint(np.asarray(metres, np.float64) * 1000)
    # NaN fails both comparisons.
    return np.where((values > 0) & (values <= MAX_MILLIMETRES), values, 0.0).astype(np.uint16)


def read_png16(path: Path, per_metre: float) -> NDArray[np.uint16]:
    """Reads a depth PNG (uint16, 0 = unknown) as HxW uint16 millimetres.

    Args:
        path: The file.
        per_metre: Value of a pixel at 1 m.

    Raises:
        UserError: The file is missing, damaged, or not a 16-bit single-channel picture.
    """
    expected = (
        f"this dataset's depth is a 16-bit single-channel PNG with {per_metre:g} steps per metre; "
        "use the file as it was published"
    )
    return millimetres(read_uint16(path, expected) / np.float32(per_metre))


def require_file(path: Path, why: str) -> Path:
    """Returns `path`.

    Args:
        path: The file.
        why: Purpose of the file, for the error message.

    Raises:
        UserError: `path` is not a regular file.
    """
    if not os.path.lexists(path):
        raise UserError(f"{path} is missing, but {why}; has the dataset been unpacked completely?")
    return require_regular(path)

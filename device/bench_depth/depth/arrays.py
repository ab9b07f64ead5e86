"""What users give as an image or a depth map is refused in one line where it is neither."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench_depth.core.errors import UserError


def require_rgb(image: Any) -> None:
    """Checks an image that is not a path.

    Raises:
        UserError: It is not an array, HxWx3 uint8 of at least one pixel.
    """
    if image is None:
        raise UserError("there is no image but None, which cv2.imread gives for an unreadable file")
    if not isinstance(image, np.ndarray):
        given = type(image).__name__
        raise UserError(f"an image is a path or an array, HxWx3 uint8 RGB; this one is a {given}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise UserError(f"an image is HxWx3 uint8 RGB; this one is {_described(image)}")


def require_depth(depth: Any) -> None:
    """Checks a depth map.

    Raises:
        UserError: It is not an array, HxW numbers of at least one pixel.
    """
    if not isinstance(depth, np.ndarray):
        raise UserError(
            f"a depth map is an array, HxW float32; this one is a {type(depth).__name__}"
        )
    if depth.ndim != 2 or depth.dtype.kind not in "fiu" or not depth.size:
        raise UserError(f"a depth map is HxW float32; this one is {_described(depth)}")


def _described(array: np.ndarray[Any, Any]) -> str:
    return f"{'x'.join(map(str, array.shape)) or 'one'} {array.dtype}"

"""The colour map of depth maps: OpenCV's plasma, perceptually uniform; near is light."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

NAME = "plasma"
# Grey level of pixels without depth; plasma contains no neutral grey.
UNKNOWN = 128


def table() -> NDArray[np.uint8]:
    """The colour map: 256x3 uint8 RGB, from near to far."""
    ramp = np.arange(255, -1, -1, dtype=np.uint8)[:, np.newaxis]
    return np.asarray(cv2.applyColorMap(ramp, cv2.COLORMAP_PLASMA)[:, 0, ::-1], np.uint8)


def paint(
    depth: NDArray[np.float32], known: NDArray[np.bool_], near: float, far: float
) -> NDArray[np.uint8]:
    """Colours a depth map.

    Args:
        depth: HxW float32 depth map.
        known: HxW mask of the pixels that have depth; the others become grey.
        near: Depth of the first colour, in the unit of `depth`.
        far: Depth of the last colour; must differ from `near`.

    Returns:
        HxWx3 uint8 RGB.
    """
    position = (np.where(known, depth, near) - near) / (far - near)
    picture = table()[np.clip(position * 255 + 0.5, 0, 255).astype(np.uint8)]
    picture[~known] = UNKNOWN
    return picture

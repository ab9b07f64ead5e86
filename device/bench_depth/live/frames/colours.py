"""The colours of a depth map: OpenCV's plasma, perceptually even; near is light, far is dark."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

NAME = "plasma"
# No depth there: neutral grey, which plasma has not.
UNKNOWN = 128


def table() -> NDArray[np.uint8]:
    """256x3 RGB: from near to far."""
    ramp = np.arange(255, -1, -1, dtype=np.uint8)[:, np.newaxis]
    return np.asarray(cv2.applyColorMap(ramp, cv2.COLORMAP_PLASMA)[:, 0, ::-1], np.uint8)


def paint(
    depth: NDArray[np.float32], known: NDArray[np.bool_], near: float, far: float
) -> NDArray[np.uint8]:
    """Colours a depth map.

    Args:
        depth: HxW.
        known: HxW; what is not becomes grey.
        near: Depth of the first colour.
        far: Depth of the last; another than `near`.

    Returns:
        HxWx3 uint8 RGB.
    """
    place = (np.where(known, depth, near) - near) / (far - near)
    picture = table()[np.clip(place * 255 + 0.5, 0, 255).astype(np.uint8)]
    picture[~known] = UNKNOWN
    return picture

"""Depth with the edges of its photo: a fast guided filter.

Source: He, Sun and Tang, "Guided Image Filtering", TPAMI 2013, equations 5, 6 and 8; the small grid
is that of He and Sun, "Fast Guided Filter", arXiv 1505.00996.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.model.postprocess import resize_depth

# The grid on which lines are fitted: its longer side, and the radius of a window, in cells.
GRID = 160
RADIUS = 4
# Variance of grey levels (0 to 1) in a window; what is below it counts as noise of the photo.
EPSILON = 0.003


def sharpen(
    depth: NDArray[np.float32], photo: NDArray[np.uint8], *, metric: bool
) -> NDArray[np.float32]:
    """Moves the blurred edges of a depth map to where its photo has edges.

    In every window of a small grid ln depth is fitted as a linear function of the photo's grey
    level; each pixel of the photo then gets the mean of the lines around it. Where the photo has an
    edge and the depth does not change, the line is flat, so that most texture leaves no mark.

    Args:
        depth: HxW float32 of any size, as the model gives it.
        photo: HxWx3 uint8 RGB.
        metric: Whether depth is in metres. Relative depth, which may be 0 or negative, is fitted
            without the logarithm.

    Returns:
        HxW float32 of the photo's size, between the smallest and the largest value of `depth`.
        Depth that is partly unknown (not finite; in metres also 0 or less) is resized alone.
    """
    height, width = photo.shape[:2]
    near, far = float(depth.min()), float(depth.max())
    if not np.isfinite([near, far]).all() or (metric and near <= 0):
        return resize_depth(depth, height, width)
    scale = min(1.0, GRID / max(height, width))
    cells = max(1, round(width * scale)), max(1, round(height * scale))
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    guide = cv2.resize(grey, cells, interpolation=cv2.INTER_AREA)
    smaller = depth.shape[0] > cells[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    values = cv2.resize(cv2.log(depth) if metric else depth, cells, interpolation=how)
    slope, offset = (
        cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
        for part in _lines(np.asarray(guide, np.float32), np.asarray(values, np.float32))
    )
    sharp = cv2.add(cv2.multiply(slope, grey), offset)
    sharp = cv2.exp(sharp) if metric else sharp
    return np.asarray(np.clip(sharp, near, far), np.float32)


def _lines(
    guide: NDArray[np.float32], values: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slope and offset for every cell, HxW each: the mean of those of the windows that it is in."""
    mean, mean_value = _mean(guide), _mean(values)
    variance = _mean(guide * guide) - mean * mean
    spread = np.maximum(variance, 0) + np.float32(EPSILON)
    slope = np.asarray((_mean(guide * values) - mean * mean_value) / spread, np.float32)
    return _mean(slope), _mean(np.asarray(mean_value - slope * mean, np.float32))


def _mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of each window; beyond the border stands the mirror image."""
    side = 2 * RADIUS + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)

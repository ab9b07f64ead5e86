"""Changes of a training pair that keep its geometry honest."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ghostdepth_train.config import AugmentConfig

Photo = NDArray[np.uint8]
Depth = NDArray[np.float32]

_GREY = np.array([0.299, 0.587, 0.114])


def augment(
    rgb: Photo, depth: Depth, size: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
) -> tuple[Photo, Depth]:
    """Flips, zooms and recolours one pair.

    Args:
        rgb: HxWx3 uint8.
        depth: HxW metres, 0 = unknown.
        size: Height and width of the result.
        config: What may be changed, and how much.
        rng: Where the chance comes from.

    Returns:
        The pair at `size`.
    """
    zoom = rng.uniform(1.0, config.zoom)
    rgb, depth = zoom_crop(rgb, depth, zoom, (rng.random(), rng.random()), size, rng.random() < 0.5)
    if rng.random() < config.flip:
        rgb, depth = np.ascontiguousarray(rgb[:, ::-1]), np.ascontiguousarray(depth[:, ::-1])
    if config.colour:
        rgb = recolour(rgb, config.colour, rng)
    if config.noise:
        sigma = np.float32(rng.uniform(0, config.noise))
        noise = sigma * rng.standard_normal(rgb.shape, np.float32)
        rgb = np.asarray(cv2.add(rgb, noise, dtype=cv2.CV_8U), np.uint8)
    return rgb, depth


def zoom_crop(
    rgb: Photo,
    depth: Depth,
    zoom: float,
    place: tuple[float, float],
    size: tuple[int, int],
    smooth: bool = True,
) -> tuple[Photo, Depth]:
    """Cuts a window 1/zoom as large, enlarges it to `size` and divides the depth by `zoom`.

    What fills more of the picture through the same lens stands nearer: a pinhole camera of focal
    length f sees a width X at depth Z as f X / Z, so enlarging by s is the view from Z / s.

    Args:
        rgb: HxWx3 uint8.
        depth: HxW metres, 0 = unknown.
        zoom: At least 1.
        place: Where the window lies, 0..1 from top and from left.
        size: Height and width of the result.
        smooth: Average over the source's pixels (area), or take bilinear samples, as the
            exported graph does.

    Returns:
        The pair at `size`. Depth is sampled, never averaged: no depth appears between two objects.
    """
    height, width = depth.shape
    h, w = max(1, round(height / zoom)), max(1, round(width / zoom))
    top, left = round(place[0] * (height - h)), round(place[1] * (width - w))
    rgb = rgb[top : top + h, left : left + w]
    depth = depth[top : top + h, left : left + w]
    how = cv2.INTER_AREA if smooth and h >= size[0] else cv2.INTER_LINEAR
    photo = cv2.resize(rgb, (size[1], size[0]), interpolation=how)
    near = cv2.resize(depth, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(photo, np.uint8), np.asarray(near / zoom, np.float32)


def recolour(rgb: Photo, strength: float, rng: np.random.Generator) -> Photo:
    """Random white balance, saturation, contrast, brightness and gamma, in this order.

    Args:
        rgb: HxWx3 uint8.
        strength: 0..1; the largest relative change.
        rng: Where the chance comes from.
    """
    # All but gamma is one affine map of the three channels, and gamma a table of 256 bytes: ten
    # times faster than step by step in float.
    balance = np.diag(rng.uniform(1 - strength / 3, 1 + strength / 3, 3))
    saturation, contrast, brightness, gamma = rng.uniform(1 - strength, 1 + strength, 4)
    grey = np.ones((3, 1)) @ _GREY[None]
    matrix = (grey + saturation * (np.eye(3) - grey)) @ balance
    middle = float((matrix @ rgb.mean((0, 1))).mean())
    offset = np.full((3, 1), brightness * (1 - contrast) * middle)
    changed = cv2.transform(rgb, np.hstack([brightness * contrast * matrix, offset]))
    table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return np.asarray(cv2.LUT(changed, table), np.uint8)

"""Changes of a picture that leave its geometry alone."""

from __future__ import annotations

import cv2
import numpy as np

from ghostdepth_train.augment.geometry import Photo

_GREY = np.array([0.299, 0.587, 0.114])


def smear(rgb: Photo, length: float, angle: float, roundness: float) -> Photo:
    """Blurs as a camera that moves (`roundness` 0) or is out of focus (1).

    Args:
        rgb: HxWx3 uint8.
        length: Standard deviation along the motion, pixels.
        angle: Direction of the motion, radians.
        roundness: Standard deviation across the motion, in units of that along it.
    """
    if length < 0.2:
        return rgb
    reach = int(np.ceil(2.5 * length))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = np.exp(-((along / length) ** 2 + (across / max(0.2, roundness * length)) ** 2) / 2)
    return np.asarray(cv2.filter2D(rgb, -1, kernel / kernel.sum()), np.uint8)


def recolour(rgb: Photo, strength: float, rng: np.random.Generator) -> Photo:
    """Random white balance, saturation, contrast, brightness and gamma, in this order.

    Args:
        rgb: HxWx3 uint8.
        strength: 0..1; the largest relative change.
        rng: Source of the random numbers.
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

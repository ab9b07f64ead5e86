"""From scene-linear light to an 8-bit photo: exposure, white balance, film curve, sensor noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def develop(
    light: NDArray[np.float32], generator: np.random.Generator, brightness: float
) -> NDArray[np.uint8]:
    """Turns light into a photo.

    Args:
        light: (H, W, 3) float32, linear, any scale, >= 0.
        generator: Source of the noise and of the errors of the white balance.
        brightness: Mean of the photo to aim for, 0..1 in sRGB values.

    Returns:
        (H, W, 3) uint8 sRGB.
    """
    light = np.nan_to_num(light, nan=0.0, posinf=100.0).clip(0.0)
    means = light.reshape(-1, 3).mean(axis=0) + 1e-6
    # A camera corrects part of the lamp's colour, not all of it.
    gains = (means.mean() / means) ** generator.uniform(0.5, 0.8)
    light = light * gains * generator.uniform(0.97, 1.03, 3)
    exposure = _expose(light, brightness)
    height, width = light.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = 1 - generator.uniform(0.02, 0.1) * (x**2 + y**2)
    shown = _film(light * exposure * vignette[..., None])
    noise = generator.normal(size=light.shape) * generator.uniform(0.004, 0.009)
    return ((shown + noise).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _expose(light: NDArray[np.float32], brightness: float) -> float:
    """The factor at which the developed picture has the mean `brightness`, by bisection."""
    small = light[::4, ::4]
    low, high = -14.0, 14.0
    for _ in range(40):
        middle = (low + high) / 2
        if float(_film(small * 2.0**middle).mean()) < brightness:
            low = middle
        else:
            high = middle
    return float(2.0**low)


def _film(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Exponential shoulder, sRGB transfer curve, a little contrast."""
    linear = 1 - np.exp(-light)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    contrast = curve * curve * (3 - 2 * curve)
    return np.asarray(0.65 * curve + 0.35 * contrast, np.float32)

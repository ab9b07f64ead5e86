"""All changes of a pair, one after the other."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ghostdepth_train.augment.colours import recolour, smear
from ghostdepth_train.augment.geometry import (
    Depth,
    Photo,
    crop_matrix,
    tilt,
    tilt_matrix,
    zoom_crop,
)
from ghostdepth_train.augment.near import stand_before
from ghostdepth_train.config import AugmentConfig


def augment(
    rgb: Photo, depth: Depth, size: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
) -> tuple[Photo, Depth]:
    """Flips, zooms and recolours one pair.

    Args:
        rgb: HxWx3 uint8.
        depth: HxW metres, 0 = unknown.
        size: Height and width of the result.
        config: Probabilities and limits of the changes.
        rng: Source of the random numbers.

    Returns:
        The pair at `size`.
    """
    rgb, depth, _ = reframe(rgb, depth, size, config, rng)
    return retouch(rgb, config, rng), depth


def reframe(
    rgb: Photo, depth: Depth, size: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
) -> tuple[Photo, Depth, NDArray[np.float64]]:
    """What of `augment` changes where things are: zoom, flip, near things, tilt.

    Args:
        rgb: HxWx3 uint8.
        depth: HxW metres, 0 = unknown.
        size: Height and width of the result.
        config: Probabilities and limits of the changes.
        rng: Source of the random numbers.

    Returns:
        The pair at `size`, and the 3x3 matrix from the pixels (column, row, 1) of what was given
        to those of the result, up to a factor; pixel (0, 0) has its middle at (0, 0).
    """
    # As many pictures from 1 to 2 as from 2 to 4.
    zoom = (config.zoom * config.widen) ** rng.random() / config.widen
    place = rng.random(), rng.random()
    matrix = crop_matrix(depth.shape[0], depth.shape[1], zoom, place, size)
    rgb, depth = zoom_crop(rgb, depth, zoom, place, size, rng.random() < 0.5)
    if rng.random() < config.flip:
        rgb, depth = np.ascontiguousarray(rgb[:, ::-1]), np.ascontiguousarray(depth[:, ::-1])
        matrix = np.array([[-1, 0, size[1] - 1], [0, 1, 0], [0, 0, 1]]) @ matrix
    if config.near and rng.random() < config.near:
        rgb, depth = stand_before(rgb, depth, rng)
    if config.tilt:
        angles = np.radians(config.tilt) * rng.uniform(-1, 1, 3)
        rgb, depth = tilt(rgb, depth, angles)
        matrix = tilt_matrix(angles, *size) @ matrix
    return rgb, depth, matrix


def retouch(rgb: Photo, config: AugmentConfig, rng: np.random.Generator) -> Photo:
    """What of `augment` changes the picture alone: blur, colours, noise.

    Args:
        rgb: HxWx3 uint8.
        config: Probabilities and limits of the changes.
        rng: Source of the random numbers.
    """
    if config.blur:
        # Sharp pictures are the most common ones.
        length = config.blur * rng.random() ** 2
        rgb = smear(rgb, length, rng.uniform(0, np.pi), rng.random())
    if config.grey and rng.random() < config.grey:
        rgb = np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    if config.colour:
        rgb = recolour(rgb, config.colour, rng)
    if config.noise:
        sigma = np.float32(rng.uniform(0, config.noise))
        noise = sigma * rng.standard_normal(rgb.shape, np.float32)
        rgb = np.asarray(cv2.add(rgb, noise, dtype=cv2.CV_8U), np.uint8)
    return rgb

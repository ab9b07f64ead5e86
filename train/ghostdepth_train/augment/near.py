"""Things close before the camera: NYU's cameras saw nothing nearer than 0.7 m.

Rectangles of the size of screens, books and boxes, and table tops below the camera, seen through
NYU's camera at the distance that their size in the picture says.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from ghostdepth_train.augment.geometry import Depth, Photo, along_rays, intrinsics, turned

# Gives the look of a surface of so many rows and columns.
Look = Callable[[int, int], Photo]


def stand_before(rgb: Photo, depth: Depth, rng: np.random.Generator) -> tuple[Photo, Depth]:
    """Puts up to three rectangles, perhaps on a table top, before what is farther away.

    Args:
        rgb: HxWx3 uint8.
        depth: HxW metres, 0 = unknown.
        rng: Source of the random numbers.
    """
    # What is near is neither sharper nor softer than the rest: sharpness must not tell depth.
    rgb = _soften(rgb, rng)
    ground = rng.uniform(0.12, 0.5)
    if rng.random() < 0.4:
        length, width = rng.uniform(0.4, 1.2), rng.uniform(0.6, 2.0)
        middle = np.array([rng.uniform(-0.4, 0.4), ground, rng.uniform(0.2, 0.5) + length / 2])
        lying = turned([np.pi / 2, 0, 0]) @ turned([0, 0, rng.uniform(-0.5, 0.5)])
        top = partial(_plain, rng)
        rgb, depth = _put(rgb, depth, top, middle, lying, (width, length))
    for _ in range(rng.integers(1, 4)):
        distance = rng.uniform(0.35, 1.2)
        width = rng.uniform(0.18, 0.65)
        height = width * rng.uniform(0.5, 1.4)
        sideways = rng.uniform(-0.6, 0.6) * distance
        middle = np.array([sideways, ground - height / 2 - rng.uniform(0, 0.15), distance])
        facing = turned(rng.uniform([-0.4, -0.6, -0.1], [0.4, 0.6, 0.1]))
        look = partial(_surface, rng, rgb)
        rgb, depth = _put(rgb, depth, look, middle, facing, (width, height))
    return rgb, depth


def _put(
    rgb: Photo,
    depth: Depth,
    look: Look,
    middle: NDArray[np.float64],
    facing: NDArray[np.float64],
    size: tuple[float, float],
) -> tuple[Photo, Depth]:
    """Draws a rectangle of `size` metres where it is nearer than what is there."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) / 2 * [*size, 1]
    corners = corners @ facing.T + middle
    if corners[:, 2].min() < 0.1:
        return rgb, depth
    height, width = depth.shape
    seen = corners @ intrinsics(height, width).T
    seen = seen[:, :2] / seen[:, 2:] - 0.5
    # As many pixels as it takes in the picture: enlarged, it would be softer than all else.
    h, w = _sides(seen, 2 * max(height, width))
    surface = look(h, w)
    flat = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32) - 0.5
    home = cv2.getPerspectiveTransform(flat, seen.astype(np.float32))
    drawn = cv2.warpPerspective(
        surface, home, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    cover = np.full((h, w), 255, np.uint8)
    coverage = cv2.warpPerspective(cover, home, (width, height)).astype(np.float32) / 255
    normal = facing[:, 2]
    along = along_rays(normal, height, width)
    plane = np.float32(normal @ middle) / np.where(np.abs(along) < 1e-6, np.float32(1e-6), along)
    coverage[(depth > 0) & (depth < plane) | (plane <= 0)] = 0
    mixed = rgb + coverage[..., None] * (drawn.astype(np.float32) - rgb)
    return np.rint(mixed).astype(np.uint8), np.where(coverage > 0.5, plane, depth).astype(
        np.float32
    )


def _sides(corners: NDArray[np.float64], most: int) -> tuple[int, int]:
    """Rows and columns of what is drawn at these corners, clockwise from the top left."""
    sides = np.linalg.norm(corners - np.roll(corners, -1, 0), axis=1)
    high, wide = max(sides[1], sides[3]), max(sides[0], sides[2])
    return int(np.clip(round(high), 8, most)), int(np.clip(round(wide), 8, most))


def _plain(rng: np.random.Generator, h: int, w: int) -> Photo:
    """One colour, with a soft change of light, and a grain of some width."""
    grey = rng.uniform(15, 240)
    colour = np.clip(grey + rng.normal(0, rng.choice([4, 45]), 3), 0, 255)
    light = cv2.resize(rng.normal(1, 0.12, (2, 3)), (w, h), interpolation=cv2.INTER_CUBIC)
    # From noise to bands along either side, as of wood and cloth.
    coarse = np.exp(rng.uniform(0, np.log(12), 2))
    rows, columns = (max(1, round(n / k)) for n, k in zip((h, w), coarse, strict=True))
    bands = rng.normal(0, rng.uniform(0, 12), (rows, columns))
    grain = cv2.resize(bands, (w, h), interpolation=cv2.INTER_LINEAR)
    fine = rng.normal(0, rng.uniform(0, 8), (h, w))
    looks = light[..., None] * colour + grain[..., None] + fine[..., None]
    return np.clip(looks, 0, 255).astype(np.uint8)


def _surface(rng: np.random.Generator, rgb: Photo, h: int, w: int) -> Photo:
    """A piece of the picture or one colour, with rectangles and lines of writing, and a frame."""
    if rng.random() < 0.5:
        height, width = rgb.shape[:2]
        zoom = rng.uniform(0.7, 1.6)
        high, wide = min(height, round(h / zoom) + 1), min(width, round(w / zoom) + 1)
        top, left = rng.integers(height - high + 1), rng.integers(width - wide + 1)
        piece = np.ascontiguousarray(rgb[top : top + high, left : left + wide])
        surface = np.asarray(cv2.resize(piece, (w, h), interpolation=cv2.INTER_AREA), np.uint8)
    else:
        surface = _plain(rng, h, w)
    for _ in range(rng.integers(0, 5)):
        x, y = int(rng.integers(0, w * 7 // 8)), int(rng.integers(0, h * 7 // 8))
        right = x + int(w * rng.uniform(0.08, 0.5)) + 1
        low = y + int(h * rng.uniform(0.08, 0.5)) + 1
        cv2.rectangle(surface, (x, y), (right, low), rng.uniform(0, 255, 3).tolist(), -1)
        ink = rng.uniform(0, 255, 3).tolist()
        for line in range(y + 2, low, int(rng.integers(3, 8))) if rng.random() < 0.6 else ():
            cv2.line(surface, (x + 1, line), (int(rng.integers(x + 1, right + 1)), line), ink)
    if rng.random() < 0.6:
        frame = rng.uniform(0, 60) if rng.random() < 0.7 else rng.uniform(60, 255)
        width = max(1, round(min(h, w) * rng.uniform(0.02, 0.1)))
        cv2.rectangle(surface, (0, 0), (w - 1, h - 1), [frame] * 3, width)
    return _soften(surface, rng)


def _soften(rgb: Photo, rng: np.random.Generator) -> Photo:
    """Out of focus in every third case."""
    if rng.random() > 1 / 3:
        return rgb
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.3, 2.0)), np.uint8)

"""Changes of where the camera is and looks, with the depth that it then sees."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
Depth = NDArray[np.float32]

# Of NYU's cameras, in widths of the picture.
FOCAL = 0.81


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
    A window that is larger than the picture shows its mirror image beside it, of unknown depth.

    Args:
        rgb: HxWx3 uint8.
        depth: HxW metres, 0 = unknown.
        zoom: At least 0.5.
        place: Position of the window, 0..1 from the top and from the left.
        size: Height and width of the result.
        smooth: Average over the source's pixels (area), or take bilinear samples, as the
            exported graph does.

    Returns:
        The pair at `size`. Depth is sampled, never averaged: no depth appears between two objects.
    """
    top, left, h, w = crop_window(depth.shape[0], depth.shape[1], zoom, place)
    if zoom < 1:
        rgb, depth = _surrounded(rgb, depth, (top, left, h, w))
    else:
        rgb = rgb[top : top + h, left : left + w]
        depth = depth[top : top + h, left : left + w]
    how = cv2.INTER_AREA if smooth and h >= size[0] else cv2.INTER_LINEAR
    photo = cv2.resize(rgb, (size[1], size[0]), interpolation=how)
    near = cv2.resize(depth, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(photo, np.uint8), np.asarray(near / zoom, np.float32)


def _without_frame(known: NDArray[np.bool_]) -> slice:
    """The rows or columns without a thin frame of no depth, as NYU's photos have.

    Mirrored, a frame is a line within the picture.
    """
    most = len(known) // 20
    # Where nothing is known so near the edge, argmax is 0, and all is kept.
    first, last = (int(side[: most + 1].argmax()) for side in (known, known[::-1]))
    return slice(first, len(known) - last)


def _surrounded(rgb: Photo, depth: Depth, window: tuple[int, int, int, int]) -> tuple[Photo, Depth]:
    """A window that holds the whole picture: what is known of it, and its mirror image around."""
    top, left, h, w = window
    rows, columns = (_without_frame(np.asarray((depth > 0).any(axis))) for axis in (1, 0))
    rgb, depth = rgb[rows, columns], depth[rows, columns]
    above, before = rows.start - top, columns.start - left
    border = above, top + h - rows.stop, before, left + w - columns.stop
    photo = cv2.copyMakeBorder(rgb, *border, cv2.BORDER_REFLECT)
    known = cv2.copyMakeBorder(depth, *border, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(photo, np.uint8), np.asarray(known, np.float32)


def crop_window(
    height: int, width: int, zoom: float, place: tuple[float, float]
) -> tuple[int, int, int, int]:
    """The window that `zoom_crop` cuts from a picture of this size.

    Args:
        height: Rows of the picture.
        width: Columns of the picture.
        zoom: At least 0.5; below 1 the window is larger than the picture.
        place: Position of the window, 0..1 from the top and from the left.

    Returns:
        First row, first column, number of rows and number of columns, in pixels of the picture.
    """
    h, w = max(1, round(height / zoom)), max(1, round(width / zoom))
    return round(place[0] * (height - h)), round(place[1] * (width - w)), h, w


def intrinsics(height: int, width: int) -> NDArray[np.float64]:
    """The 3x3 matrix of NYU's cameras for a picture of this size, origin in its corner."""
    focal = FOCAL * width
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def crop_matrix(
    height: int, width: int, zoom: float, place: tuple[float, float], size: tuple[int, int]
) -> NDArray[np.float64]:
    """The 3x3 matrix from a picture's pixels to those that `zoom_crop` makes of them.

    Args:
        height: Rows of the picture.
        width: Columns of the picture.
        zoom: At least 0.5.
        place: Position of the window, 0..1 from the top and from the left.
        size: Height and width of the result.

    Returns:
        A matrix for (column, row, 1); pixel (0, 0) has its middle at (0, 0).
    """
    top, left, h, w = crop_window(height, width, zoom, place)
    down, across = size[0] / h, size[1] / w
    return np.array(
        [
            [across, 0, across * (0.5 - left) - 0.5],
            [0, down, down * (0.5 - top) - 0.5],
            [0, 0, 1],
        ]
    )


@functools.lru_cache(maxsize=4)
def _slopes(height: int, width: int) -> tuple[Depth, Depth]:
    x = (np.arange(width, dtype=np.float32)[None] + 0.5 - width / 2) / (FOCAL * width)
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5 - height / 2) / (FOCAL * width)
    return x, y


def along_rays(normal: NDArray[np.float64], height: int, width: int) -> Depth:
    """HxW products of a vector and the rays through the pixels' middles, which have depth 1."""
    x, y = _slopes(height, width)
    a, b, c = normal.astype(np.float32)
    return np.asarray(a * x + b * y + c, np.float32)


def turned(angles: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation about x (right), then y (down), then z (ahead), by angles in radians."""
    about = [cv2.Rodrigues(angle * axis)[0] for angle, axis in zip(angles, np.eye(3), strict=True)]
    return np.asarray(about[2] @ about[1] @ about[0], np.float64)


def tilt_matrix(
    angles: Sequence[float] | NDArray[np.float64], height: int, width: int
) -> NDArray[np.float64]:
    """The 3x3 matrix from a picture's pixels to those that `tilt` makes of them.

    Args:
        angles: Angles of the turn, see `turned`.
        height: Rows of the picture.
        width: Columns of the picture.

    Returns:
        A matrix for (column, row, 1), up to a factor; pixel (0, 0) has its middle at (0, 0).
    """
    camera = intrinsics(height, width)
    corner = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    forth = camera @ turned(angles).T @ np.linalg.inv(camera)
    return np.asarray(np.linalg.inv(corner) @ forth @ corner, np.float64)


def tilt(
    rgb: Photo, depth: Depth, angles: Sequence[float] | NDArray[np.float64]
) -> tuple[Photo, Depth]:
    """Turns the camera where it stands; what comes into view is mirrored, its depth unknown.

    Args:
        rgb: HxWx3 uint8.
        depth: HxW metres, 0 = unknown.
        angles: Angles of the turn, see `turned`.
    """
    height, width = depth.shape
    # A pixel of the result to one of the source.
    back = np.linalg.inv(tilt_matrix(angles, height, width))
    photo = cv2.warpPerspective(
        rgb,
        back,
        (width, height),
        flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    seen = cv2.warpPerspective(
        depth, back, (width, height), flags=cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST
    )
    # `seen` is along the old axis, where a ray of the result has this depth.
    old = along_rays(turned(angles)[2], height, width)
    return np.asarray(photo, np.uint8), np.asarray(seen / old, np.float32)

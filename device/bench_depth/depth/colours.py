"""Depth maps as coloured images; near is light, far is dark."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import UserError, did_you_mean
from bench_depth.depth.arrays import require_depth
from bench_depth.depth.scale import Scale

# Perceptually uniform; light at the end that stands for near.
NAME = "plasma"
# Grey level of pixels without depth; plasma contains no neutral grey.
UNKNOWN = 128
# The colour bar of a picture of so many rows or fewer; of a taller one all of it is larger.
_BAR_ROWS = 480
_BAR_WIDTH = 16
_BAR_MARGIN = 76
_TICKS = 5


def colour_maps() -> dict[str, int]:
    """OpenCV's colour maps: their lower-case names, such as `turbo`, and OpenCV's constants."""
    prefix = "COLORMAP_"
    return {
        name[len(prefix) :].lower(): int(getattr(cv2, name))
        for name in dir(cv2)
        if name.startswith(prefix)
    }


# Every frame of a video is painted with the same map.
@lru_cache
def table(name: str = NAME) -> NDArray[np.uint8]:
    """A colour map as 256x3 uint8 RGB, from near to far; read-only, made once for each name.

    Args:
        name: One of `colour_maps()`.

    Raises:
        UserError: OpenCV has no such colour map.
    """
    known = colour_maps()
    if name not in known:
        names = ", ".join(sorted(known))
        raise UserError(
            f"unknown colour map {name!r}; choose from {names}{did_you_mean(name, known)}"
        )
    ramp = np.arange(255, -1, -1, dtype=np.uint8)[:, np.newaxis]
    colours = np.ascontiguousarray(cv2.applyColorMap(ramp, known[name])[:, 0, ::-1], np.uint8)
    colours.flags.writeable = False
    return colours


def paint(
    depth: NDArray[np.float32],
    known: NDArray[np.bool_],
    near: float,
    far: float,
    colour_map: str = NAME,
) -> NDArray[np.uint8]:
    """Colours a depth map.

    Args:
        depth: HxW float32 depth map.
        known: HxW mask of the pixels that have depth; the others become grey.
        near: Depth of the first colour, in the unit of `depth`.
        far: Depth of the last colour; must differ from `near`.
        colour_map: One of `colour_maps()`.

    Returns:
        HxWx3 uint8 RGB.
    """
    unknown = None if known.all() else ~known
    # In place: for a large picture each new array costs more than what is calculated.
    position = depth - near
    position /= far - near
    position *= 255
    position += 0.5
    np.clip(position, 0, 255, out=position)
    if unknown is not None:
        position[unknown] = 0
    # OpenCV looks colours up ten times faster than an index of numpy.
    colours = table(colour_map)[:, np.newaxis]
    picture = np.asarray(cv2.applyColorMap(position.astype(np.uint8), colours), np.uint8)
    if unknown is not None:
        picture[unknown] = UNKNOWN
    return picture


def colourise(
    depth: NDArray[np.float32],
    *,
    near: Optional[float] = None,
    far: Optional[float] = None,
    colour_map: str = NAME,
    inverse: bool = False,
) -> NDArray[np.uint8]:
    """Colours a depth map with a range of its own.

    Args:
        depth: HxW float32 depth map; metres, or without unit. Values that are not finite have no
            colour and become grey.
        near: Depth of the first colour; None for the 2nd percentile of the map.
        far: Depth of the last colour; None for the 98th percentile.
        colour_map: One of `colour_maps()`.
        inverse: Whether larger values are nearer, as in relative inverse depth.

    Returns:
        HxWx3 uint8 RGB.

    Raises:
        UserError: `depth` is no depth map, or OpenCV has no such colour map.
    """
    require_depth(depth)
    scale = Scale(relative=True, inverse=inverse)
    ends = scale.ends(depth)
    first, last = (ends[0] if near is None else near), (ends[1] if far is None else far)
    if first == last:
        last = first + 0.01
    return paint(depth, scale.known(depth), first, last, colour_map)


def with_scale(
    picture: NDArray[np.uint8], near: float, far: float, unit: str, colour_map: str = NAME
) -> NDArray[np.uint8]:
    """Adds a colour bar with labels to the right of a coloured depth map.

    The bar grows with the height of the picture, so that its labels can be read in any size.

    Args:
        picture: HxWx3 uint8 RGB of `paint`.
        near: Depth of the first colour, at the top of the bar.
        far: Depth of the last colour, at the bottom.
        unit: Written behind each number, such as `m`; empty for relative depth.
        colour_map: The colour map of the picture.

    Returns:
        HxWx3 uint8 RGB, wider than `picture` by an even number of pixels.
    """
    height = picture.shape[0]
    zoom = max(1.0, height / _BAR_ROWS)
    gap, bar, text_at = (round(zoom * part) for part in (6, _BAR_WIDTH, _BAR_WIDTH + 10))
    # Even, as videos must be.
    margin: Any = np.full((height, round(zoom * _BAR_MARGIN / 2) * 2, 3), 255, np.uint8)
    rows = np.linspace(0, 255, height).round().astype(np.uint8)
    margin[:, gap : gap + bar] = table(colour_map)[rows][:, np.newaxis]
    digits = 2 if abs(far - near) < 1 else 1
    for tick in range(_TICKS):
        fraction = tick / (_TICKS - 1)
        text = f"{near + (far - near) * fraction:.{digits}f} {unit}".rstrip()
        row = round(6 * zoom + fraction * (height - 12 * zoom) + 4 * zoom)
        cv2.putText(
            margin, text, (text_at, row), cv2.FONT_HERSHEY_SIMPLEX, 0.38 * zoom, (0, 0, 0),
            round(zoom), cv2.LINE_AA,
        )  # fmt: skip
    return np.hstack([picture, margin])

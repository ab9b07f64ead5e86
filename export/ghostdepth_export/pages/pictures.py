"""Photos and depth maps as pictures that a page carries in itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

Depth = NDArray[np.float32]

# Both are perceptually even; near is light, as if lit from the camera.
DEPTH_COLOURS = "plasma_r"
# As on the page of bench-depth: blue is too near, red too far.
ERROR_COLOURS = "RdBu_r"
# The error map's ends: a factor of 1.5 too near or too far.
ERROR_END = 1.5
PICTURE_WIDTH = 400


def depth_range(truth: Depth) -> tuple[float, float]:
    """The ends of a scene's colour scale: nearly all of its true depth, in round decimetres.

    Args:
        truth: HxW metres, 0 = unknown.

    Returns:
        Near and far end, metres. A map without any known pixel gives (0, 1).
    """
    known = truth[truth > 0]
    if known.size == 0:
        return 0.0, 1.0
    near, far = np.percentile(known, (1, 99))
    near = np.floor(near * 10) / 10
    return float(near), float(max(np.ceil(far * 10) / 10, near + 0.1))


def depth_picture(depth: Depth, near: float, far: float) -> str:
    """A depth map in colours, as a data URI.

    Args:
        depth: HxW metres; 0 = unknown, which becomes transparent.
        near: Depth of the scale's first colour, metres.
        far: Depth of its last colour.
    """
    return _map_picture((depth - near) / (far - near), depth > 0, DEPTH_COLOURS)


def error_picture(depth: Depth, truth: Depth) -> tuple[str, float]:
    """Where a prediction is too near (blue) or too far (red) once its overall scale is forgiven.

    This is what si-RMSE is made of: ln(depth / truth) less its mean.

    Args:
        depth: HxW metres.
        truth: HxW metres, 0 = unknown, which becomes transparent.

    Returns:
        The picture as a data URI, and the scale that was forgiven: the (geometric) mean of depth /
        truth; 1 where nothing is known.
    """
    known = (truth > 0) & (depth > 0)
    error = np.log(np.where(known, depth, 1) / np.where(known, truth, 1))
    mean = float(error[known].mean()) if known.any() else 0.0
    place = (error - mean) / (2 * np.log(ERROR_END)) + 0.5
    return _map_picture(place, known, ERROR_COLOURS), float(np.exp(mean))


def photo_picture(photo: NDArray[np.uint8]) -> str:
    """A photo (HxWx3 uint8 RGB) as a data URI."""
    small = _shrink(photo, cv2.INTER_AREA)
    return _data_uri(cv2.cvtColor(small, cv2.COLOR_RGB2BGR), ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 85])


def gradient(colours: str, stops: int = 17) -> str:
    """A colour map as a CSS gradient from left to right."""
    table = _colour_table(colours)[np.linspace(0, 255, stops).astype(int)]
    return f"linear-gradient(90deg, {', '.join(f'#{bytes(colour).hex()}' for colour in table)})"


def _map_picture(place: NDArray[np.floating[Any]], known: NDArray[np.bool_], colours: str) -> str:
    """Colours for places 0..1 on a colour map; what lies outside takes the end's colour."""
    index = np.rint(np.clip(place, 0, 1) * 255).astype(np.uint8)
    # Nearest, here as the truth is never to be mixed across an edge; then there are only the
    # map's 256 colours, which pack well without loss.
    index = _shrink(index, cv2.INTER_NEAREST)
    alpha = _shrink(known.astype(np.uint8) * 255, cv2.INTER_NEAREST)
    bgra = np.dstack([_colour_table(colours)[index][..., ::-1], alpha])
    bgra[alpha == 0] = 0
    # Above 100 means lossless.
    return _data_uri(bgra, ".webp", [cv2.IMWRITE_WEBP_QUALITY, 101])


def _colour_table(colours: str) -> NDArray[np.uint8]:
    values = mpl.colormaps[colours](np.arange(256) / 255)[:, :3]
    return np.asarray(np.rint(np.asarray(values) * 255), np.uint8)


def _shrink(image: NDArray[np.uint8], interpolation: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if width <= PICTURE_WIDTH:
        return image
    size = (PICTURE_WIDTH, max(1, round(height * PICTURE_WIDTH / width)))
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)


def _data_uri(image: NDArray[Any], suffix: str, options: Sequence[int]) -> str:
    ok, data = cv2.imencode(suffix, image, list(options))
    assert ok, f"OpenCV cannot encode {image.shape} {image.dtype} as {suffix}"
    kind = {".jpg": "jpeg", ".webp": "webp"}[suffix]
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode()}"

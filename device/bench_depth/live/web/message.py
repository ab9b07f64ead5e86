"""Encodes one frame for the browser: image, depth map and figures in one message."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.depth.outputs import encode as encode_image
from bench_depth.depth.scale import Scale, to_millimetres

# These give about 20 to 40 kB of JPEG and 15 kB of depth per frame.
PHOTO_WIDTH = 640
JPEG_QUALITY = 75
DEPTH_SIDE = 160


def encode(
    photo: NDArray[np.uint8], depth: NDArray[np.float32], scale: Scale, figures: dict[str, Any]
) -> bytes:
    """Encodes one frame.

    Args:
        photo: HxWx3 uint8 RGB; sent at most 640 pixels wide.
        depth: float32 depth map of any size; sent with at most 160 pixels per side, each of them
            a value of `depth` rather than an average.
        scale: Scale of `depth`.
        figures: Further JSON values that the page shows.

    Returns:
        The length of the header (4 bytes, big-endian), the header (JSON: `figures`, and `photo`:
        the JPEG's length, `size`: the photo's width and height, `depth`: the width and height
        of the depth map, `base` and `step`: see `to_codes`), the JPEG, the depth map (see `pack`).
    """
    jpeg = encode_image(".jpg", shrunk(photo), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    codes, base, step = to_codes(sample(depth), scale)
    header = json.dumps(
        {
            **figures,
            "photo": len(jpeg),
            "size": [photo.shape[1], photo.shape[0]],
            "depth": [codes.shape[1], codes.shape[0]],
            "base": base,
            "step": step,
        },
        allow_nan=False,
    ).encode()
    return b"".join([struct.pack(">I", len(header)), header, jpeg, pack(codes)])


def sample(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples a depth map at the centres of at most 160x160 equal cells."""
    shrink = max(1.0, max(depth.shape) / DEPTH_SIDE)
    indices = []
    for side in depth.shape:
        count = max(1, round(side / shrink))
        indices.append(((np.arange(count) + 0.5) * side / count).astype(np.intp))
    return depth[np.ix_(*indices)]


def to_codes(depth: NDArray[np.float32], scale: Scale) -> tuple[NDArray[np.uint16], float, float]:
    """Quantizes a depth map to 16 bits.

    Returns:
        HxW uint16 codes, base and step: depth = base + step * code; code 0 is unknown. Metric depth
        has base 0 and step 0.001, so that codes are millimetres (at most 65.535 m); relative depth
        uses the whole range of codes.
    """
    known = scale.known(depth)
    if not scale.relative:
        return to_millimetres(depth), 0.0, 0.001
    values = depth[known].astype(np.float64)
    low, high = (values.min(), values.max()) if values.size else (0.0, 1.0)
    step = float(high - low) / 65534 or 1.0
    base = float(low) - step
    codes = np.where(known, np.rint((np.where(known, depth, low) - base) / step), 0)
    return codes.astype(np.uint16), base, step


def pack(codes: NDArray[np.uint16]) -> bytes:
    """Compresses a map of codes losslessly.

    Horizontal differences (modulo 2^16; the first code of a row unchanged), split into a plane of
    high bytes and a plane of low bytes, compressed with zlib.
    """
    steps = codes.copy()
    steps[:, 1:] -= codes[:, :-1]
    planes = [(steps >> 8).astype(np.uint8), (steps & 255).astype(np.uint8)]
    return zlib.compress(np.stack(planes).tobytes(), 1)


def shrunk(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The photo, HxWx3, at most `PHOTO_WIDTH` pixels wide."""
    height, width = photo.shape[:2]
    if width <= PHOTO_WIDTH:
        return photo
    size = (PHOTO_WIDTH, max(1, round(height * PHOTO_WIDTH / width)))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)

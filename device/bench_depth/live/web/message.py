"""One frame as bytes for a browser: photo, depth and figures that belong together."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.live.frames.scale import Scale

# Some 20 to 40 kB of photo and 15 kB of depth per frame.
PHOTO_WIDTH = 640
JPEG_QUALITY = 75
DEPTH_SIDE = 160


def encode(
    photo: NDArray[np.uint8], depth: NDArray[np.float32], scale: Scale, figures: dict[str, Any]
) -> bytes:
    """Packs a frame.

    Args:
        photo: HxWx3 uint8 RGB; sent at most 640 pixels wide.
        depth: HxW of any size; what is sent is at most 160 pixels to a side, each of them a value
            of `depth`, none an average.
        scale: Of `depth`.
        figures: What else the page shows; JSON.

    Returns:
        The length of the header (4 bytes, big-endian), the header (JSON: `figures`, and `photo`:
        the JPEG's length, `size`: the photo's width and height, `depth`: the map's width and
        height, `base` and `step`: see `to_codes`), the JPEG, the map (see `pack`).
    """
    jpeg = _jpeg(photo)
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
    """Takes the value in the middle of each of at most 160x160 equal cells."""
    shrink = max(1.0, max(depth.shape) / DEPTH_SIDE)
    places = []
    for side in depth.shape:
        count = max(1, round(side / shrink))
        places.append(((np.arange(count) + 0.5) * side / count).astype(np.intp))
    return depth[np.ix_(*places)]


def to_codes(depth: NDArray[np.float32], scale: Scale) -> tuple[NDArray[np.uint16], float, float]:
    """A depth map in 16 bits.

    Returns:
        Codes, base and step: a depth is base + step * code, code 0 is unknown. Metres have base 0
        and step 0.001, so that codes are millimetres (at most 65.535 m); relative depth is spread
        over the codes.
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


def to_millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Metres to whole millimetres, 1 to 65535; 0 for what is not finite and positive."""
    known = Scale().known(depth)
    codes = np.clip(np.rint(np.where(known, depth, 0) * 1000), known, 65535)
    return codes.astype(np.uint16)


def pack(codes: NDArray[np.uint16]) -> bytes:
    """Compresses a map of codes without loss.

    Each code less its left neighbour (modulo 2^16; the first of a row less 0), then all high bytes
    and all low bytes, then zlib.
    """
    steps = codes.copy()
    steps[:, 1:] -= codes[:, :-1]
    planes = [(steps >> 8).astype(np.uint8), (steps & 255).astype(np.uint8)]
    return zlib.compress(np.stack(planes).tobytes(), 1)


def _jpeg(photo: NDArray[np.uint8]) -> bytes:
    height, width = photo.shape[:2]
    if width > PHOTO_WIDTH:
        size = (PHOTO_WIDTH, max(1, round(height * PHOTO_WIDTH / width)))
        photo = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
    ok, data = cv2.imencode(
        ".jpg", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    assert ok, "a photo that was decoded can be encoded"
    return data.tobytes()

"""Pictures of every kind whose headers say other sizes, twice, or in other types."""

from __future__ import annotations

from functools import cache

import numpy as np
from damage import Rng, pick

KINDS = (".jpg", ".jpg progressive", ".png", ".bmp", ".webp", ".tiff", ".ppm")
# Sizes, types and counts of tags, lengths of headers.
NUMBERS = (0, 1, 2, 3, 4, 12, 13, 16, 36, 40, 256, 257, 268, 2**14, 2**15, 2**31 - 1, 2**32 - 1)
PIECES = (b"\xff\x01", b"\xff\xd0", b"\xff\xd8", b"\xff\xd9", b"\xff\xff", b"#", b"\r", b"#\r\n")


@cache
def sound(kind: str, side: int) -> bytes:
    """A picture of a kind, 4/3 as wide as high."""
    import cv2

    shape = (3 * side, 4 * side, 3)
    image = np.random.default_rng(side).integers(0, 256, shape).astype(np.uint8)
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1] if "progressive" in kind else []
    return bytes(cv2.imencode(kind.split(maxsplit=1)[0], image, options)[1].tobytes())


def other_header(rng: Rng) -> bytes:
    """A picture in whose first bytes one to four numbers or pieces are others."""
    data = bytearray(sound(pick(rng, KINDS), 16))
    for _ in range(int(rng.integers(1, 5))):
        place = int(rng.integers(0, min(len(data), 400)))
        number = pick(rng, NUMBERS).to_bytes(4, pick(rng, ("little", "big")))
        other = sound(pick(rng, KINDS), 40)
        start = int(rng.integers(0, 200))
        repeated = bytes(data[place : place + int(rng.integers(1, 60))])
        piece = pick(rng, (number, number, other[start : start + 40], repeated, pick(rng, PIECES)))
        # Over what is there, or before it.
        data[place : place + pick(rng, (len(piece), 0))] = piece
    return bytes(data)


def many_scans(rng: Rng) -> bytes:
    """A progressive JPEG whose last scan stands there very many times."""
    data = sound(".jpg progressive", 40)
    last, end = data.rindex(b"\xff\xda"), len(data) - 2
    return data[:end] + data[last:end] * int(rng.integers(0, 5000)) + data[end:]

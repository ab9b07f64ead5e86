"""The numbers in a MATLAB 5 file, as `save -v6` and `-v7` write it.

NYU's split lists are such files; SciPy reads them too, but a Pi need not carry it for that. The
format: MathWorks, "MAT-File Format", Level 5 MAT-files. A header of 128 bytes, then elements, each
a tag (type, size) and data; a variable is an element of elements, often compressed with zlib.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
# Type of an element's data -> NumPy's.
_NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
# MATLAB's classes of real numbers, from double to uint64.
_CLASSES = range(6, 16)
_MOST_BYTES = 16 << 20


def read_numbers(path: Path, name: str) -> Optional[NDArray[np.float64]]:
    """The elements of one numeric variable, in MATLAB's order (by columns).

    Args:
        path: The file.
        name: The variable.

    Returns:
        N float64, or None where the file has no such variable.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not such a file, is truncated or damaged, has over 16 MB, or the variable
            is not numeric.
    """
    with open(path, "rb") as stream:
        data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it has over {_MOST_BYTES >> 20} MB")
    order = {b"IM": "<", b"MI": ">"}.get(data[_HEADER - 2 : _HEADER])
    if order is None:
        raise ValueError("it is not a MATLAB 5 file")
    for kind, content in _elements(data[_HEADER:], order):
        if kind == _COMPRESSED:
            kind, content = next(_elements(_inflate(content), order))  # noqa: PLW2901
        if kind == _MATRIX and (found := _variable(content, order, name)) is not None:
            return found
    return None


def _variable(content: bytes, order: str, name: str) -> Optional[NDArray[np.float64]]:
    """The numbers of a matrix element: flags, dimensions, name, real part; None for other names."""
    parts = list(itertools.islice(_elements(content, order), 4))
    if len(parts) < 3 or parts[2][1].decode("latin-1") != name:
        return None
    flags, (kind, numbers) = parts[0][1], parts[-1]
    matlab_class = int.from_bytes(flags[:4], "little" if order == "<" else "big") & 0xFF
    if len(parts) < 4 or matlab_class not in _CLASSES or kind not in _NUMBERS:
        raise ValueError(f"{name} is not numeric")
    return np.frombuffer(numbers, np.dtype(order + _NUMBERS[kind])).astype(np.float64)


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and data of each element; ValueError where the data end before it does, or are none."""
    at = 0
    while True:
        if at + 8 > len(data):
            if at:
                return
            raise ValueError("it ends too early")
        kind, size = struct.unpack_from(order + "II", data, at)
        start, following = at + 8, at + 8 + size
        if kind >> 16:  # Up to four bytes of data share the tag.
            kind, size = kind & 0xFFFF, kind >> 16
            start, following = at + 4, at + 8
        elif kind != _COMPRESSED:
            following += -size % 8
        if start + size > min(following, len(data)):
            raise ValueError("it ends too early")
        yield kind, data[start : start + size]
        at = following


def _inflate(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, _MOST_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not stream.eof:
        raise ValueError(f"a variable is cut off or has over {_MOST_BYTES >> 20} MB")
    return plain

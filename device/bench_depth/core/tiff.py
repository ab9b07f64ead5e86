"""The first directory of a TIFF, which an EXIF block is as well: size and orientation."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Optional

_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _SAMPLES = 0x0100, 0x0101, 0x0102, 0x0112, 0x0115
_TILE_WIDTH, _TILE_HEIGHT = 0x0142, 0x0143
_SHORT, _LONG = 3, 4
# OpenCV makes colours with an alpha channel of palettes and of single bits.
_FEWEST_BYTES = 4


@dataclass(frozen=True)
class _Entry:
    order: str
    kind: int
    count: int
    field: bytes

    @property
    def number(self) -> int:
        """The value, if it is one integer that is not elsewhere in the file."""
        (value,) = struct.unpack_from(
            f"{self.order}{'I' if self.kind == _LONG else 'H'}", self.field
        )
        return int(value)


def exif_orientation(exif: bytes) -> int:
    """The orientation in an EXIF block (a TIFF header and its first directory); 1 for none."""
    try:
        for tag, entry in _entries(io.BytesIO(exif)):
            if tag == _ORIENTATION:
                return entry.number if 1 <= entry.number <= 8 else 1
    except (struct.error, EOFError):
        pass  # A damaged directory turns nothing.
    return 1


def tiff_layout(data: BinaryIO) -> tuple[int, int, int, int]:
    """Width, height, bytes of a decoded pixel, and pixels of a tile (1 for none), of a TIFF.

    libtiff converts numbers of types that no picture has here, and goes on without a tag that it
    cannot read. Both are refused.

    Raises:
        EOFError: A tag of these is missing, or is no single integer of 16 or 32 bits.
        struct.error: As an EOFError.
    """
    data.seek(0)
    entries: dict[int, _Entry] = {}
    for tag, entry in _entries(data):
        entries.setdefault(tag, entry)  # libtiff takes the first one.
    bits = entries.pop(_BITS, None)
    tile = _number(entries, _TILE_WIDTH, 1) * _number(entries, _TILE_HEIGHT, 1)
    pixel_bytes = _number(entries, _SAMPLES, 1) * -(-_bits(data, bits) // 8)
    size = _number(entries, _WIDTH), _number(entries, _HEIGHT)
    return (*size, max(pixel_bytes, _FEWEST_BYTES), tile)


def _number(entries: dict[int, _Entry], tag: int, default: Optional[int] = None) -> int:
    entry = entries.get(tag)
    if entry is None and default is not None:
        return default
    if entry is None or entry.kind not in (_SHORT, _LONG) or entry.count != 1:
        raise EOFError
    return entry.number


def _bits(data: BinaryIO, entry: Optional[_Entry]) -> int:
    """Bits of a channel; all channels have as many, or libtiff refuses the file."""
    if entry is None:
        return 1
    if entry.kind != _SHORT:
        raise EOFError
    if entry.count <= 2:
        return entry.number
    data.seek(struct.unpack(f"{entry.order}I", entry.field)[0])
    return int(struct.unpack(f"{entry.order}H", data.read(2))[0])


def _entries(data: BinaryIO) -> Iterator[tuple[int, _Entry]]:
    order = {b"II": "<", b"MM": ">"}.get(data.read(2))
    if order is None:
        return
    _, first = struct.unpack(f"{order}HI", data.read(6))
    data.seek(first)
    (count,) = struct.unpack(f"{order}H", data.read(2))
    for _ in range(count):
        tag, kind, values, field = struct.unpack(f"{order}HHI4s", data.read(12))
        yield tag, _Entry(order, kind, values, field)

"""What the structure of a picture file says, read without decoding it: kind, size, orientation."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Optional

from bench_depth.core.errors import UserError
from bench_depth.core.files import open_regular

# A header may claim any size. A larger picture takes more memory than a Raspberry Pi has.
MAX_PIXELS = 1 << 27
# Kinds that OpenCV does not read everywhere, or reads as something other than 8-bit colour.
_OTHER_KINDS = (
    (b"GIF8", "GIF"),
    (b"#?RADIANCE", "HDR"),
    (b"#?RGBE", "HDR"),
    (b"PF\n", "PFM"),
    (b"Pf\n", "PFM"),
    (b"v/1\x01", "OpenEXR"),
    (b"\x00\x00\x00\x0cjP", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
)
# JPEG markers of a frame, which holds the size; C4, C8 and CC are others.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class PictureHeader:
    """The header of a picture.

    Attributes:
        kind: `JPEG` or `PNG`.
        width: Width in pixels as stored.
        height: Height in pixels as stored.
        bits: Bits per channel.
        channels: Number of channels; 3 for a palette.
        orientation: EXIF orientation, 1 to 8; 1 for none.
    """

    kind: str
    width: int
    height: int
    bits: int
    channels: int
    orientation: int = 1


def read_header(path: Path) -> Optional[PictureHeader]:
    """Reads the header of a JPEG or PNG file and checks that the file is complete.

    Returns:
        The header; None for a file of another kind, which only decoding can judge.

    Raises:
        UserError: The file cannot be read, is truncated, is of a kind that is not supported, or
            claims more than `MAX_PIXELS`.
    """
    with open_regular(path) as stream:
        try:
            return parse_header(stream, path)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def parse_header(data: BinaryIO, path: Path) -> Optional[PictureHeader]:
    """As `read_header`, from a stream at its beginning; `path` is for messages."""
    start = data.read(16)
    try:
        if start.startswith(b"\x89PNG\r\n\x1a\n"):
            header = _png(data)
        elif start.startswith(b"\xff\xd8"):
            header = _jpeg(data)
        else:
            _refuse_kind(start, path)
            return None
    except (struct.error, EOFError, KeyError) as error:
        raise UserError(f"{path} is not a readable picture; it may be truncated") from error
    if not 0 < header.width * header.height <= MAX_PIXELS:
        raise UserError(
            f"{path} claims {header.width}x{header.height} pixels; from 1 to "
            f"{MAX_PIXELS // 10**6} million can be read: resize the picture"
        )
    return header


def _refuse_kind(start: bytes, path: Path) -> None:
    kind = next((name for magic, name in _OTHER_KINDS if start.startswith(magic)), None)
    if start[4:8] == b"ftyp":
        kind = "AVIF" if start[8:11] == b"avi" else "HEIC"
    if kind is not None:
        raise UserError(f"{path} is a {kind} file, which is not supported; convert it to PNG")


def _take(data: BinaryIO, count: int) -> bytes:
    found = data.read(count)
    if len(found) < count:
        raise EOFError
    return found


def _png(data: BinaryIO) -> PictureHeader:
    end = data.seek(0, io.SEEK_END)
    position, orientation = 8, 1
    size: tuple[int, ...] = ()
    while True:
        data.seek(position)
        length, kind = struct.unpack(">I4s", _take(data, 8))
        position += 12 + length
        if position > end:
            raise EOFError
        if kind == b"IHDR":
            size = struct.unpack(">IIBB", _take(data, 10))
        elif kind == b"eXIf":
            orientation = _orientation(data.read(min(length, 1 << 16)))
        elif kind == b"IEND":
            width, height, bits, colour = size or (0, 0, 0, 0)
            return PictureHeader("PNG", width, height, bits, _PNG_CHANNELS[colour], orientation)


def _jpeg(data: BinaryIO) -> PictureHeader:
    data.seek(2)
    orientation = 1
    frame: tuple[int, ...] = (0, 0, 0, 0)
    while True:
        marker = _take(data, 2)
        if marker[0] != 0xFF:
            raise EOFError
        if marker[1] == 0xFF:  # Padding before a marker.
            data.seek(-1, io.SEEK_CUR)
            continue
        (length,) = struct.unpack(">H", _take(data, 2))
        body = data.tell()
        if marker[1] in _FRAMES:
            frame = struct.unpack(">BHHB", _take(data, 6))
        elif marker[1] == 0xE1:
            found = _take(data, max(length - 2, 0))
            if found.startswith(b"Exif\0\0"):
                orientation = _orientation(found[6:])
        elif marker[1] == 0xDA:
            _require_end_of_jpeg(data)
            bits, height, width, channels = frame
            return PictureHeader("JPEG", width, height, bits, channels, orientation)
        data.seek(body + length - 2)


def _require_end_of_jpeg(data: BinaryIO) -> None:
    """Looks for the end marker, which is at the end unless a camera appended something."""
    begin, end = data.tell(), data.seek(0, io.SEEK_END)
    for tail in (4096, end):
        data.seek(max(begin, end - tail))
        if b"\xff\xd9" in data.read():
            return
    # OpenCV would fill the missing rows with grey.
    raise EOFError


def _orientation(exif: bytes) -> int:
    """The orientation in an EXIF block (a TIFF header and its first directory); 1 for none."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, first)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, first + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass  # A damaged tag turns nothing.
    return 1

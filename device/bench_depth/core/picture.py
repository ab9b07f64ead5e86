"""What the structure of a picture file says, read without decoding it: kind, size, orientation."""

from __future__ import annotations

import io
import re
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
    (b"P7\n", "PAM"),
    (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
)
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# JPEG markers of a frame, which holds the size; C4, C8 and CC are others.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_PNG_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# A file may consist of parts of a few bytes, up to its end. A picture of `MAX_PIXELS` has fewer.
_MOST_PARTS = 1 << 18
# A PNG's compressed pixels are hardly larger than the pixels; what is far larger unpacks to a
# thousand times its size, though the picture is small.
_LARGEST_PACKED = 2
_SLACK_BYTES = 1 << 16
_ORIENTATION = 0x0112
_TIFF_WIDTH, _TIFF_HEIGHT = 0x0100, 0x0101
# PBM, PGM and PPM; comments may stand between their numbers.
_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d{1,20})(?:\s|#[^\n]*\n)+(\d{1,20})\s")


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
        The header; None for a file of another kind, which has to be decoded to be checked.

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
            _check_size(*_other_size(data), path)
            return None
    except (struct.error, EOFError, KeyError) as error:
        raise UserError(f"{path} is not a readable picture; it may be truncated") from error
    _check_size(header.width, header.height, path)
    return header


def _check_size(width: int, height: int, path: Path) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise UserError(
            f"{path} claims {width}x{height} pixels; from 1 to "
            f"{MAX_PIXELS // 10**6} million can be read: resize the picture"
        )


def _refuse_kind(start: bytes, path: Path) -> None:
    kind = next((name for magic, name in _OTHER_KINDS if start.startswith(magic)), None)
    if start[4:8] == b"ftyp":
        brand = start[8:12]
        kind = "AVIF" if brand[:3] == b"avi" else "HEIC" if brand in _HEIC else "MP4"
    if kind is not None:
        raise UserError(f"{path} holds {kind}, which is not supported; convert it to PNG")


def _other_size(data: BinaryIO) -> tuple[int, int]:
    """Width and height in the header of another kind that OpenCV decodes; 1x1 where there is none.

    OpenCV takes the memory for what a header claims, and for all that a small file unpacks to.
    """
    data.seek(0)
    start = data.read(4096).ljust(64, b"\0")
    if start.startswith(b"BM"):
        width, height = struct.unpack_from("<HH" if start[14] == 12 else "<ii", start, 18)
        return abs(width), abs(height)
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return _webp_size(start)
    if start[:4] in (b"II*\0", b"MM\0*"):
        data.seek(0)
        tags = _tiff_tags(data)
        return tags.get(_TIFF_WIDTH, 1), tags.get(_TIFF_HEIGHT, 1)
    numbers = _PNM.match(start)
    return (int(numbers[1]), int(numbers[2])) if numbers else (1, 1)


def _webp_size(start: bytes) -> tuple[int, int]:
    if start[12:16] == b"VP8X":
        width, height = (int.from_bytes(start[at : at + 3], "little") for at in (24, 27))
        return width + 1, height + 1
    if start[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", start, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", start, 26)
    return width & 0x3FFF, height & 0x3FFF


def _take(data: BinaryIO, count: int) -> bytes:
    found = data.read(count)
    if len(found) < count:
        raise EOFError
    return found


def _png(data: BinaryIO) -> PictureHeader:
    end = data.seek(0, io.SEEK_END)
    position, orientation, packed = 8, 1, 0
    size: tuple[int, ...] = ()
    for _ in range(_MOST_PARTS):
        data.seek(position)
        length, kind = struct.unpack(">I4s", _take(data, 8))
        position += 12 + length
        if position > end:
            raise EOFError
        if kind == b"IHDR":
            size = struct.unpack(">IIBB", _take(data, 10))
        elif kind == b"eXIf":
            orientation = _orientation(data.read(min(length, 1 << 16)))
        elif kind == b"IDAT":
            packed += length
        elif kind == b"IEND":
            width, height, bits, colour = size or (0, 0, 8, 0)
            channels = _PNG_CHANNELS[colour]
            pixels = width * height * max(bits * channels // 8, 1)
            if bits not in _PNG_BITS[colour] or packed > _LARGEST_PACKED * pixels + _SLACK_BYTES:
                break
            return PictureHeader("PNG", width, height, bits, channels, orientation)
    raise EOFError


def _jpeg(data: BinaryIO) -> PictureHeader:
    data.seek(2)
    orientation = 1
    frame: tuple[int, ...] = (0, 0, 0, 0)
    for _ in range(_MOST_PARTS):
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
    raise EOFError


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
    value = _tiff_tags(io.BytesIO(exif)).get(_ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


def _tiff_tags(data: BinaryIO) -> dict[int, int]:
    """The first value of each tag of one integer in the first directory of a TIFF."""
    tags: dict[int, int] = {}
    order = {b"II": "<", b"MM": ">"}.get(data.read(2))
    if order is None:
        return tags
    try:
        _, first = struct.unpack(f"{order}HI", data.read(6))
        data.seek(first)
        (count,) = struct.unpack(f"{order}H", data.read(2))
        for _ in range(count):
            entry = data.read(12)
            tag, kind, _ = struct.unpack_from(f"{order}HHI", entry)
            (value,) = struct.unpack_from(f"{order}{'I' if kind == 4 else 'H'}", entry, 8)
            tags.setdefault(tag, value)
    except struct.error:
        pass  # A damaged tag turns nothing.
    return tags

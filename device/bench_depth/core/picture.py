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
from bench_depth.core.opencv import MAX_PIXELS
from bench_depth.core.tiff import exif_orientation, tiff_layout

# Of the pixels as decoded with all their channels and bits: a pixel may have one byte or eight.
MAX_BYTES = 1 << 29
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
# Of these frames a first scan of all channels is the whole picture.
_SEQUENTIAL = (0xC0, 0xC1, 0xC9)
# JPEG markers without a length; one that no segment begins with.
_BARE = frozenset(range(0xD0, 0xDA)) | {0x00, 0x01}
_AMID_SCAN = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
# Each scan of a JPEG is as much work as the picture. Ten are usual; a large one may have fewer.
_MOST_SCANS = 100
_MOST_WORK = 16 * MAX_PIXELS
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_PNG_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# A file may consist of parts of a few bytes, up to its end. A picture of `MAX_PIXELS` has fewer.
_MOST_PARTS = 1 << 18
# A PNG's compressed pixels are hardly larger than the pixels; what is far larger unpacks to a
# thousand times its size, though the picture is small.
_LARGEST_PACKED = 2
_SLACK_BYTES = 1 << 16
# PBM, PGM and PPM; comments may stand before their numbers, and end as OpenCV ends them.
_PNM = re.compile(
    rb"P([1-6])\s(?:\s|#[^\r\n]*[\r\n])*(\d{1,10})\s(?:\s|#[^\r\n]*[\r\n])*(\d{1,10})\s"
)
_WEBP_KEY_FRAME = b"\x9d\x01\x2a"


class _TooManyScansError(Exception):
    pass


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
            claims more than `MAX_PIXELS` or `MAX_BYTES`.
    """
    with open_regular(path) as stream:
        try:
            return parse_header(stream, path)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def parse_header(data: BinaryIO, path: Path) -> Optional[PictureHeader]:
    """As `read_header`, from a stream at its beginning; `path` is for messages."""
    return _parse(data, path)[1]


def parse_size(data: BinaryIO, path: Path) -> tuple[int, int]:
    """Width and height as stored, of every kind that is supported; else as `parse_header`."""
    return _parse(data, path)[0]


def _parse(data: BinaryIO, path: Path) -> tuple[tuple[int, int], Optional[PictureHeader]]:
    start = data.read(16)
    header = None
    try:
        if start.startswith(b"\x89PNG\r\n\x1a\n"):
            header = _png(data)
        elif start.startswith(b"\xff\xd8"):
            header = _jpeg(data)
        else:
            _refuse_kind(start, path)
        if header is None:
            width, height, pixel_bytes = _other_size(data)
        else:
            width, height = header.width, header.height
            pixel_bytes = header.channels * -(-header.bits // 8)
    except _TooManyScansError as error:
        raise UserError(f"{path} has more than {error} scans; store it again") from error
    except (struct.error, EOFError, KeyError) as error:
        raise UserError(f"{path} is not a readable picture; it may be truncated") from error
    _check_size(width, height, pixel_bytes, path)
    return (width, height), header


def _check_size(width: int, height: int, pixel_bytes: int, path: Path) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise UserError(
            f"{path} claims {width}x{height} pixels; from 1 to "
            f"{MAX_PIXELS // 10**6} million can be read: resize the picture"
        )
    if width * height * pixel_bytes > MAX_BYTES:
        raise UserError(
            f"{path} claims {width}x{height} pixels of {pixel_bytes} bytes; {MAX_BYTES >> 20} MiB "
            "can be read: resize the picture, or store it with fewer bits"
        )


def _refuse_kind(start: bytes, path: Path) -> None:
    kind = next((name for magic, name in _OTHER_KINDS if start.startswith(magic)), None)
    if start[4:8] == b"ftyp":
        brand = start[8:12]
        kind = "AVIF" if brand[:3] == b"avi" else "HEIC" if brand in _HEIC else "MP4"
    if kind is not None:
        raise UserError(f"{path} holds {kind}, which is not supported; convert it to PNG")


def _other_size(data: BinaryIO) -> tuple[int, int, int]:
    """Width, height and most bytes of a pixel in the header of another kind, as OpenCV reads it.

    OpenCV takes the memory for what a header claims, and for all that a small file unpacks to.

    Raises:
        EOFError: It is of no kind that is known here, which OpenCV may decode nevertheless.
    """
    data.seek(0)
    start = data.read(4096).ljust(64, b"\0")
    if start.startswith(b"BM"):
        return (*_bmp_size(start), 4)
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return (*_webp_size(start), 4)
    if start[:4] in (b"II*\0", b"MM\0*"):
        width, height, pixel_bytes, tile = tiff_layout(data)
        # A tile is unpacked as a whole, however little of it the picture covers.
        if tile * pixel_bytes > MAX_BYTES:
            raise EOFError
        return width, height, pixel_bytes
    numbers = _PNM.match(start)
    if numbers is None:
        raise EOFError
    return int(numbers[2]), int(numbers[3]), 6 if numbers[1] in b"36" else 2


def _bmp_size(start: bytes) -> tuple[int, int]:
    (header,) = struct.unpack_from("<I", start, 14)
    if header == 12:
        width, height = struct.unpack_from("<HH", start, 18)
        return width, height
    width, height = struct.unpack_from("<ii", start, 18)
    if header < 36 or width < 0:
        raise EOFError
    # A negative height stands for rows from the top.
    return width, abs(height)


def _webp_size(start: bytes) -> tuple[int, int]:
    if start[12:16] == b"VP8X":
        width, height = (int.from_bytes(start[at : at + 3], "little") for at in (24, 27))
        return width + 1, height + 1
    if start[12:16] == b"VP8L" and start[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", start, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if start[12:16] != b"VP8 " or start[23:26] != _WEBP_KEY_FRAME:
        raise EOFError
    width, height = struct.unpack_from("<HH", start, 26)
    return width & 0x3FFF, height & 0x3FFF


def _take(data: BinaryIO, count: int) -> bytes:
    found = data.read(count)
    if len(found) < count:
        raise EOFError
    return found


def _png(data: BinaryIO) -> PictureHeader:
    end = data.seek(0, io.SEEK_END)
    data.seek(8)
    # The first chunk, and the only one of its kind: decoders differ about another.
    length, kind, width, height, bits, colour = struct.unpack(">I4sIIBB", _take(data, 18))
    if (length, kind) != (13, b"IHDR") or bits not in _PNG_BITS[colour]:
        raise EOFError
    position, orientation, packed = 33, 1, 0
    for _ in range(_MOST_PARTS):
        data.seek(position)
        length, kind = struct.unpack(">I4s", _take(data, 8))
        position += 12 + length
        if position > end or kind == b"IHDR":
            raise EOFError
        if kind == b"eXIf":
            orientation = exif_orientation(data.read(min(length, 1 << 16)))
        elif kind == b"IDAT":
            packed += length
        elif kind == b"IEND":
            channels = _PNG_CHANNELS[colour]
            pixels = width * height * max(bits * channels // 8, 1)
            if packed > _LARGEST_PACKED * pixels + _SLACK_BYTES:
                break
            return PictureHeader("PNG", width, height, bits, channels, orientation)
    raise EOFError


def _jpeg(data: BinaryIO) -> PictureHeader:
    data.seek(2)
    orientation, kind = 1, 0
    frame: tuple[int, ...] = (0, 0, 0, 0)
    for _ in range(_MOST_PARTS):
        marker = _take(data, 2)
        if marker[0] != 0xFF or marker[1] in _BARE:
            raise EOFError
        if marker[1] == 0xFF:  # Padding before a marker.
            data.seek(-1, io.SEEK_CUR)
            continue
        (length,) = struct.unpack(">H", _take(data, 2))
        body = data.tell()
        if marker[1] in _FRAMES:
            if kind:
                raise EOFError
            kind, frame = marker[1], struct.unpack(">BHHB", _take(data, 6))
        elif marker[1] == 0xE1:
            found = _take(data, max(length - 2, 0))
            if found.startswith(b"Exif\0\0"):
                orientation = exif_orientation(found[6:])
        elif marker[1] == 0xDA:
            bits, height, width, channels = frame
            if kind not in _SEQUENTIAL or _take(data, 1)[0] < channels:
                data.seek(body + length - 2)
                _limit_scans(data.read(), min(_MOST_SCANS, _MOST_WORK // max(width * height, 1)))
            data.seek(body)
            _require_end_of_jpeg(data)
            return PictureHeader("JPEG", width, height, bits, channels, orientation)
        if length < 2:
            raise EOFError
        data.seek(body + length - 2)
    raise EOFError


def _limit_scans(rest: bytes, most: int) -> None:
    """Refuses a JPEG of more than `most` scans; `rest` begins behind the header of the first."""
    # So few that those in comments, and behind the picture, need not be told from the others.
    if rest.count(b"\xff\xda") < most:
        return
    scans, position = 1, 0
    for _ in range(_MOST_PARTS):
        found = _AMID_SCAN.search(rest, position)
        if found is None:
            break
        marker = rest[found.end() - 1]
        if marker == 0xD9:
            return
        scans += marker == 0xDA
        if scans > most:
            raise _TooManyScansError(most)
        position = found.end() + int.from_bytes(rest[found.end() : found.end() + 2], "big")
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

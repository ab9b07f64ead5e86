"""Headers of pictures: what they say is what decoding gives, and nothing but a line is raised."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_depth.core import picture
from bench_depth.core.dataset import (
    Pair,
    read_depth,
    read_pair,
    read_rgb,
    read_stored_rgb,
    write_depth,
)
from bench_depth.core.errors import UserError
from bench_depth.core.opencv import MAX_PIXELS
from bench_depth.core.picture import read_header


def encoded(suffix: str, image: np.ndarray) -> bytes:
    done, data = cv2.imencode(suffix, image)
    assert done
    return bytes(data.tobytes())


def with_orientation(jpeg: bytes, orientation: int, order: str = "<") -> bytes:
    """A JPEG file with an EXIF block that holds the orientation alone."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    tag = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = start + struct.pack(f"{order}IH", 8, 1) + tag + bytes(4)
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))


def claiming(width: int, height: int) -> bytes:
    """A PNG file of any size, without its pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("seed", range(8))
def test_a_header_says_what_decoding_gives(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(1, 70, 2))
    for suffix, dtype, channels in ((".jpg", np.uint8, 3), (".png", np.uint16, 1)):
        shape = (height, width) if channels == 1 else (height, width, channels)
        path = tmp_path / f"a{suffix}"
        path.write_bytes(encoded(suffix, rng.integers(0, 255, shape).astype(dtype)))
        found = read_header(path)
        assert found is not None
        assert (found.width, found.height, found.orientation) == (width, height, 1)
        assert (found.bits, found.channels) == (8 * dtype().itemsize, channels)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_damage_is_a_line_or_nothing(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    whole = encoded(suffix, rng.integers(0, 255, (24, 32, 3)).astype(np.uint8))
    path = tmp_path / f"a{suffix}"
    for _ in range(150):
        data = bytearray(whole[: rng.integers(len(whole) + 1)] if rng.random() < 0.5 else whole)
        for _ in range(int(rng.integers(0, 4))):
            if data:
                data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(data)
        for read in (read_header, read_rgb):
            try:
                read(path)
            except UserError as error:
                assert str(path) in str(error)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_half_a_file_is_truncated(tmp_path: Path, suffix: str) -> None:
    whole = encoded(suffix, np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8))
    path = tmp_path / f"a{suffix}"
    path.write_bytes(whole[: len(whole) // 2])
    for read in (read_header, read_rgb):
        with pytest.raises(UserError, match="may be truncated"):
            read(path)


@pytest.mark.parametrize("size", [(1 << 15, 1 << 15), (MAX_PIXELS, 2), (0, 5), ((1 << 31) - 1, 1)])
def test_a_size_that_no_picture_has_is_refused_before_decoding(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(claiming(*size))
    for read in (read_header, read_rgb):
        with pytest.raises(UserError, match=f"claims {size[0]}x{size[1]} pixels"):
            read(path)


def other_kinds(width: int, height: int) -> dict[str, bytes]:
    """Headers of kinds that only OpenCV decodes."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8)]
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    sides = [(side - 1).to_bytes(3, "little") for side in (width, height)]
    bits = width - 1 & 0x3FFF | (height - 1 & 0x3FFF) << 14
    return {
        "bmp": b"BM" + struct.pack("<IIIIii", 99, 0, 54, 40, width, -height),
        "ppm": b"P6\n# by hand\n%d %d\n255\n" % (width, height),
        "tiff": struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + directory,
        "webp": b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + sides[0] + sides[1],
        "lossless": b"RIFF\0\0\0\0WEBPVP8L" + struct.pack("<IBI", 5, 0x2F, bits),
    }


@pytest.mark.parametrize("kind", other_kinds(1, 1))
def test_the_size_of_every_kind_is_known_before_decoding(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(other_kinds(16000, 9000)[kind])
    for read in (read_header, read_rgb):
        with pytest.raises(UserError, match="claims 16000x9000 pixels"):
            read(path)
    path.write_bytes(other_kinds(160, 90)[kind])
    assert read_header(path) is None


@pytest.mark.parametrize("suffix", [".bmp", ".webp", ".tiff", ".ppm"])
def test_pictures_of_other_kinds_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(suffix, np.zeros((9, 16, 3), np.uint8)))
    assert read_header(path) is None
    assert read_rgb(path).shape == (9, 16, 3)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"GIF89a", "GIF"),
        (b"#?RADIANCE\n", "HDR"),
        (b"PF\n8 6\n-1.0\n", "PFM"),
        (b"Pf\n8 6\n-1.0\n", "PFM"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\0\0\x18ftypavif", "AVIF"),
        (b"\0\0\0\x18ftypisom", "MP4"),
        (b"P7\nWIDTH 30000\n", "PAM"),
        (b"MM\0+\0\x08", "BigTIFF"),
    ],
)
def test_another_kind_under_a_photos_name_is_called_by_its_name(
    tmp_path: Path, start: bytes, kind: str
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(start + bytes(500))
    for read in (read_header, read_rgb):
        with pytest.raises(UserError, match=f"holds {kind}, which is not"):
            read(path)


@pytest.mark.parametrize("colour", range(8))
def test_a_png_is_taken_for_one_where_its_decoder_knows_its_colours(
    tmp_path: Path, colour: int
) -> None:
    path = tmp_path / "a.png"
    for bits in range(33):
        chunks = [
            chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, bits, colour, 0, 0, 0)),
            *([chunk(b"PLTE", bytes(3))] if colour == 3 else []),
            chunk(b"IDAT", zlib.compress(bytes(1000))),
            chunk(b"IEND", b""),
        ]
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
        decoded = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if decoded is not None:
            assert (header := read_header(path)) and header.bits == bits
        else:
            with pytest.raises(UserError, match="is not a readable picture"):
                read_header(path)


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + 5000 * chunk(b"tEXt", b""),
        b"\xff\xd8" + 5000 * b"\xff",
        b"\xff\xd8" + 5000 * b"\xff\xfe\0\2",
        b"\xff\xd8" + 5000 * b"\xff\xc0\0\2",
    ],
    ids=["chunks", "padding", "comments", "frames"],
)
def test_a_picture_of_very_many_parts_is_not_read_to_its_end(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stream(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1) -> bytes:
            self.reads += 1
            return super().read(size)

    monkeypatch.setattr(picture, "_MOST_PARTS", 1000)
    stream = Stream(data)
    with pytest.raises(UserError, match="is not a readable picture"):
        picture.parse_header(stream, Path("a.jpg"))
    assert stream.reads < 5000


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_stands_upright_alone_and_lies_as_stored_beside_its_depth(
    tmp_path: Path, orientation: int, order: str
) -> None:
    plain = encoded(".jpg", np.random.default_rng(1).integers(0, 255, (32, 48, 3)).astype(np.uint8))
    (tmp_path / "plain.jpg").write_bytes(plain)
    turned = tmp_path / "a.jpg"
    turned.write_bytes(with_orientation(plain, orientation, order))
    found = read_header(turned)
    assert found is not None and found.orientation == orientation
    stored = read_stored_rgb(turned)
    np.testing.assert_array_equal(stored, read_rgb(tmp_path / "plain.jpg"))
    # Orientations 5 to 8 are turned by a quarter.
    assert read_rgb(turned).shape[:2] == ((48, 32) if orientation > 4 else (32, 48))
    write_depth(tmp_path / "a.png", np.full((32, 48), 1000))
    np.testing.assert_array_equal(read_pair(Pair("a", turned, tmp_path / "a.png"))[0], stored)
    write_depth(tmp_path / "a.png", np.full((48, 32), 1000))
    hint = f"EXIF orientation {orientation}" if orientation > 1 else "same size"
    with pytest.raises(UserError, match=hint):
        read_pair(Pair("a", turned, tmp_path / "a.png"))


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (64, 48), (300, 200)])
def test_noise_is_never_taken_for_a_png_that_unpacks_to_too_much(
    tmp_path: Path, size: tuple[int, int], level: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 1 << 16, (*size, 3)).astype(np.uint16)
    written = [cv2.IMWRITE_PNG_COMPRESSION, level]
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", noise, written)[1].tobytes())
    assert read_header(tmp_path / "a.png") is not None


@pytest.mark.parametrize("megabytes", [200, 1000])
@pytest.mark.parametrize("pieces", [1, 1000])
def test_a_png_that_unpacks_to_far_more_than_its_pixels_is_refused_before_decoding(
    tmp_path: Path, megabytes: int, pieces: int
) -> None:
    # What zlib makes of so many zeros is as large.
    packed = bytes(megabytes * 1000)
    step = len(packed) // pieces
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0))
    parts = [chunk(b"IDAT", packed[at : at + step]) for at in range(0, len(packed), step)]
    data = b"\x89PNG\r\n\x1a\n" + head + b"".join(parts) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UserError, match="is not a readable picture"):
        read_header(tmp_path / "a.png")


@pytest.mark.parametrize("seed", range(30))
def test_a_jpeg_of_which_a_part_is_lost_is_refused_without_a_line_of_the_decoder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(16, 200, 2))
    whole = encoded(".jpg", rng.integers(0, 255, (height, width, 3)).astype(np.uint8))
    scan = whole.index(b"\xff\xda") + 14
    cut = int(rng.integers(scan, scan + 9 * (len(whole) - scan) // 10))
    path = tmp_path / "a.jpg"
    path.write_bytes(whole[:cut].rstrip(b"\xff") + b"\xff\xd9")
    with pytest.raises(UserError, match=r"a\.jpg has damaged pixels; copy"):
        read_rgb(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("seed", range(30))
def test_a_png_with_a_changed_byte_is_refused_without_a_line_of_the_decoder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    depth = rng.integers(500, 9000, (40, 60)).astype(np.uint16)
    data = bytearray(encoded(".png", depth))
    start = data.index(b"IDAT") + 4
    data[int(rng.integers(start, data.index(b"IEND") - 8))] ^= int(rng.integers(1, 256))
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.png (has damaged pixels|is not a readable picture)"):
        read_depth(path)
    assert capfd.readouterr() == ("", "")


def test_the_padding_that_some_cameras_write_is_no_damage(tmp_path: Path) -> None:
    whole = encoded(".jpg", np.full((40, 60, 3), 99, np.uint8))
    path = tmp_path / "a.jpg"
    path.write_bytes(whole[:-2] + bytes(2) + whole[-2:])
    assert read_rgb(path).shape == (40, 60, 3)


def test_what_another_thread_writes_while_a_picture_is_decoded_is_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(".jpg", np.full((40, 60, 3), 99, np.uint8)))
    decode = cv2.imdecode

    def decode_while_another_writes(data: np.ndarray, flags: int) -> np.ndarray:
        os.write(2, b"epoch 3\nlibpng warning: iCCP: known incorrect sRGB profile\n")
        return decode(data, flags)

    monkeypatch.setattr(cv2, "imdecode", decode_while_another_writes)
    read_rgb(path)
    assert capfd.readouterr().err == "epoch 3\n"

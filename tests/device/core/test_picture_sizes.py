"""The size that is checked is the size that is decoded, and the work of decoding has a limit."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_depth.core import dataset, picture
from bench_depth.core.dataset import read_depth, read_rgb
from bench_depth.core.errors import UserError
from bench_depth.core.opencv import MAX_PIXELS
from bench_depth.core.picture import MAX_BYTES, parse_size, read_header

from tests.device.core.test_picture import chunk, claiming, encoded

SMALL, LARGE = np.zeros((24, 32, 3), np.uint8), np.zeros((90, 130, 3), np.uint8)


def ihdr(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def tiff(kind: int, count: int = 1) -> bytes:
    """Width and height of any type; where one is of 64 bits, it lies in the file."""
    pixels = zlib.compress(bytes(40 * 60))
    numbers = {16: (8, 16)}.get(kind, (60, 40))
    tags = [(256, kind, count, numbers[0]), (257, kind, count, numbers[1]), (258, 3, 1, 8)]
    tags += [(259, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 24), (277, 3, 1, 1)]
    tags += [(279, 4, 1, len(pixels))]
    head = struct.pack("<2sHIQQ", b"II", 42, 24 + len(pixels), 60, 40)
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return head + pixels + struct.pack("<H", len(tags)) + directory + bytes(4)


def disagreeing() -> dict[str, bytes]:
    """Pictures in which a careless reader finds another size than a decoder."""
    jpeg, photo = encoded(".jpg", SMALL), encoded(".jpg", LARGE)
    frame, other = (data[data.index(b"\xff\xc0") :][:19] for data in (jpeg, photo))
    png, bmp, webp = encoded(".png", LARGE), encoded(".bmp", LARGE), encoded(".webp", LARGE)
    pixels = bytes(90 * 130 * 3)
    skipped = photo[2:].ljust(0xFFE0, b"\0")
    return {
        "bmp header of 268 bytes": bmp[:14] + b"\x0c\1\0\0" + bmp[18:54] + bytes(228) + bmp,
        "bmp header of 16 bytes": bmp[:14] + struct.pack("<I", 16) + bmp[18:],
        # Where the marker had a length, it would be that of the larger picture's first marker.
        "jpeg marker without length": b"\xff\xd8\xff\x01" + skipped + jpeg[2:],
        "jpeg restart in the header": jpeg[:2] + b"\xff\xd0" + photo[2:],
        "jpeg length of nothing": jpeg[:2] + b"\xff\xfe\0\0" + photo[2:],
        "jpeg of two frames": photo.replace(b"\xff\xda", frame + b"\xff\xda"),
        "jpeg of two frames, larger last": jpeg.replace(b"\xff\xda", other + b"\xff\xda"),
        "png of two headers": png[:-12] + ihdr(32, 24) + png[-12:],
        "png of a late header": png[:8] + chunk(b"tEXt", b"a\0b") + png[8:],
        "tiff of 64 bits": tiff(16),
        "tiff of bytes": tiff(1),
        "tiff of signed numbers": tiff(9),
        "tiff of two widths": tiff(3, 2),
        "ppm comment to a return": b"P6 #c\r130 90\n255\n" + pixels,
        "ppm long comment": b"P6 #" + b"c" * 5000 + b"\n130 90\n255\n" + pixels,
        "ppm zeros before": b"P6 " + b"0" * 24 + b"130 90\n255\n" + pixels,
        "ppm mark between": b"P6 130#90 1\n2 3\n255\n" + pixels,
        "webp without riff": webp[20:],
        "webp without chunk": webp[:12] + webp[20:],
    }  # fmt: skip


@pytest.mark.parametrize("name", disagreeing())
def test_a_picture_has_the_size_that_is_decoded_or_is_refused(name: str, tmp_path: Path) -> None:
    data = disagreeing()[name]
    path = tmp_path / "a.png"
    path.write_bytes(data)
    try:
        size = parse_size(io.BytesIO(data), path)
    except UserError:
        with pytest.raises(UserError, match="is not a readable picture"):
            read_rgb(path)
    else:
        assert read_rgb(path).shape[1::-1] == size == (130, 90)


@pytest.mark.parametrize("kind", [3, 4])
def test_a_tiff_of_plain_numbers_is_read(kind: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    path.write_bytes(tiff(kind))
    assert read_rgb(path).shape == (40, 60, 3)


def test_a_tile_that_is_larger_than_any_picture_is_refused(tmp_path: Path) -> None:
    tags = [(256, 3, 1, 64), (257, 3, 1, 48), (322, 4, 1, 1 << 16), (323, 4, 1, 1 << 14)]
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    (tmp_path / "a.tiff").write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + directory)
    with pytest.raises(UserError, match="is not a readable picture"):
        read_header(tmp_path / "a.tiff")


def test_a_size_that_only_the_decoder_found_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(".png", LARGE))
    monkeypatch.setattr(dataset, "parse_size", lambda data, path: (32, 24))
    with pytest.raises(UserError, match=r"a\.png claims 32x24 pixels but holds 130x90; store it"):
        read_rgb(path)


@pytest.mark.parametrize("start", ["import bench_depth, ", "import bench_depth.core.dataset, "])
def test_opencv_itself_refuses_what_is_larger(tmp_path: Path, start: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(claiming(1 << 14, 1 << 14))
    lines = [
        f"{start}sys",
        "from pathlib import Path",
        "from bench_depth.core import dataset",
        "dataset.parse_size = lambda data, path: (1, 1)",
        "try: dataset.read_rgb(Path(sys.argv[1]))",
        "except dataset.UserError as error: print(error)",
        "import os; print(os.environ['OPENCV_IO_MAX_IMAGE_PIXELS'])",
    ]
    words = [sys.executable, "-c", "\n".join(lines), str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    refusal = f"{path} is not a readable picture; it may be truncated"
    assert done.stdout.splitlines() == [refusal, str(MAX_PIXELS)]
    assert done.stderr == ""


def test_a_limit_that_is_set_already_stays() -> None:
    code = "import os; os.environ['OPENCV_IO_MAX_IMAGE_PIXELS'] = '9'; import bench_depth; "
    code += "print(os.environ['OPENCV_IO_MAX_IMAGE_PIXELS'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "9\n"


@pytest.mark.parametrize(("bits", "colour", "size"), [(16, 6, 1 << 13), (16, 2, 11000)])
def test_a_picture_of_too_many_bytes_is_refused(
    tmp_path: Path, bits: int, colour: int, size: int
) -> None:
    path = tmp_path / "a.png"
    pixel_bytes = {2: 3, 6: 4}[colour] * bits // 8
    fits = MAX_BYTES // pixel_bytes // size
    for height, refused in ((fits, False), (fits + 1, True)):
        tail = chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + ihdr(size, height, bits, colour) + tail)
        if refused:
            with pytest.raises(UserError, match=f"of {pixel_bytes} bytes; 512 MiB can be read"):
                read_depth(path)
        else:
            assert read_header(path) is not None


def scans(count: int, between: bytes = b"", size: tuple[int, int] = (24, 32)) -> bytes:
    """A progressive JPEG whose last scan stands there so many times in all, with its other ones."""
    whole = encoded_progressive(np.full(size, 128, np.uint8))
    last, end = whole.rindex(b"\xff\xda"), len(whole) - 2
    have = whole.count(b"\xff\xda")
    return whole[:end] + (between + whole[last:end]) * (count - have) + b"\xff\xd9"


def encoded_progressive(image: np.ndarray) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert done
    return bytes(data.tobytes())


COMMENT = b"\xff\xfe\0\x06\xff\xd9\xff\xd9"


@pytest.mark.parametrize("between", [b"", COMMENT, b"\xff\xd0", b"\xff\xff"])
def test_a_jpeg_has_a_hundred_scans_at_most(tmp_path: Path, between: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(scans(100, between))
    assert read_header(path) is not None
    path.write_bytes(scans(101, between))
    for read in (read_header, read_rgb):
        with pytest.raises(UserError, match=r"a\.jpg has more than 100 scans; store it again"):
            read(path)


def test_a_large_jpeg_has_fewer_scans(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    data = scans(30)
    frame = data.index(b"\xff\xc2") + 5
    for side, refused in ((64, False), (11000, True)):
        path.write_bytes(data[:frame] + struct.pack(">HH", side, side) + data[frame + 4 :])
        if refused:
            with pytest.raises(UserError, match="has more than 17 scans"):
                read_header(path)
        else:
            assert read_header(path) is not None


def test_scans_of_single_channels_are_counted(tmp_path: Path) -> None:
    data = encoded(".jpg", SMALL)
    start = data.index(b"\xff\xda")
    one = b"\xff\xda\0\x08\1\1\0\0\x3f\0" + b"\0"
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:start] + one * 101 + b"\xff\xd9")
    with pytest.raises(UserError, match="has more than 100 scans"):
        read_header(path)


@pytest.mark.parametrize("appended", [b"\xff\xda" * 500, b"\xff\xda\0\x08" * 500 + b"\xff\xd9"])
def test_what_a_camera_appended_holds_no_scans(tmp_path: Path, appended: bytes) -> None:
    path = tmp_path / "a.jpg"
    for data in (encoded_progressive(SMALL), encoded(".jpg", SMALL)):
        path.write_bytes(data + appended)
        assert read_rgb(path).shape == SMALL.shape


def test_the_walk_over_scans_ends_early(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(picture, "_MOST_PARTS", 1000)
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded_progressive(SMALL)[:-2] + COMMENT * 2000 + b"\xff\xda" * 500)
    with pytest.raises(UserError, match="is not a readable picture"):
        read_header(path)

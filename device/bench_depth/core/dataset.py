"""The dataset folder: `rgb/NAME.(jpg|png)` + `depth/NAME.png`.

The Mobile AI challenge's layout. Depth is uint16 millimetres, 0 = unknown.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.core.compiled import native_lines
from bench_depth.core.errors import UserError
from bench_depth.core.files import (
    atomic_path,
    is_folder,
    read_regular,
    require_regular,
    require_utf8,
    unreadable_folder,
)
from bench_depth.core.picture import parse_size, read_header

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")
_DEPTH_MAP = "a depth map must be a 16-bit single-channel PNG in millimetres"
_NPY = b"\x93NUMPY"
# What libjpeg and libpng say of pixels in whose place they put grey or noise. A few bytes too many
# are the padding of some cameras.
_DAMAGED = re.compile(
    rb"Corrupt JPEG data: (?!(?:\d|1[0-5]) extraneous)|Premature end of JPEG"
    rb"|Inconsistent progression|incorrect data check"
)
# Lines of the decoders, which are no text of ours.
_DECODERS = re.compile(
    rb"(?:Corrupt JPEG data|Premature end of JPEG|Inconsistent progression|Invalid SOS|Unsupported"
    rb"|Warning: unknown JFIF|libpng (?:warning|error): |\[ *(?:WARN|ERROR)\b)[^\n]*\n?"
)


class Frame(Protocol):
    """One photo with its ground truth, from any kind of dataset; read on demand, not cached."""

    @property
    def name(self) -> str:
        """Name of the frame in its dataset, valid as a file name without suffix."""
        ...

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """Reads the photo (HxWx3 uint8 RGB) and its depth (HxW uint16 millimetres, 0 = unknown).

        Raises:
            UserError: A file is missing or damaged, or photo and depth differ in size.
        """
        ...


@dataclass(frozen=True)
class Pair:
    """The files of one photo and its depth map; a `Frame`."""

    name: str
    rgb: Path
    depth: Path

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """Reads both files, see `read_pair`."""
        return read_pair(self)


def list_pairs(folder: Path) -> list[Pair]:
    """Lists the pairs of a dataset folder, sorted by name.

    Raises:
        UserError: The folder is missing or empty, a photo has no depth, a depth has no photo, or
            one of them is no regular file.
    """
    folder = Path(folder)
    for name in ("rgb", "depth"):
        if not is_folder(folder / name):
            raise UserError(
                f"{folder / name} is not a folder; a dataset is rgb/NAME.jpg + depth/NAME.png"
            )
    photos: dict[str, Path] = {}
    for path in list_files(folder / "rgb"):
        if path.suffix.lower() in PHOTO_SUFFIXES:
            if path.stem in photos:
                raise UserError(f"two photos are called {path.stem} in {folder / 'rgb'}")
            photos[path.stem] = path
    depths = {
        path.stem: path for path in list_files(folder / "depth") if path.suffix.lower() == ".png"
    }
    if not photos and not depths:
        raise UserError(f"{folder} is empty: no photo in rgb/, no depth map in depth/")
    _refuse_unpaired(sorted(photos.keys() - depths.keys()), "photo", "depth map", folder / "depth")
    _refuse_unpaired(sorted(depths.keys() - photos.keys()), "depth map", "photo", folder / "rgb")
    # Now, rather than after hours of training.
    for path in (*photos.values(), *depths.values()):
        require_regular(path)
    return [Pair(name, photos[name], depths[name]) for name in sorted(photos)]


def list_files(folder: Path) -> list[Path]:
    """Lists what a folder holds, sorted, without hidden files.

    Raises:
        UserError: The folder cannot be read, or a name is not UTF-8.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise unreadable_folder(error) from error
    for path in paths:
        require_utf8(path.name, f" in {folder}")
    return paths


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Reads a photo as HxWx3 uint8 RGB, turned upright where its EXIF orientation says so.

    Raises:
        UserError: The file is missing or not a picture.
    """
    return _rgb(path, cv2.IMREAD_COLOR)


def read_stored_rgb(path: Path) -> NDArray[np.uint8]:
    """Reads a photo as HxWx3 uint8 RGB with its pixels as stored, as a dataset has them.

    A depth map lies over the pixels of the sensor; turning the photo alone would separate the two.

    Raises:
        UserError: The file is missing or not a picture.
    """
    return _rgb(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)


def read_depth(path: Path) -> NDArray[np.uint16]:
    """Reads a depth map as HxW uint16 millimetres, 0 = unknown.

    Raises:
        UserError: The file is missing, not a picture, or not a 16-bit single-channel one.
    """
    return read_uint16(path, _DEPTH_MAP)


def read_uint16(path: Path, expected: str) -> NDArray[np.uint16]:
    """Reads a 16-bit single-channel PNG as HxW uint16.

    Args:
        path: The file.
        expected: End of the error message for a picture of another kind.

    Raises:
        UserError: The file is missing, not a picture, or not a 16-bit single-channel one.
    """
    image = _decode(path, cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint16 or image.ndim != 2:
        channels = 1 if image.ndim == 2 else image.shape[2]
        raise UserError(wrong_kind(path, 8 * image.dtype.itemsize, channels, expected))
    return np.asarray(image, np.uint16)


def wrong_kind(path: Path, bits: int, channels: int, expected: str = _DEPTH_MAP) -> str:
    """The message about a picture that has other bits or channels than `expected` says."""
    return f"{path} is {bits}-bit, {channels} channels; {expected}"


def read_pair(pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Reads both files of a pair.

    Raises:
        UserError: As `read_rgb` and `read_depth`, or photo and depth differ in size.
    """
    rgb, depth = read_stored_rgb(pair.rgb), read_depth(pair.depth)
    if rgb.shape[:2] != depth.shape:
        raise UserError(differing_sizes(pair, rgb.shape[1::-1], depth.shape[1::-1]))
    return rgb, depth


def differing_sizes(pair: Pair, rgb: tuple[int, ...], depth: tuple[int, ...]) -> str:
    """The message about a photo and a depth map whose sizes, width and height, differ."""
    header = read_header(pair.rgb)
    turned = ""
    if header is not None and header.orientation != 1:
        turned = (
            f"; the photo has EXIF orientation {header.orientation}, which a dataset ignores: "
            "turn its pixels and remove the tag"
        )
    return (
        f"{pair.rgb} is {rgb[0]}x{rgb[1]} but {pair.depth} is {depth[0]}x{depth[1]}; "
        f"photo and depth must have the same size{turned}"
    )


def read_npy(path: Path) -> NDArray[Any]:
    """Reads an array from a .npy file.

    Raises:
        UserError: The file is missing, damaged, an archive or a pickle.
    """
    data = read_regular(path)
    reason: object = "it does not begin like one"
    # numpy.load takes archives as well.
    if data.startswith(_NPY):
        try:
            return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
        # A header is read as Python, so that a damaged one may raise anything.
        except Exception as error:
            reason = error
    raise UserError(
        f"{path} is not a readable .npy file ({reason}); it may be truncated, download it again"
    )


def write_depth(path: Path, depth_mm: NDArray[np.generic]) -> None:
    """Writes HxW millimetres (any dtype, rounded, clipped to 0..65535) as a uint16 PNG."""
    values = np.clip(np.rint(np.nan_to_num(np.asarray(depth_mm, np.float64))), 0, 65535)
    ok, data = cv2.imencode(".png", values.astype(np.uint16))
    if not ok:
        raise UserError(f"cannot encode the depth map {path} as PNG")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())


def _rgb(path: Path, flags: int) -> NDArray[np.uint8]:
    # OpenCV reads BGR.
    return np.asarray(
        cv2.cvtColor(np.asarray(_decode(path, flags), np.uint8), cv2.COLOR_BGR2RGB), np.uint8
    )


def _decode(path: Path, flags: int) -> NDArray[np.generic]:
    data = read_regular(path)
    size = parse_size(io.BytesIO(data), path)
    said: list[bytes] = []
    try:
        with native_lines(said):
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except (cv2.error, MemoryError):  # OpenCV refuses sizes that it cannot hold.
        image = None
    text = b"".join(said)
    # Another thread, that of a progress line, may have written meanwhile.
    if others := _DECODERS.sub(b"", text):
        with contextlib.suppress(OSError):
            os.write(2, others)
    if _DAMAGED.search(text):
        raise UserError(f"{path} has damaged pixels; copy the picture again, or remove it")
    if image is None:
        raise UserError(f"{path} is not a readable picture; it may be truncated")
    # An orientation may have turned it.
    if sorted(image.shape[:2]) != sorted(size):
        height, width = image.shape[:2]
        raise UserError(
            f"{path} claims {size[0]}x{size[1]} pixels but holds {width}x{height}; store it again"
        )
    return image


def _refuse_unpaired(names: Sequence[str], what: str, partner: str, where: Path) -> None:
    if names:
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        raise UserError(
            f"the {what} {names[0]}{more} has no {partner} in {where}; add it or remove the {what}"
        )

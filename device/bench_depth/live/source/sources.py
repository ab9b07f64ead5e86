"""Image sources: a Raspberry Pi camera, a USB camera, a video file, a folder of images."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Optional, Protocol

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.dataset import PHOTO_SUFFIXES, list_files, read_rgb
from bench_depth.core.errors import UserError
from bench_depth.core.files import is_folder
from bench_depth.live.source.cameras import PiCamera, UsbCamera, find_camera
from bench_depth.live.source.video import Video
from bench_depth.model.released import samples_hint

DEFAULT_SIZE = (640, 480)
# Seconds for which each image of a folder is shown.
PICTURE_SECONDS = 1.0
# The kernel's number of the devices /dev/videoN.
_VIDEO4LINUX = 81


class ImageSource(Protocol):
    """A series of images.

    Waiting for an image (`grab`) and decoding it (`take`) are separate, so that the time until a
    camera delivers its next image is not counted as work, and an image can be skipped cheaply.

    Attributes:
        name: Name of the source, for messages.
        interval: Seconds between two recorded images; None for a camera, whose rate varies.
    """

    name: str
    interval: Optional[float]

    def grab(self) -> Optional[str]:
        """Waits for the next image.

        Returns:
            The unique name of the image; None at the end of the series.

        Raises:
            UserError: The camera is disconnected, or the file is damaged.
        """
        ...

    def take(self) -> NDArray[np.uint8]:
        """The image grabbed last, HxWx3 uint8 RGB.

        Raises:
            UserError: The image cannot be decoded.
        """
        ...

    def close(self) -> None:
        """Releases the camera or file; may be called more than once."""
        ...


def open_source(
    text: str, size: Optional[tuple[int, int]] = None, loop: bool = False
) -> ImageSource:
    """Opens the image source that `--source` names.

    Args:
        text: `auto`, `picamera2`, a number N or `/dev/videoN`, a video file, an image, or a folder
            of images.
        size: Width and height in pixels requested from a camera; None for 640x480.
        loop: Whether a video or folder restarts at its end.

    Raises:
        UserError: The source does not exist, cannot be opened, or does not support an option.
    """
    path = Path(f"/dev/video{text}") if text.isdecimal() else Path(text)
    is_camera = text in ("auto", "picamera2") or _is_device(path)
    if is_camera:
        if loop:
            raise UserError("a camera has no end, so --loop does not apply; leave it out")
        if text == "auto":
            return find_camera(size or DEFAULT_SIZE)
        return (
            PiCamera(size or DEFAULT_SIZE)
            if text == "picamera2"
            else UsbCamera(path, size or DEFAULT_SIZE)
        )
    if size is not None:
        raise UserError(f"--size applies to cameras only; the images of {path} have a fixed size")
    if is_folder(path):
        return Pictures(path, _pictures_of(path), loop)
    if not os.path.lexists(path) and "://" in text:
        raise UserError(
            f"{text} is an address, and streams of a network are not opened; give a camera of this "
            "machine, a video file or a folder of images"
        )
    if not os.path.lexists(path):
        what = "it may be unplugged" if str(path).startswith("/dev/") else "check the name"
        raise UserError(f"there is no source {path}; {what}{samples_hint(path)}")
    if path.suffix.lower() in PHOTO_SUFFIXES:
        return Pictures(path, [path], loop)
    return Video(path, loop)


class Pictures:
    """A folder of images in the order of their names; see `ImageSource`.

    Args:
        path: Path that the user named, for messages.
        files: Paths of the images, at least one.
        loop: Whether the series restarts after the last image.
    """

    interval: Optional[float] = PICTURE_SECONDS

    def __init__(self, path: Path, files: Sequence[Path], loop: bool) -> None:
        self.name = str(path)
        self._files = files
        self._loop = loop
        self._next = 0

    def grab(self) -> Optional[str]:
        """See `ImageSource.grab`."""
        turn, index = divmod(self._next, len(self._files))
        if turn and not self._loop:
            return None
        self._next += 1
        stem = self._files[index].stem
        return f"{stem}-{turn + 1}" if turn else stem

    def take(self) -> NDArray[np.uint8]:
        """See `ImageSource.take`."""
        return read_rgb(self._files[(self._next - 1) % len(self._files)])

    def close(self) -> None:
        """See `ImageSource.close`."""


def _is_device(path: Path) -> bool:
    """Whether a path is a camera's device: opening another device may do anything."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) == _VIDEO4LINUX


def _pictures_of(folder: Path) -> list[Path]:
    # Of a dataset folder, the images in rgb/ are meant.
    if is_folder(folder / "rgb"):
        folder = folder / "rgb"
    files = [path for path in list_files(folder) if path.suffix.lower() in PHOTO_SUFFIXES]
    if not files:
        raise UserError(f"{folder} has no pictures ({', '.join(PHOTO_SUFFIXES)})")
    return files

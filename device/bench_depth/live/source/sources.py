"""Where pictures come from: a Pi's camera, a USB camera, a video, a folder of pictures."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Optional, Protocol

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.dataset import PHOTO_SUFFIXES, read_rgb
from bench_depth.core.errors import UserError
from bench_depth.live.source.cameras import PiCamera, UsbCamera, find_camera
from bench_depth.live.source.video import Video

DEFAULT_SIZE = (640, 480)
# How long each picture of a folder is shown.
PICTURE_SECONDS = 1.0


class Source(Protocol):
    """A series of photos.

    Waiting for a photo (`grab`) and getting at its pixels (`take`) are apart, so that the time a
    camera takes until its next photo is not counted as work, and a photo can be skipped cheaply.

    Attributes:
        name: For people.
        interval: Seconds from one photo to the next as they were recorded; None for a camera, whose
            photos come when they come.
    """

    name: str
    interval: Optional[float]

    def grab(self) -> Optional[str]:
        """Waits for the next photo.

        Returns:
            The photo's name, which no other has; None when there are no more.

        Raises:
            UserError: The camera is gone, or the file is damaged.
        """
        ...

    def take(self) -> NDArray[np.uint8]:
        """The photo grabbed last: HxWx3 uint8 RGB.

        Raises:
            UserError: It cannot be decoded.
        """
        ...

    def close(self) -> None:
        """Gives the camera or file back; may be called twice."""
        ...


def open_source(text: str, size: Optional[tuple[int, int]] = None, loop: bool = False) -> Source:
    """Opens what `--source` names.

    Args:
        text: `auto`, `picamera2`, a number N or `/dev/videoN`, a video file, a picture, or a folder
            of pictures.
        size: Width and height that a camera is asked for; None for 640x480.
        loop: Whether a video or folder starts anew at its end.

    Raises:
        UserError: There is no such source, it cannot be opened, or an option does not fit it.
    """
    path = Path(f"/dev/video{text}") if text.isdecimal() else Path(text)
    is_camera = text in ("auto", "picamera2") or _is_device(path)
    if is_camera:
        if loop:
            raise UserError("a camera does not end, so --loop means nothing; leave it out")
        if text == "auto":
            return find_camera(size or DEFAULT_SIZE)
        return (
            PiCamera(size or DEFAULT_SIZE)
            if text == "picamera2"
            else UsbCamera(path, size or DEFAULT_SIZE)
        )
    if size is not None:
        raise UserError(f"--size is for cameras; the photos of {path} have a size of their own")
    if path.is_dir():
        return Pictures(path, _pictures_of(path), loop)
    if not path.exists():
        what = "it may be unplugged" if str(path).startswith("/dev/") else "check the name"
        raise UserError(f"there is no source {path}; {what}")
    if path.suffix.lower() in PHOTO_SUFFIXES:
        return Pictures(path, [path], loop)
    return Video(path, loop)


class Pictures:
    """A folder of pictures, sorted by name; see `Source`.

    Args:
        path: What was named, for messages.
        files: The pictures, at least one.
        loop: Whether it starts anew after the last.
    """

    interval: Optional[float] = PICTURE_SECONDS

    def __init__(self, path: Path, files: Sequence[Path], loop: bool) -> None:
        self.name = str(path)
        self._files = files
        self._loop = loop
        self._next = 0

    def grab(self) -> Optional[str]:
        """See `Source.grab`."""
        turn, place = divmod(self._next, len(self._files))
        if turn and not self._loop:
            return None
        self._next += 1
        stem = self._files[place].stem
        return f"{stem}-{turn + 1}" if turn else stem

    def take(self) -> NDArray[np.uint8]:
        """See `Source.take`."""
        return read_rgb(self._files[(self._next - 1) % len(self._files)])

    def close(self) -> None:
        """See `Source.close`."""


def _is_device(path: Path) -> bool:
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return False


def _pictures_of(folder: Path) -> list[Path]:
    # A dataset folder is meant as its photos.
    if (folder / "rgb").is_dir():
        folder = folder / "rgb"
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")
    )
    if not files:
        raise UserError(f"{folder} has no pictures ({', '.join(PHOTO_SUFFIXES)})")
    return files

"""The frames of a video file as an image source."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import UserError
from bench_depth.core.files import open_regular

# Frame rate of files that specify none.
_FALLBACK_FPS = 25.0
_MAX_FPS = 1000.0
# The number of frames in a file's header is an estimate in some formats.
_TOLERANCE = 0.1
# FFmpeg opens a file by its content: a playlist, whatever its name, would have it open other files,
# pipes and addresses. These formats hold their pictures themselves. OpenCV 4.11 does not hand the
# list on, so the beginning of a file is looked at as well.
_FORMATS = (
    *("mov", "mp4", "matroska", "webm", "avi", "mpeg", "mpegts", "mpegvideo", "asf", "flv", "ogg"),
    *("mjpeg", "m4v", "h264", "hevc", "gif", "ivf", "mxf", "nut", "dv", "rm", "wtv"),
)
_BEGINNINGS = (
    *((4, name) for name in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")),
    *((0, b"\x1a\x45\xdf\xa3"), (0, b"RIFF"), (0, b"FLV"), (0, b"OggS"), (0, b"GIF8")),
    *((0, b"\x30\x26\xb2\x75"), (0, b"\xff\xd8"), (0, b"DKIF"), (0, b"\x06\x0e\x2b\x34")),
    *((0, b"nut/multimedia"), (0, b"\x1f\x07\x00"), (0, b".RMF"), (0, b"\xb7\xd8\x00\x20")),
    *((0, b"\x00\x00\x01"), (0, b"\x00\x00\x00\x01")),
)
# Packets of a transport stream, and of one with times.
_TRANSPORT = ((0, 188), (4, 192))
_FFMPEG = f"protocol_whitelist;file|format_whitelist;{','.join(_FORMATS)}"


class Video:
    """A video file; see `bench_depth.live.source.sources.ImageSource`.

    Args:
        path: Path of a video file that OpenCV's FFmpeg backend reads.
        loop: Whether the video restarts at its end.

    Raises:
        UserError: The file is not a video or is damaged.
    """

    def __init__(self, path: Path, loop: bool) -> None:
        self.name = str(path)
        self._path = path
        self._loop = loop
        self._number = 0
        self._open()
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        plausible = math.isfinite(fps) and 0 < fps <= _MAX_FPS
        self.interval: Optional[float] = 1 / (fps if plausible else _FALLBACK_FPS)

    def grab(self) -> Optional[str]:
        """See `ImageSource.grab`; frames are named by their number, from `000000`."""
        if not self._capture.grab():
            self._refuse_early_end()
            if not self._loop:
                return None
            self._capture.release()
            self._open()
            if not self._capture.grab():
                raise UserError(f"{self._path} cannot be read again from its start")
        self._frames += 1
        self._number += 1
        return f"{self._number - 1:06d}"

    def take(self) -> NDArray[np.uint8]:
        """See `ImageSource.take`."""
        ok, image = self._capture.retrieve()
        if not ok or image is None:
            raise UserError(
                f"frame {self._frames - 1} of {self._path} cannot be decoded; the file is damaged"
            )
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)

    def close(self) -> None:
        """See `ImageSource.close`."""
        self._capture.release()

    def _open(self) -> None:
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", _FFMPEG)
        with open_regular(self._path) as stream:
            head = stream.read(512)
        self._frames = 0
        if _holds_pictures(head):
            self._capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
            if self._capture.isOpened():
                return
        raise UserError(f"{self._path} is not a readable video; it may be truncated")

    def _refuse_early_end(self) -> None:
        """Compares with the frame count in the header: OpenCV reports no error on truncation."""
        promised = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if self._frames == 0 or self._frames < promised * (1 - _TOLERANCE) - 1:
            raise UserError(
                f"{self._path} stops after frame {self._frames} of {promised:.0f}; it is truncated "
                "or damaged"
            )


def _holds_pictures(head: bytes) -> bool:
    """Whether a file begins as a format of `_FORMATS` does."""
    if any(head.startswith(magic, offset) for offset, magic in _BEGINNINGS):
        return True
    return any(head[start : start + step + 1 : step] == b"GG" for start, step in _TRANSPORT)

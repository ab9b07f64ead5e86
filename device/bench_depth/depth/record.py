"""Records frames: to a dataset folder, or to a video with photo and depth side by side."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import UserError
from bench_depth.core.files import atomic_path, require_writable
from bench_depth.depth.colours import paint, with_scale
from bench_depth.depth.outputs import OutputOptions, encode
from bench_depth.depth.scale import Scale, to_millimetres
from bench_depth.model.postprocess import resize_depth

VIDEO_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
# Frame rate of a recorded video when the source is a camera, whose rate varies.
CAMERA_FPS = 15.0
_SIDE_WIDTH = 640
_JPEG_QUALITY = 95
# What closing a video needs: OpenCV reports no error when the disk is full.
_SPARE_BYTES = 1 << 20
_SIDE_BY_SIDE = OutputOptions(side_by_side=True)


class Recorder(Protocol):
    """Writes frames one after the other."""

    def write(self, name: str, photo: NDArray[np.uint8], depth: NDArray[np.float32]) -> None:
        """Writes one frame.

        Args:
            name: Name of the frame, unique within the recording.
            photo: HxWx3 uint8 RGB.
            depth: float32 depth map of any size, in metres.

        Raises:
            UserError: The frame cannot be written.
        """
        ...

    def close(self) -> None:
        """Completes the files.

        Raises:
            UserError: The recording is incomplete.
        """
        ...


def check_target(target: Path, scale: Scale) -> None:
    """Refuses to overwrite a recording, and to store relative depth in millimetres.

    Raises:
        UserError: The video exists, the folder already holds a recording, nothing can be written
            there, or the depth has no unit and cannot be stored in millimetres.
    """
    if _is_video(target):
        if target.exists():
            raise UserError(f"{target} exists already; name another file for the recording")
        require_writable(target)
        return
    if scale.relative:
        raise UserError(
            "the model gives relative depth, a recorded dataset has millimetres; record a video "
            "(FILE.mp4), or describe the model with --unit"
        )
    for part in ("rgb", "depth"):
        # As in a dataset folder hidden ones do not count: a killed recording may have left one.
        if (target / part).is_dir() and any(
            not path.name.startswith(".") for path in (target / part).iterdir()
        ):
            raise UserError(f"{target / part} is not empty; name another folder for the recording")
        require_writable(target / part / "NAME")


def make_recorder(target: Path, scale: Scale, interval: Optional[float], every: bool) -> Recorder:
    """A recorder for a folder, or for a video if the name ends in .mp4 or .avi.

    Args:
        target: Folder or video file; nothing is written before the first frame.
        scale: Scale of the depth maps; a folder stores metric depth only.
        interval: Seconds between two images of the source; None for a camera.
        every: Whether every image of the source is written, at the rate of the source; otherwise
            frames of a video are repeated or left out so that it plays in real time.
    """
    if not _is_video(target):
        return DatasetRecorder(target)
    fps = 1 / interval if interval is not None else CAMERA_FPS
    return VideoRecorder(target, scale, fps, None if every else time.monotonic)


class DatasetRecorder:
    """Writes `rgb/NAME.jpg` and `depth/NAME.png`, which `bench_depth.core.dataset` reads.

    Args:
        folder: Folder of the recording; created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, photo: NDArray[np.uint8], depth: NDArray[np.float32]) -> None:
        """See `Recorder.write`."""
        resized = resize_depth(depth, *photo.shape[:2])
        jpeg = encode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        png = encode(".png", to_millimetres(resized))
        # Both files get their final names together, so that no image is left without its depth.
        depth_target = self._folder / "depth" / f"{name}.png"
        rgb_target = self._folder / "rgb" / f"{name}.jpg"
        with atomic_path(depth_target) as depth_path, atomic_path(rgb_target) as rgb_path:
            depth_path.write_bytes(png)
            rgb_path.write_bytes(jpeg)

    def close(self) -> None:
        """See `Recorder.close`; each frame is complete once it is written."""


class VideoRecorder:
    """Writes a video of coloured depth; the file gets its final name on `close`.

    Args:
        target: Video file whose suffix is one of `VIDEO_CODECS`.
        scale: Scale of the depth maps.
        fps: Frames per second of the video.
        clock: Monotonic clock in seconds that paces the video; None writes each frame once.
        options: Range, colour map, and whether the photo stands beside the depth.
    """

    def __init__(
        self,
        target: Path,
        scale: Scale,
        fps: float,
        clock: Optional[Callable[[], float]] = None,
        options: OutputOptions = _SIDE_BY_SIDE,
    ) -> None:
        self._options = options
        self._target = target
        self._scale = scale
        self._fps = fps
        self._clock = clock
        self._start: Optional[float] = None
        self._written = 0
        self._range: Optional[tuple[float, float]] = None
        self._files = contextlib.ExitStack()
        self._path: Optional[Path] = None
        self._writer: Any = None
        self._size: Optional[tuple[int, int]] = None

    def write(self, name: str, photo: NDArray[np.uint8], depth: NDArray[np.float32]) -> None:
        """See `Recorder.write`."""
        times = self._times_due()
        if times:
            image = cv2.cvtColor(self._draw(photo, depth), cv2.COLOR_RGB2BGR)
            if self._path is None:
                self._open(image.shape[1], image.shape[0])
            if shutil.disk_usage(self._target.parent).free < _SPARE_BYTES:
                raise UserError(f"the disk of {self._target} is full; make room there")
            for _ in range(times):
                self._writer.write(image)
            self._written += times

    def close(self) -> None:
        """See `Recorder.close`."""
        if self._path is None:
            return
        self._writer.release()
        check = cv2.VideoCapture(str(self._path))
        complete = check.isOpened() and check.get(cv2.CAP_PROP_FRAME_COUNT) >= self._written
        check.release()
        if not complete:
            raise UserError(f"{self._target} could not be written completely; check free space")
        self._path = None
        self._files.close()

    def discard(self) -> None:
        """Removes what was written so far; for a run that failed half-way."""
        if self._path is not None:
            self._writer.release()
            self._path = None
            failed = RuntimeError("discarded")
            self._files.__exit__(type(failed), failed, None)

    def _open(self, width: int, height: int) -> None:
        self._path = self._files.enter_context(atomic_path(self._target))
        codec = cv2.VideoWriter.fourcc(*VIDEO_CODECS[self._target.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._path), codec, self._fps, (width, height))
        if not self._writer.isOpened():
            raise UserError(f"OpenCV cannot write {self._target} of {width}x{height} pixels")

    def _times_due(self) -> int:
        if self._clock is None:
            return 1
        now = self._clock()
        if self._start is None:
            self._start = now
        return int((now - self._start) * self._fps) + 1 - self._written

    def _draw(self, photo: NDArray[np.uint8], depth: NDArray[np.float32]) -> NDArray[np.uint8]:
        self._range = self._options.range or self._scale.ends(depth, self._range, 1 / self._fps)
        near, far = self._range
        known = self._scale.known(depth)
        painted = paint(depth, known, near, far, self._options.colour_map)
        if self._size is None:
            height, width = photo.shape[:2]
            shrink = max(1.0, width / _SIDE_WIDTH)
            # The codecs require even widths and heights.
            self._size = (round(width / shrink) // 2 * 2, round(height / shrink) // 2 * 2)
        sides = [
            np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)
            for image in ((photo, painted) if self._options.side_by_side else (painted,))
        ]
        unit = "" if self._scale.relative else "m"
        sides[-1] = with_scale(sides[-1], near, far, unit, self._options.colour_map)
        return np.hstack(sides)


def _is_video(target: Path) -> bool:
    return target.suffix.lower() in VIDEO_CODECS

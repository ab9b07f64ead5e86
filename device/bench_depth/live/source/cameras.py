"""Cameras: Raspberry Pi cameras through picamera2, others through Video4Linux."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import Any, Optional, Union

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.core.compiled import bundle_folder, is_numpy_mismatch, numpy_remedy, numpy_version
from bench_depth.core.errors import UserError

DEVICES = Path("/dev")
SYSFS = Path("/sys/class/video4linux")
# Drivers of Raspberry Pi video nodes that are codecs, image processors or raw sensor data.
_NO_CAMERAS = ("bcm2835", "rpi", "pispbe", "rp1-cfe", "unicam")
_INSTALL = "run: sudo apt install python3-picamera2, and "
_VENV = "make the virtual environment with --system-site-packages"


class PiCamera:
    """The first camera of libcamera; see `bench_depth.live.source.sources.ImageSource`.

    Args:
        size: Requested width and height in pixels.

    Raises:
        UserError: picamera2 is not installed or finds no camera, or the camera is in use.
    """

    interval: Optional[float] = None

    def __init__(self, size: tuple[int, int]) -> None:
        module = _picamera2()
        found = module.Picamera2.global_camera_info()
        if not found:
            raise UserError(
                "picamera2 finds no camera; check the ribbon cable, and what `rpicam-hello "
                "--list-cameras` says"
            )
        self.name = f"picamera2 ({found[0].get('Model', 'unknown')})"
        self._number = 0
        self._request: Any = None
        self._camera: Any = None
        try:
            self._camera = module.Picamera2()
            # libcamera names formats by their order in a 32-bit word: BGR888 is R, G, B in memory.
            stream = {"size": size, "format": "BGR888"}
            self._camera.configure(self._camera.create_video_configuration(main=stream))
            self._camera.start()
        except (RuntimeError, IndexError) as error:
            self.close()
            raise UserError(
                f"{self.name} cannot be started: {error}; another program may be using it"
            ) from error

    def grab(self) -> Optional[str]:
        """See `ImageSource.grab`."""
        self._release()
        try:
            self._request = self._camera.capture_request()
        except RuntimeError as error:
            raise _gone(self.name, str(error)) from error
        self._number += 1
        return f"{self._number - 1:06d}"

    def take(self) -> NDArray[np.uint8]:
        """See `ImageSource.take`."""
        photo = np.asarray(self._request.make_array("main"), np.uint8)
        # Released at once, so that the camera can fill the buffer again.
        self._release()
        return photo[:, :, :3]

    def close(self) -> None:
        """See `ImageSource.close`."""
        if self._camera is not None:
            self._release()
            self._camera.stop()
            self._camera.close()
            self._camera = None

    def _release(self) -> None:
        if self._request is not None:
            self._request.release()
            self._request = None


class UsbCamera:
    """A Video4Linux device; see `bench_depth.live.source.sources.ImageSource`.

    Args:
        path: Path of the device, such as `/dev/video0`.
        size: Requested width and height in pixels; the camera may choose others.

    Raises:
        UserError: The device cannot be opened or delivers no image.
    """

    interval: Optional[float] = None

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        if not os.access(path, os.R_OK | os.W_OK):
            raise UserError(
                f"no permission to use {path}; run: sudo usermod -aG video $USER, and log in again"
            )
        self.name = str(path)
        self._number = 0
        self._first = True
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise UserError(f"{path} is no camera, or another program is using it")
        # USB 2 carries uncompressed video at full rate in small sizes only.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        if not self._capture.grab():
            self._capture.release()
            raise UserError(f"{path} gives no photo; another program may be using it")

    def grab(self) -> Optional[str]:
        """See `ImageSource.grab`."""
        # The first image was grabbed in the constructor, as a check.
        if not self._first and not self._capture.grab():
            raise _gone(self.name, "no photo came")
        self._first = False
        self._number += 1
        return f"{self._number - 1:06d}"

    def take(self) -> NDArray[np.uint8]:
        """See `ImageSource.take`."""
        ok, image = self._capture.retrieve()
        if not ok or image is None:
            raise _gone(self.name, "a photo could not be decoded")
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)

    def close(self) -> None:
        """See `ImageSource.close`."""
        self._capture.release()


def find_camera(size: tuple[int, int]) -> Union[PiCamera, UsbCamera]:
    """The Raspberry Pi camera if there is one, else the first other camera that works.

    Args:
        size: Requested width and height in pixels.

    Raises:
        UserError: No camera works; the message names what was tried.
    """
    tried = []
    try:
        return PiCamera(size)
    except UserError as error:
        tried.append(str(error).partition(";")[0])
    for path in _devices():
        try:
            return UsbCamera(path, size)
        except UserError as error:
            tried.append(str(error).partition(";")[0])
    raise UserError(
        f"no camera found ({'; '.join(tried)}); plug one in, or name a video or a folder instead"
    )


def _devices() -> list[Path]:
    numbers = sorted(
        int(path.name[len("video") :])
        for path in DEVICES.glob("video*")
        if re.fullmatch(r"video\d+", path.name)
    )
    names = [f"video{number}" for number in numbers]
    return [DEVICES / name for name in names if not _driver(name).startswith(_NO_CAMERAS)]


def _driver(name: str) -> str:
    try:
        return (SYSFS / name / "name").read_text().strip()
    except OSError:
        return ""


def _picamera2() -> Any:
    try:
        return importlib.import_module("picamera2")
    # What picamera2 imports may have been built for another numpy, and then raises anything.
    except Exception as error:
        if is_numpy_mismatch(error):
            raise UserError(
                f"picamera2 was built for another numpy than {numpy_version()}, which this "
                f"virtual environment has (run there: {numpy_remedy()}); see docs/pi.md"
            ) from error
        then = "the bundle's install once more" if bundle_folder() is not None else _VENV
        raise UserError(f"picamera2 cannot be imported ({error}); {_INSTALL}{then}") from error


def _gone(name: str, why: str) -> UserError:
    return UserError(f"{name} stopped working: {why}; check its cable and start again")

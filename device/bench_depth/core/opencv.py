"""How OpenCV behaves in a command; to be set before it is imported."""

from __future__ import annotations

import os

# Silences OpenCV, and limits the seconds it waits for a camera that delivers no image.
_ENVIRONMENT = {
    "OPENCV_LOG_LEVEL": "OFF",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "5",
}


def prepare_opencv() -> None:
    """Sets what OpenCV reads from the environment when it is imported, or opens a camera.

    What is set already stays.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)

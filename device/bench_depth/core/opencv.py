"""How OpenCV behaves; to be set before it is imported."""

from __future__ import annotations

import os

# A picture's header may claim any size. A larger one takes more memory than a Raspberry Pi has.
MAX_PIXELS = 1 << 27
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


def limit_pictures() -> None:
    """Lets OpenCV's decoders refuse a picture of more than `MAX_PIXELS`, whatever we read in it.

    It is for every program that imports this package before OpenCV. What is set already stays.
    """
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))

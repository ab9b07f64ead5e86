"""Photo -> what a model takes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.signature import Signature


def to_input(photo: NDArray[np.uint8], signature: Signature) -> NDArray[Any]:
    """Makes the model's input.

    Args:
        photo: HxWx3 uint8 RGB of any size; resized (bilinear) where the model's size differs.
        signature: What the model takes.

    Returns:
        1xHxWx3, 0..255, of the signature's size and dtype.

    Raises:
        ValueError: `photo` is not HxWx3 uint8.
    """
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise ValueError(f"a photo is HxWx3 uint8, this is {photo.shape} {photo.dtype}")
    image: NDArray[Any] = photo
    if image.shape[:2] != (signature.height, signature.width):
        size = (signature.width, signature.height)
        image = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_LINEAR))
    return np.ascontiguousarray(image[np.newaxis], dtype=signature.dtype)

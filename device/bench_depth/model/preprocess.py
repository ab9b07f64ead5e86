"""Converts a photo to the input of a model."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.model.signature import IDENTITY, Signature

# Grey value of letterbox padding that most letterboxed networks are trained with.
PADDING = 114


def to_input(photo: NDArray[np.uint8], signature: Signature) -> NDArray[Any]:
    """Converts a photo to the input of a model.

    Args:
        photo: Photo of any size, HxWx3 uint8 RGB; resized bilinearly where the model's differs.
        signature: Input and output of the model.

    Returns:
        Array 1xHxWx3 or 1x3xHxW of the signature's size, dtype and range of values.

    Raises:
        ValueError: `photo` is not HxWx3 uint8.
    """
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise ValueError(f"a photo is HxWx3 uint8, this is {photo.shape} {photo.dtype}")
    image: NDArray[Any] = _resized(photo, signature)
    if signature.color == "BGR":
        image = image[:, :, ::-1]
    if signature.values != IDENTITY:
        gain, bias = (np.asarray(values, np.float32) for values in signature.values)
        image = image * gain + bias
        if signature.dtype in ("uint8", "int8"):
            limits = np.iinfo(signature.dtype)
            image = np.clip(np.rint(image), limits.min, limits.max)
    if signature.layout == "NCHW":
        image = image.transpose(2, 0, 1)
    return np.ascontiguousarray(image[np.newaxis], dtype=signature.dtype)


def content(signature: Signature, height: int, width: int) -> tuple[int, int, int, int]:
    """Returns the position of a photo in the input: top, left, height, width, all in pixels."""
    if signature.resize == "stretch":
        return 0, 0, signature.height, signature.width
    scale = min(signature.height / height, signature.width / width)
    rows = min(max(round(height * scale), 1), signature.height)
    columns = min(max(round(width * scale), 1), signature.width)
    return (signature.height - rows) // 2, (signature.width - columns) // 2, rows, columns


def _resized(photo: NDArray[np.uint8], signature: Signature) -> NDArray[np.uint8]:
    top, left, rows, columns = content(signature, photo.shape[0], photo.shape[1])
    image = photo
    if image.shape[:2] != (rows, columns):
        image = np.asarray(
            cv2.resize(photo, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8
        )
    if (rows, columns) == (signature.height, signature.width):
        return image
    boxed = np.full((signature.height, signature.width, 3), PADDING, np.uint8)
    boxed[top : top + rows, left : left + columns] = image
    return boxed

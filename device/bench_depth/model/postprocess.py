"""Converts the output of a model to depth."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.preprocess import content
from bench_depth.model.signature import Signature, map_axis

# Largest depth in a 16-bit depth map in millimetres; inverse depth is limited to it.
FARTHEST_M = 65.535


def to_depth(output: NDArray[Any], signature: Signature) -> NDArray[np.float32]:
    """Converts a model's output to a depth map.

    Args:
        output: Output array of the model; returned as it is where the signature has no depth map.
        signature: Input and output of the model.

    Returns:
        Depth map of the output's size, HxW float32, metres; for a relative model depth or inverse
        depth without unit.

    Raises:
        UserError: The output of a model with a dynamic shape is not a map (exit code 3).
    """
    if signature.output is None:
        return output
    values = np.asarray(plane(output), np.float32)
    if (signature.scale, signature.offset) != (1.0, 0.0):
        values = values * np.float32(signature.scale) + np.float32(signature.offset)
    if signature.quantity == "log-depth":
        with np.errstate(over="ignore"):  # The caller reports infinity.
            values = np.exp(values)
    unit_m = np.float32(0.001 if signature.unit == "mm" else 1.0)
    if signature.quantity == "inverse-depth" and not signature.relative:
        return np.asarray(unit_m / np.maximum(values, unit_m / np.float32(FARTHEST_M)), np.float32)
    return values * unit_m if signature.unit == "mm" else values


def to_photo_size(
    depth: NDArray[np.float32], signature: Signature, height: int, width: int
) -> NDArray[np.float32]:
    """Resizes a depth map of the model's size to that of the photo, without its letterbox.

    Args:
        depth: Depth map, HxW, any unit.
        signature: Input and output of the model.
        height: Height of the photo, pixels.
        width: Width of the photo, pixels.

    Returns:
        Depth map, height x width float32.
    """
    if signature.resize == "letterbox":
        top, left, rows, columns = content(signature, height, width)
        depth = resize_depth(depth, signature.height, signature.width)
        depth = np.ascontiguousarray(depth[top : top + rows, left : left + columns])
    return resize_depth(depth, height, width)


def resize_depth(depth: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Resizes a depth map (HxW, any unit) bilinearly, as the protocol does it to the prediction."""
    if depth.shape == (height, width):
        return depth
    resized = cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)


def plane(output: NDArray[Any]) -> NDArray[Any]:
    """Returns a model's output (any of the shapes that `check_signature` accepts) as HxW.

    Raises:
        UserError: It has another shape (exit code 3).
    """
    shape = output.shape
    axis = map_axis(shape)
    if axis is not None:
        return output.reshape([n for i, n in enumerate(shape) if i not in (0, axis)])
    if len(shape) == 3 and 1 in (shape[0], shape[2]):
        return output[0] if shape[0] == 1 else output[:, :, 0]
    if len(shape) == 2:
        return output
    raise UserError(
        f"the model gave {'x'.join(map(str, shape))}, which is no depth map; choose another output "
        "with --output",
        MODEL_FAILED,
    )

"""What a model gives -> depth in metres."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.signature import Signature


def to_metres(output: NDArray[Any], signature: Signature) -> NDArray[np.float32]:
    """The depth map in a model's output.

    Args:
        output: 1xHxWx1 float32 metres.
        signature: What the model gives.

    Returns:
        HxW float32 metres.
    """
    shape = (signature.output_height, signature.output_width)
    return np.asarray(output, np.float32).reshape(shape)


def resize_depth(depth: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Resizes a depth map (HxW, any unit) bilinearly, as the protocol does it to the prediction."""
    if depth.shape == (height, width):
        return depth
    resized = cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)

"""The aten ops of attention in TensorFlow: a part of the table in `aten.py`.

Matrices of a head are logically BxCxL and stored BxLxC, channels last as maps are. The product of
two of them is then the product of what is stored in the other order, without a transpose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from bench_depth.core.errors import UserError
from ghostdepth_export.convert.tensorflow_quietly import tf

aten = torch.ops.aten
_MATRIX = 3
# In larger windows SAME may put missing pixels on both sides, torch has them at the end.
_WINDOW = 2


def reshape(x: Any, size: Sequence[int]) -> Any:
    """Positions to rows and columns or back, and channels to heads or back.

    Heads become a part of the batch, for which the stored tensor has to be transposed; with one
    head nothing moves.
    """
    batch, *area, channels = (int(n) for n in x.shape)
    _, new_channels, *new_area = size
    known = math.prod(area) == math.prod(new_area) and min(size[1:]) > 0
    if not known or batch * channels % new_channels:
        raise UserError(
            f"aten.reshape of {[batch, channels, *area]} to {list(size)} has no lowering"
        )
    positions, new_batch = math.prod(area), batch * channels // new_channels
    if channels > new_channels:
        x = tf.reshape(x, (batch, positions, -1, new_channels))
        x = tf.transpose(x, (0, 2, 1, 3))
    elif channels < new_channels:
        x = tf.transpose(tf.reshape(x, (new_batch, -1, positions, channels)), (0, 2, 1, 3))
    return tf.reshape(x, (new_batch, *new_area, new_channels))


def transpose(x: Any, first: int, second: int) -> Any:
    """Channels and positions of matrices change places."""
    if len(x.shape) != _MATRIX or {first % _MATRIX, second % _MATRIX} != {1, 2}:
        raise UserError(
            f"aten.transpose of dimensions {first} and {second} of {len(x.shape)} has no lowering"
        )
    return tf.transpose(x, (0, 2, 1))


def matmul(a: Any, b: Any) -> Any:
    """Products of matrices, one for each item of the batch."""
    if not len(a.shape) == len(b.shape) == _MATRIX:
        raise UserError(
            f"aten.matmul of {len(a.shape)} and {len(b.shape)} dimensions has no lowering"
        )
    return tf.matmul(b, a)


def softmax(x: Any, dim: int, dtype: Any = None) -> Any:
    """Softmax over the channels, which TFLite computes along the last axis."""
    if dim % len(x.shape) != 1 or dtype not in (None, torch.float32):
        raise UserError(f"aten.softmax over dimension {dim} has no lowering")
    return tf.nn.softmax(x)


def avg_pool2d(
    x: Any,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Any:
    """Mean of windows that do not overlap; at an incomplete window of what there is."""
    if list(kernel) != list(stride or kernel) or any(padding) or max(kernel) > _WINDOW or divisor:
        raise UserError(
            f"aten.avg_pool2d has a lowering only for {_WINDOW}x{_WINDOW} windows side by side"
        )
    return tf.nn.avg_pool2d(x, list(kernel), list(kernel), "SAME" if ceil_mode else "VALID")


def upsample_nearest2d(x: Any, size: Sequence[int] | None, factors: Any = None) -> Any:
    """Nearest neighbour, pixel i of n from floor(i * m / n)."""
    if size is None:
        raise UserError("aten.upsample_nearest2d has a lowering only for a size")
    return tf.raw_ops.ResizeNearestNeighbor(images=x, size=list(size))


LOWERINGS: dict[Any, Callable[..., Any]] = {
    aten.avg_pool2d.default: avg_pool2d,
    aten.matmul.default: matmul,
    aten.reshape.default: reshape,
    aten.sigmoid.default: tf.sigmoid,
    aten.softmax.int: softmax,
    aten.transpose.int: transpose,
    aten.upsample_nearest2d.vec: upsample_nearest2d,
}

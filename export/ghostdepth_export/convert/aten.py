"""What each aten op becomes in TensorFlow: one table, `LOWERINGS`.

A lowering takes the op's arguments as torch has them (dimensions count NCHW), except that
activations are TensorFlow tensors stored NHWC and weights are numpy arrays in torch's layouts. To
support another op, add it here and to the tests in `test_aten.py`. The ops of attention are in
`aten_attention.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from bench_depth.core.errors import UserError
from ghostdepth_export.convert import aten_attention
from ghostdepth_export.convert.tensorflow_quietly import tf
from numpy.typing import NDArray

Array = NDArray[np.float32]
aten = torch.ops.aten
CONV2D = aten.conv2d.default
# A convolution to one channel computes 4x4 pixels at once, one to two, three or four channels 2x2.
BLOCK_CHANNELS = 16
# NHWC axis of each NCHW dimension.
_STORED = (0, 3, 1, 2)


def conv2d(
    x: Any,
    weight: Array,
    bias: Array | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
    *,
    blocks: bool = True,
) -> Any:
    """A dense or depthwise convolution: SAME or VALID if the padding allows it, else PAD + VALID.

    `blocks` allows `_conv2d_in_blocks`.
    """
    channels = x.shape[3]
    if groups not in (1, channels):
        # TFLite has grouped convolutions from CONV_2D version 6 (TensorFlow 2.9) on.
        raise UserError(f"aten.conv2d with {groups} groups of {channels} channels has no lowering")
    if tuple(dilation) != (1, 1) or stride[0] != stride[1]:
        raise UserError(
            f"aten.conv2d with dilation {list(dilation)} and stride {list(stride)} has no lowering"
        )
    pads = padding if len(padding) == 4 else (padding[0], padding[0], padding[1], padding[1])
    kind = _padding_kind(x.shape[1:3], weight.shape[2:], stride[0], pads)
    if kind is None:
        top, bottom, left, right = pads
        x, kind = tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]]), "VALID"
    block = math.isqrt(BLOCK_CHANNELS // len(weight))
    if blocks and block > 1 and groups == 1 and _splits(x.shape, weight, stride[0], kind, block):
        return _conv2d_in_blocks(x, weight, bias, block)
    if groups == 1:
        y = tf.nn.conv2d(x, weight.transpose(2, 3, 1, 0), stride[0], kind)
    else:
        out, _, rows, columns = weight.shape
        kernel = weight.reshape(channels, out // channels, rows, columns).transpose(2, 3, 0, 1)
        y = tf.nn.depthwise_conv2d(x, kernel, (1, stride[0], stride[0], 1), kind)
    return y if bias is None else tf.nn.bias_add(y, _not_one_number(bias))


def _splits(shape: Sequence[int], weight: Array, stride: int, kind: str, block: int) -> bool:
    """Whether the output divides into blocks, and the kernel reads more than one pixel."""
    divisible = shape[1] % block == shape[2] % block == 0
    return min(weight.shape[2:]) > 1 and stride == 1 and kind == "SAME" and divisible


def _conv2d_in_blocks(x: Any, weight: Array, bias: Array | None, block: int) -> Any:
    """A convolution to few channels as a convolution to a block of pixels and DEPTH_TO_SPACE.

    TFLite copies the receptive field of each output position (im2col), and the matrix library packs
    it again: with one channel that is far more work than the arithmetic. For a 3x3 kernel, one
    position of 4x4 pixels reads 6^2 pixels instead of 16 times 3^2. The sums are the same; in int8
    they are the same integers.
    """
    out, inp, rows, columns = weight.shape
    kernel = np.zeros((rows + block - 1, columns + block - 1, inp, block**2, out), np.float32)
    for position, (i, j) in enumerate(np.ndindex(block, block)):
        kernel[i : i + rows, j : j + columns, :, position] = weight.transpose(2, 3, 1, 0)
    y = tf.nn.conv2d(x, kernel.reshape(*kernel.shape[:3], -1), block, "SAME")
    if bias is not None:
        y = tf.nn.bias_add(y, _not_one_number(np.tile(bias, block**2)))
    return tf.nn.depth_to_space(y, block)


def _not_one_number(bias: Array) -> Array:
    """The bias, its first value changed by one bit if all values are equal.

    The int8 converter of TensorFlow 2.21 treats a bias of equal values as a scalar and quantizes
    all of it with the scale of the first channel.
    """
    if len(bias) == 1 or not bias[0] or (bias != bias[0]).any():
        return bias
    return np.concatenate([np.nextafter(bias[:1], np.float32(0)), bias[1:]])


def _padding_kind(
    size: Sequence[int], kernel: Sequence[int], stride: int, pads: Sequence[int]
) -> str | None:
    if not any(pads):
        return "VALID"
    same = []
    for length, k in zip(size, kernel, strict=True):
        total = max((-(-length // stride) - 1) * stride + k - length, 0)
        same += [total // 2, total - total // 2]
    return "SAME" if list(pads) == same else None


def batch_norm(
    x: Any,
    weight: Array | None,
    bias: Array | None,
    mean: Array,
    variance: Array,
    training: bool,
    momentum: float,
    epsilon: float,
    _: bool,
) -> Any:
    """A batch norm that does not follow a convolution: one multiplication, one addition."""
    gain = (variance.astype(np.float64) + epsilon) ** -0.5
    if weight is not None:
        gain = gain * weight
    shift = -mean * gain
    if bias is not None:
        shift = shift + bias
    return x * gain.astype(np.float32) + shift.astype(np.float32)


def pad(x: Any, pads: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Constant padding of the last two dimensions."""
    if mode != "constant" or len(pads) != 4:
        raise UserError(f"aten.pad with mode {mode} and {len(pads)} numbers has no lowering")
    left, right, top, bottom = pads
    return tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]], constant_values=value or 0)


def upsample_bilinear2d(
    x: Any, size: Sequence[int] | None, align_corners: bool, factors: Sequence[float] | None
) -> Any:
    """Bilinear resize with half-pixel centres."""
    if align_corners or size is None:
        raise UserError(
            "aten.upsample_bilinear2d has a lowering only for a size with half-pixel centres"
        )
    if x.shape[3] == 1:
        return _resize_plane(x, *size)
    return tf.raw_ops.ResizeBilinear(images=x, size=list(size), half_pixel_centers=True)


def _resize_plane(x: Any, height: int, width: int) -> Any:
    """One channel, one axis after the other, each with the other axis as channels.

    The kernels vectorize over the channels of a pixel, so one channel is slow. The result is the
    same; 64x80 to 480x640 takes a sixth of the time (LiteRT 2.3, x86-64).
    """
    x = tf.raw_ops.ResizeBilinear(
        images=tf.transpose(x, (0, 2, 3, 1)), size=[width, 1], half_pixel_centers=True
    )
    x = tf.raw_ops.ResizeBilinear(
        images=tf.transpose(x, (0, 3, 2, 1)), size=[height, 1], half_pixel_centers=True
    )
    return tf.reshape(x, (x.shape[0], height, width, 1))


def pixel_shuffle(x: Any, factor: int) -> Any:
    """A pixel's channels as factor x factor pixels of one channel."""
    if x.shape[3] != factor**2:
        # With several, torch and TensorFlow order the channels differently.
        raise UserError(f"aten.pixel_shuffle of {x.shape[3]} channels by {factor} has no lowering")
    return tf.nn.depth_to_space(x, factor)


def mean(x: Any, dims: Sequence[int], keepdim: bool = False) -> Any:
    """Mean over some dimensions, which are kept with size 1."""
    if not keepdim:
        raise UserError("aten.mean has a lowering only with keepdim=True")
    return tf.reduce_mean(x, [_STORED[d] for d in dims], keepdims=True)


def slice_(x: Any, dim: int = 0, start: int = 0, end: int | None = None, step: int = 1) -> Any:
    """A slice along one dimension."""
    index = [slice(None)] * 4
    index[_STORED[dim]] = slice(start, end, step)
    return x[tuple(index)]


def flip(x: Any, dims: Sequence[int]) -> Any:
    """The order along some dimensions reversed, as a slice: REVERSE_V2 of 2.5 takes no int8."""
    index = [slice(None)] * 4
    for dim in dims:
        index[_STORED[dim]] = slice(None, None, -1)
    return x[tuple(index)]


def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Concatenation of activations and constants."""
    return tf.concat([_stored(tensor) for tensor in tensors], _STORED[dim])


def clamp(x: Any, low: float | None = None, high: float | None = None) -> Any:
    """Lower and upper limit, each optional."""
    if low is not None and high is not None and low < high:
        return _between(x, low, high)
    if low is not None and low > 0:
        # XNNPACK of TensorFlow 2.21 folds MAXIMUM into the convolution before it and then fails
        # on a limit above 0 ("failed to reshape runtimeNode").
        x = tf.nn.relu(x - np.float32(low)) + np.float32(low)
    elif low is not None:
        x = tf.maximum(x, np.float32(low))
    return x if high is None else tf.minimum(x, np.float32(high))


def _between(x: Any, low: float, high: float) -> Any:
    """Both limits by one RELU6, because MAXIMUM and MINIMUM of TFLite 2.5 are not vectorized.

    The result is off by at most 2e-7 of the interval: each of four steps rounds once.
    """
    scale = np.float32((high - low) / 6)
    return tf.nn.relu6(x * (1 / scale) + np.float32(-low) / scale) * scale + np.float32(low)


def _stored(value: Any) -> Any:
    """An operand of arithmetic; a 4-dimensional constant is transposed to NHWC."""
    if isinstance(value, np.ndarray) and value.ndim == 4:
        return value.transpose(0, 2, 3, 1)
    return np.float32(value) if isinstance(value, (int, float)) else value


def _binary(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda a, b: function(_stored(a), _stored(b))


LOWERINGS: dict[Any, Callable[..., Any]] = {
    **aten_attention.LOWERINGS,
    aten.add.Tensor: _binary(lambda a, b: a + b),
    aten.batch_norm.default: batch_norm,
    aten.cat.default: cat,
    aten.clamp.default: clamp,
    CONV2D: conv2d,
    aten.exp.default: tf.exp,
    aten.flip.default: flip,
    aten.mean.dim: mean,
    aten.mul.Tensor: _binary(lambda a, b: a * b),
    aten.pad.default: pad,
    aten.pixel_shuffle.default: pixel_shuffle,
    aten.reciprocal.default: lambda x: np.float32(1) / x,
    aten.relu.default: tf.nn.relu,
    aten.relu6.default: tf.nn.relu6,
    aten.slice.Tensor: slice_,
    aten.sub.Tensor: _binary(lambda a, b: a - b),
    aten.tanh.default: tf.tanh,
    aten.upsample_bilinear2d.vec: upsample_bilinear2d,
}

"""The published networks that a Raspberry Pi 4 was timed with, as TensorFlow functions.

Weights are random and batch norms are folded: what a kernel does depends on shapes only. Padding is
TensorFlow's SAME, as in the published files, so that there is no PAD op where they have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ghostdepth_export.convert.tensorflow_quietly import tf

# Output channels and stride of the 13 separable convolutions: arXiv:1704.04861, table 1.
_V1 = (
    (64, 1),
    *((128, 2), (128, 1)),
    *((256, 2), (256, 1)),
    *((512, 2), *((512, 1),) * 5),
    *((1024, 2), (1024, 1)),
)
# Expansion, output channels, repeats, stride of the first: arXiv:1801.04381, table 2.
_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
# Expansion, output channels, repeats, stride, kernel: EfficientNet-B0, arXiv:1905.11946, table 1.
_EFFICIENT = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
# Channels of the 3x3 convolution, blocks, stride of the first: arXiv:1512.03385, table 1.
_RESNET50 = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))


@dataclass
class Layers:
    """Calls TensorFlow's ops with random weights and sums up the multiply-accumulates.

    Attributes:
        macs: Multiply-accumulates of the convolutions and matrix products so far, padding counted
            as if it were data.
    """

    macs: int = 0
    _random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def conv(
        self,
        x: Any,
        channels: int,
        size: int = 1,
        stride: int = 1,
        act: Callable[..., Any] = tf.identity,
        padding: str = "SAME",
    ) -> Any:
        """A dense convolution with bias."""
        weights = self._weights(size, size, x.shape[3], channels, fan_in=size * size * x.shape[3])
        y = tf.nn.conv2d(x, weights, stride, padding)
        self.macs += math.prod(y.shape) * size * size * x.shape[3]
        return act(tf.nn.bias_add(y, self._bias(channels)))

    def depthwise(
        self, x: Any, size: int, stride: int, act: Callable[..., Any] = tf.nn.relu6
    ) -> Any:
        """A depthwise convolution with bias."""
        weights = self._weights(size, size, x.shape[3], 1, fan_in=size * size)
        y = tf.nn.depthwise_conv2d(x, weights, (1, stride, stride, 1), "SAME")
        self.macs += math.prod(y.shape) * size * size
        return act(tf.nn.bias_add(y, self._bias(x.shape[3])))

    def dense(self, x: Any, features: int) -> Any:
        """A matrix product with bias; `x` is 1xC."""
        self.macs += x.shape[1] * features
        weights = self._weights(x.shape[1], features, fan_in=x.shape[1])
        return tf.matmul(x, weights) + self._bias(features)

    def _weights(self, *shape: int, fan_in: int) -> Any:
        return self._random.normal(0, math.sqrt(2 / fan_in), shape).astype(np.float32)

    def _bias(self, channels: int) -> Any:
        return self._random.normal(0, 0.1, channels).astype(np.float32)


def mobilenet_v1(layers: Layers, x: Any, width: float) -> Any:
    """MobileNet of a width multiplier; 1001 classes, as the published files have."""

    def scaled(channels: int) -> int:
        return max(int(channels * width), 8)

    x = layers.conv(x, scaled(32), 3, 2, tf.nn.relu6)
    for channels, stride in _V1:
        x = layers.depthwise(x, 3, stride)
        x = layers.conv(x, scaled(channels), act=tf.nn.relu6)
    return _classify_by_convolution(layers, x)


def mobilenet_v2(layers: Layers, x: Any, width: float) -> Any:
    """MobileNetV2 with its classifier."""
    return _classify_by_convolution(layers, mobilenet_v2_features(layers, x, width)[1])


def mobilenet_v2_features(layers: Layers, x: Any, width: float) -> tuple[Any, Any]:
    """MobileNetV2 without its classifier.

    Returns:
        The expanded features of stride 16, before the last depthwise convolution of stride 2; and
        the last features, of stride 32, which never have less than 1280 channels.
    """
    x = layers.conv(x, by_eight(32 * width), 3, 2, tf.nn.relu6)
    last_stride = x
    for expansion, channels, repeats, stride in _V2:
        for index in range(repeats):
            step = stride if index == 0 else 1
            y = _expanded(layers, x, expansion)
            last_stride = y if step == 2 else last_stride
            x = _projected(layers, x, y, by_eight(channels * width), step, 3)
    return last_stride, layers.conv(x, by_eight(1280 * max(width, 1)), act=tf.nn.relu6)


def efficientnet_lite(layers: Layers, x: Any, width: float, depth: float) -> Any:
    """EfficientNet-Lite: no squeeze-and-excitation, ReLU6, stem, head and their stages fixed."""
    x = layers.conv(efficientnet_stages(layers, x, width, depth)[-1], 1280, act=tf.nn.relu6)
    x = tf.nn.avg_pool2d(x, x.shape[1:3], 1, "VALID")
    return tf.nn.softmax(layers.dense(tf.squeeze(x, (1, 2)), 1000))


def efficientnet_stages(layers: Layers, x: Any, width: float, depth: float) -> list[Any]:
    """The outputs of the seven stages of an EfficientNet-Lite."""
    x = layers.conv(x, 32, 3, 2, tf.nn.relu6)
    outputs = []
    for stage, (expansion, channels, repeats, stride, size) in enumerate(_EFFICIENT):
        ends = stage in (0, len(_EFFICIENT) - 1)
        for index in range(repeats if ends else math.ceil(repeats * depth)):
            step = stride if index == 0 else 1
            x = _bottleneck(layers, x, by_eight(channels * width), expansion, step, size)
        outputs.append(x)
    return outputs


def resnet50(layers: Layers, x: Any) -> Any:
    """ResNet-50 v1.5: the stride is in the 3x3 convolution, which is padded explicitly."""
    x = layers.conv(_padded(x, 3), 64, 7, 2, tf.nn.relu, "VALID")
    x = tf.nn.max_pool2d(x, 3, 2, "SAME")
    for channels, blocks, stride in _RESNET50:
        for index in range(blocks):
            x = _residual(layers, x, channels, stride if index == 0 else 1, project=index == 0)
    x = tf.reduce_mean(x, (1, 2))
    return tf.nn.softmax(layers.dense(x, 1001))


def _residual(layers: Layers, x: Any, channels: int, stride: int, project: bool) -> Any:
    shortcut = layers.conv(x, 4 * channels, 1, stride) if project else x
    y = layers.conv(x, channels, act=tf.nn.relu)
    if stride > 1:
        y = layers.conv(_padded(y, 1), channels, 3, stride, tf.nn.relu, "VALID")
    else:
        y = layers.conv(y, channels, 3, act=tf.nn.relu)
    return tf.nn.relu(layers.conv(y, 4 * channels) + shortcut)


def _bottleneck(
    layers: Layers, x: Any, channels: int, expansion: int, stride: int, size: int
) -> Any:
    y = _expanded(layers, x, expansion)
    return _projected(layers, x, y, channels, stride, size)


def _expanded(layers: Layers, x: Any, expansion: int) -> Any:
    return x if expansion == 1 else layers.conv(x, x.shape[3] * expansion, act=tf.nn.relu6)


def _projected(layers: Layers, x: Any, y: Any, channels: int, stride: int, size: int) -> Any:
    y = layers.conv(layers.depthwise(y, size, stride), channels)
    return x + y if stride == 1 and x.shape[3] == channels else y


def _classify_by_convolution(layers: Layers, x: Any) -> Any:
    x = tf.nn.avg_pool2d(x, x.shape[1:3], 1, "VALID")
    return tf.nn.softmax(tf.squeeze(layers.conv(x, 1001), (1, 2)))


def _padded(x: Any, pixels: int) -> Any:
    return tf.pad(x, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))


def by_eight(channels: float) -> int:
    """The nearest multiple of 8, not more than 10 % below."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded

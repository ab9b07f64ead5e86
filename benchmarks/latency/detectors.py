"""More published networks as TensorFlow functions: MobileNetV3, EfficientDet-Lite, and SSD.

As in `architectures.py`: random weights, folded batch norms, TensorFlow's padding.
"""

from __future__ import annotations

from typing import Any

from architectures import Layers, by_eight, efficientnet_stages, mobilenet_v2_features
from ghostdepth_export.convert.tensorflow_quietly import tf

# Kernel, expanded and output channels, squeeze-and-excitation, hard swish, stride:
# arXiv:1905.02244, tables 1 and 2.
_V3 = {
    "large": (
        *((3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1)),
        *((5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1), (5, 120, 40, 1, 0, 1)),
        *((3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1)),
        *((3, 184, 80, 0, 1, 1), (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1)),
        *((5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1)),
    ),
    "small": (
        *((3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1)),
        *((5, 96, 40, 1, 1, 2), (5, 240, 40, 1, 1, 1), (5, 240, 40, 1, 1, 1)),
        *((5, 120, 48, 1, 1, 1), (5, 144, 48, 1, 1, 1), (5, 288, 96, 1, 1, 2)),
        *((5, 576, 96, 1, 1, 1), (5, 576, 96, 1, 1, 1)),
    ),
}
# Channels of the last two convolutions before the classes.
_V3_HEAD = {"large": (960, 1280), "small": (576, 1024)}
# Stages of the backbone with strides 8, 16 and 32.
_STAGES = (2, 4, 6)
_LEVELS, _ANCHORS, _CLASSES = 5, 9, 90
# SSD: channels of the levels after the backbone's two; anchors by level; classes and background.
_SSD_EXTRAS, _SSD_ANCHORS, _SSD_CLASSES = (512, 256, 256, 128), (3, 6, 6, 6, 6, 6), 91


def mobilenet_v3(layers: Layers, x: Any, size: str) -> Any:
    """MobileNetV3 of width 1, `large` or `small`."""
    x = layers.conv(x, 16, 3, 2, _hard_swish)
    for kernel, expanded, channels, squeeze, swish, stride in _V3[size]:
        act = _hard_swish if swish else tf.nn.relu
        y = x if expanded == x.shape[3] else layers.conv(x, expanded, act=act)
        y = layers.depthwise(y, kernel, stride, act)
        if squeeze:
            y = y * _excitation(layers, y)
        y = layers.conv(y, channels)
        x = x + y if stride == 1 and x.shape[3] == channels else y
    inner, outer = _V3_HEAD[size]
    x = layers.conv(x, inner, act=_hard_swish)
    x = tf.nn.avg_pool2d(x, x.shape[1:3], 1, "VALID")
    x = layers.conv(layers.conv(x, outer, act=_hard_swish), 1001)
    return tf.nn.softmax(tf.squeeze(x, (1, 2)))


def efficientdet_lite(
    layers: Layers, x: Any, width: float, depth: float, channels: int, cells: int, repeats: int
) -> Any:
    """EfficientDet-Lite without its box decoding, which no XNNPACK takes.

    Args:
        layers: As for the other networks.
        x: The picture.
        width: Width multiplier of the backbone, an EfficientNet-Lite.
        depth: Depth multiplier of the backbone.
        channels: Number of channels of all levels of the pyramid.
        cells: Number of the pyramid's cells.
        repeats: Separable convolutions before the last one of the box and of the class net.
    """
    stages = efficientnet_stages(layers, x, width, depth)
    levels = [stages[stage] for stage in _STAGES]
    levels.append(tf.nn.max_pool2d(layers.conv(levels[-1], channels), 3, 2, "SAME"))
    levels.append(tf.nn.max_pool2d(levels[-1], 3, 2, "SAME"))
    for _ in range(cells):
        levels = _cell(layers, levels, channels)
    outputs = []
    for values, act in ((_CLASSES, tf.sigmoid), (4, tf.identity)):
        found = []
        for level in levels:
            y = level
            for _ in range(repeats):
                y = _separable(layers, y, channels, tf.nn.relu6)
            y = _separable(layers, y, _ANCHORS * values, tf.identity)
            found.append(tf.reshape(y, (1, -1, values)))
        outputs.append(act(tf.concat(found, 1)))
    return tuple(outputs)


def ssd_mobilenet_v2(layers: Layers, x: Any, lite: bool) -> Any:
    """SSD on MobileNetV2 as in TensorFlow 1's detection zoo, without its box decoding.

    Args:
        layers: As for the other networks.
        x: The picture.
        lite: Whether it is SSDLite, whose 3x3 convolutions after the backbone are separable.
    """

    def convolved(y: Any, channels: int, stride: int = 1, act: Any = tf.identity) -> Any:
        if not lite:
            return layers.conv(y, channels, 3, stride, act)
        return layers.conv(layers.depthwise(y, 3, stride), channels, act=act)

    levels = list(mobilenet_v2_features(layers, x, 1.0))
    for channels in _SSD_EXTRAS:
        y = layers.conv(levels[-1], channels // 2, act=tf.nn.relu6)
        levels.append(convolved(y, channels, 2, tf.nn.relu6))
    outputs = []
    for values, act in ((_SSD_CLASSES, tf.sigmoid), (4, tf.identity)):
        found = [
            tf.reshape(convolved(level, anchors * values), (1, -1, values))
            for level, anchors in zip(levels, _SSD_ANCHORS, strict=True)
        ]
        outputs.append(act(tf.concat(found, 1)))
    return tuple(outputs)


def _cell(layers: Layers, levels: list[Any], channels: int) -> list[Any]:
    """One cell of a BiFPN with plain sums: down the levels, and up again."""

    def merged(*parts: Any) -> Any:
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return _separable(layers, tf.nn.relu6(total), channels, tf.identity)

    levels = [x if x.shape[3] == channels else layers.conv(x, channels) for x in levels]
    down = [levels[-1]]
    for level in levels[-2::-1]:
        down.insert(0, merged(level, tf.image.resize(down[0], level.shape[1:3], "nearest")))
    out = [down[0]]
    for index in range(1, _LEVELS):
        pooled = tf.nn.max_pool2d(out[-1], 3, 2, "SAME")
        inner = [levels[index]] if index < _LEVELS - 1 else []
        out.append(merged(*inner, down[index], pooled))
    return out


def _separable(layers: Layers, x: Any, channels: int, act: Any) -> Any:
    return layers.conv(layers.depthwise(x, 3, 1, tf.identity), channels, act=act)


def _excitation(layers: Layers, x: Any) -> Any:
    y = tf.nn.avg_pool2d(x, x.shape[1:3], 1, "VALID")
    y = layers.conv(y, by_eight(x.shape[3] / 4), act=tf.nn.relu)
    return tf.nn.relu6(layers.conv(y, x.shape[3]) + 3.0) * (1 / 6)


def _hard_swish(x: Any) -> Any:
    return x * tf.nn.relu6(x + 3.0) * (1 / 6)

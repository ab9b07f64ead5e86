"""One small network, written in every convention of other people's depth models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.device.conftest import HEIGHT, WIDTH, remembered
from tests.device.onnx_files import onnx_bytes

# Different for each channel, so that a wrong order shows.
WEIGHTS = (0.006, 0.003, 0.001)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def metres(pixels: np.ndarray) -> np.ndarray:
    """What the network computes: HxWx3 RGB 0..255 -> HxW metres, 0.5 to 3.05."""
    return pixels.astype(np.float64) @ np.array(WEIGHTS) + 0.5


@dataclass(frozen=True)
class Convention:
    """How the network's input and output are put. Sizes of None are open in the file."""

    layout: str = "NHWC"
    color: str = "RGB"
    low: float = 0.0
    high: float = 255.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    dtype: str = "float32"
    height: int | None = HEIGHT
    width: int | None = WIDTH
    quantity: str = "depth"
    scale: float = 1.0
    offset: float = 0.0
    output_layout: str = "NHWC"
    output_dtype: str = "float32"
    others: int = 0
    open_channels: bool = False

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        channels = None if self.open_channels else 3
        if self.layout == "NHWC":
            return (1, self.height, self.width, channels)
        return (1, channels, self.height, self.width)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        plane = (self.height, self.width)
        shapes: dict[str, tuple[int | None, ...]] = {
            "NHWC": (1, *plane, 1),
            "NHCW": (1, self.height, 1, self.width),
            "NCHW": (1, 1, *plane),
            "1HW": (1, *plane),
            "HW": plane,
        }
        return shapes[self.output_layout]

    def undo(self) -> tuple[np.ndarray, np.ndarray]:
        """Factor and addend per channel of the model's order that give pixels back."""
        mean, std = np.array(self.mean), np.array(self.std)
        gain = (self.high - self.low) / 255 / std
        return 1 / gain, -(self.low - mean) / std / gain

    def weights(self) -> np.ndarray:
        return np.array(WEIGHTS[::-1] if self.color == "BGR" else WEIGHTS)


def write_onnx(path: Path, convention: Convention) -> Path:
    path.write_bytes(remembered(("onnx", convention), lambda: _onnx(convention)))
    return path


def write_tflite(path: Path, convention: Convention) -> Path:
    path.write_bytes(remembered(("tflite", convention), lambda: _tflite(convention)))
    return path


def _onnx(c: Convention) -> bytes:
    from onnx import TensorProto, helper

    factor, addend = c.undo()
    constants = {
        "factor": factor.astype(np.float32),
        "addend": addend.astype(np.float32),
        "weights": c.weights().astype(np.float32),
        "half": np.float32(0.5),
        "scale": np.float32(c.scale),
        "offset": np.float32(c.offset),
        "last": np.array([-1]),
        "ends": {"1HW": np.array([3]), "HW": np.array([0, 3])}.get(c.output_layout, np.array([3])),
    }
    node = helper.make_node
    nodes = [node("Cast", ["input"], ["real"], to=TensorProto.FLOAT)]
    if c.layout == "NCHW":
        nodes.append(node("Transpose", ["real"], ["nhwc"], perm=[0, 2, 3, 1]))
    nodes += [
        node("Mul", ["nhwc" if c.layout == "NCHW" else "real", "factor"], ["scaled"]),
        node("Add", ["scaled", "addend"], ["pixels"]),
        node("Mul", ["pixels", "weights"], ["weighted"]),
        node("ReduceSum", ["weighted", "last"], ["sum"], keepdims=1),
        node("Add", ["sum", "half"], ["metres"]),
        {
            "depth": node("Identity", ["metres"], ["quantity"]),
            "inverse-depth": node("Reciprocal", ["metres"], ["quantity"]),
            "log-depth": node("Log", ["metres"], ["quantity"]),
        }[c.quantity],
        node("Mul", ["quantity", "scale"], ["times"]),
        node("Add", ["times", "offset"], ["plus"]),
        {
            "NHWC": node("Identity", ["plus"], ["shaped"]),
            "NHCW": node("Transpose", ["plus"], ["shaped"], perm=[0, 1, 3, 2]),
            "NCHW": node("Transpose", ["plus"], ["shaped"], perm=[0, 3, 1, 2]),
        }.get(c.output_layout, node("Squeeze", ["plus", "ends"], ["shaped"])),
    ]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(c.output_dtype))
    nodes.append(node("Cast", ["shaped"], ["depth"], to=kind))
    others = [f"other{i}" for i in reversed(range(c.others))]
    nodes += [node("Neg", ["shaped"], [name]) for name in others]
    outputs = dict.fromkeys([*others, "depth"], c.output_shape)
    dtypes = {"input": c.dtype, "depth": c.output_dtype}
    return onnx_bytes(nodes, {"input": c.input_shape}, outputs, constants, dtypes=dtypes)


def _tflite(c: Convention) -> bytes:
    """Integers in `dtype` and `output_dtype` make it a wholly quantized file."""
    import tensorflow as tf

    factor, addend = c.undo()
    quantized = c.dtype in ("int8", "uint8")
    inner = tf.TensorSpec(c.input_shape, "float32" if quantized else c.dtype)

    class Tiny(tf.Module):
        @tf.function(input_signature=[inner])
        def run(self, x: Any) -> Any:
            x = tf.transpose(x, [0, 2, 3, 1]) if c.layout == "NCHW" else x
            # One convolution, as a network would have it: that is what is quantized well.
            weights = c.weights() * factor
            bias = float((c.weights() * addend).sum()) + 0.5
            kernel = tf.constant(weights.reshape(1, 1, 3, 1), tf.float32)
            y = tf.nn.conv2d(x, kernel, 1, "SAME") + bias
            y = {"inverse-depth": lambda: 1 / y, "log-depth": lambda: tf.math.log(y)}.get(
                c.quantity, lambda: y
            )()
            y = y * c.scale + c.offset if (c.scale, c.offset) != (1, 0) else y
            orders = {"NHWC": [0, 1, 2, 3], "NHCW": [0, 1, 3, 2], "NCHW": [0, 3, 1, 2]}
            if c.output_layout in orders:
                y = tf.transpose(y, orders[c.output_layout])
            else:
                y = tf.squeeze(y, [3] if c.output_layout == "1HW" else [0, 3])
            return [y, *(-y - i for i in range(c.others))]

    module = Tiny()
    concrete = module.run.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _samples(c)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.as_dtype(c.dtype)
        converter.inference_output_type = tf.as_dtype(c.output_dtype)
    return bytes(converter.convert())


def _samples(c: Convention) -> Any:
    factor, addend = c.undo()
    rng = np.random.default_rng(2)
    for _ in range(4):
        pixels = rng.integers(0, 256, (1, HEIGHT, WIDTH, 3))
        pixels[0, 0, 0], pixels[0, 0, 1] = 0, 255
        values = ((pixels - addend) / factor).astype(np.float32)
        yield [values.transpose(0, 3, 1, 2) if c.layout == "NCHW" else values]


def described(c: Convention, **more: Any) -> Any:
    """What a user would say of the convention."""
    from bench_depth.model.description import Description

    order = -1 if c.color == "BGR" else 1
    said = Description(
        input_color=c.color,
        input_range=(c.low, c.high),
        input_mean=c.mean[::order],  # type: ignore[arg-type]
        input_std=c.std[::order],  # type: ignore[arg-type]
        quantity=c.quantity,
        unit="m",
        output_scale=1 / c.scale,
        output_offset=-c.offset / c.scale,
    )
    return replace(said, **more)

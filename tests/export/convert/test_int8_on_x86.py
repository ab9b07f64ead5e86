"""ONNX Runtime's int8 products are exact on every x86 processor."""

from pathlib import Path

import numpy as np
from bench_depth.model.runtimes.onnx import OnnxRuntime
from onnx import helper

from tests.device.onnx_files import onnx_bytes

CHANNELS = 64


def write_convolution(path: Path) -> None:
    """A 1x1 convolution, quantized, with the largest weights."""
    constants = {
        "one": np.float32(1),
        "input_zero": np.uint8(0),
        "weight_zero": np.int8(0),
        "weight": np.full((16, CHANNELS, 1, 1), 127, np.int8),
        "output_scale": np.float32(255 * 127 * CHANNELS / 200),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "one", "input_zero"], ["image"]),
        helper.make_node("DequantizeLinear", ["weight", "one", "weight_zero"], ["kernel"]),
        helper.make_node("Conv", ["image", "kernel"], ["sums"]),
        helper.make_node("QuantizeLinear", ["sums", "output_scale", "input_zero"], ["rounded"]),
        helper.make_node("DequantizeLinear", ["rounded", "output_scale", "input_zero"], ["y"]),
    ]
    shapes = {"x": (1, CHANNELS, 4, 4)}, {"y": (1, 16, 4, 4)}
    path.write_bytes(onnx_bytes(nodes, *shapes, constants, dtypes={"x": "uint8"}))


# Two products of 255 and 127 are more than 16 bits hold.
def test_sums_of_int8_products_do_not_saturate(tmp_path: Path) -> None:
    write_convolution(tmp_path / "model.onnx")
    model = OnnxRuntime().load(tmp_path / "model.onnx", threads=1)
    model.set_input(np.full((1, CHANNELS, 4, 4), 255, np.uint8))
    model.invoke()
    np.testing.assert_allclose(model.output(), 255 * 127 * CHANNELS, rtol=1e-6)

"""ONNX Runtime's int8 products are exact on every x86 processor."""

from pathlib import Path

import numpy as np
import onnx
from bench_depth.model.runtimes.onnx import OnnxRuntime
from onnx import TensorProto, helper, numpy_helper

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
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, (1, CHANNELS, 4, 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 16, 4, 4))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


# Two products of 255 and 127 are more than 16 bits hold.
def test_sums_of_int8_products_do_not_saturate(tmp_path: Path) -> None:
    write_convolution(tmp_path / "model.onnx")
    model = OnnxRuntime().load(tmp_path / "model.onnx", threads=1)
    model.set_input(np.full((1, CHANNELS, 4, 4), 255, np.uint8))
    model.invoke()
    np.testing.assert_allclose(model.output(), 255 * 127 * CHANNELS, rtol=1e-6)

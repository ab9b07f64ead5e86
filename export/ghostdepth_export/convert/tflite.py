"""A lowered network as .tflite files, in four flavours, by TensorFlow's own converter."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from bench_depth.model.contract import STATE_IN, STATE_OUT, StateTensor
from ghostdepth_export.convert.flatbuffer import (
    MIN_RUNTIME_NAME,
    Model,
    join,
    keep_state_quantized,
    name_ends,
    order_ends,
    pack,
    remove_last_reshape,
    resize_before_quantize,
    set_metadata,
    unpack,
)
from ghostdepth_export.convert.lowering import Lowered
from ghostdepth_export.convert.tensorflow_quietly import tf
from ghostdepth_export.convert.tflite_schema import schema
from ghostdepth_export.host.quiet import native_quiet
from numpy.typing import NDArray

# Storage of the weights; the arithmetic is float32.
Weights = Literal["float32", "float16", "int8"]


def convert(lowered: Lowered, weights: Weights = "float32") -> bytes:
    """Converts a network to a file with float input and output.

    A depth map is 1xHx1xW where the converter would copy it to make it 1xHxWx1.

    Args:
        lowered: The lowered network.
        weights: Storage of the weights. `int8` is "dynamic range" quantization: weights per
            channel, activations quantized on the fly inside the convolutions.
    """
    converter = _converter(lowered)
    if weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    model = _convert(converter)
    remove_last_reshape(model)
    return pack(model)


def convert_int8(
    trunk: Lowered, tail: Lowered, inputs: Iterable[Sequence[NDArray[np.float32]]] | None
) -> bytes:
    """Converts to a file that takes uint8 pixels, with the trunk in int8 and the tail in float32.

    The head's convolution belongs to the trunk. In float it is no better: on 106 real images
    si-RMSE 0.26242 instead of 0.26244 (torch: 0.26305), SQNR 39.2 instead of 38.8 dB.

    Args:
        trunk: Trunk lowered with `pixels=True`, or with ranges.
        tail: Lowered module that takes the trunk's output.
        inputs: Calibration inputs as `ExportSource.with_states` gives them; None if the trunk has
            ranges.
    """
    converter = int8_converter(trunk)
    if inputs is not None:
        names = [spec.name for spec in trunk.function.structured_input_signature[0]]
        # Torch has the state as NxCxHxW.
        kept = [
            dict(
                zip(names, (image, *(state.transpose(0, 2, 3, 1) for state in states)), strict=True)
            )
            for image, *states in inputs
        ]
        converter.representative_dataset = lambda: iter(kept)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    front = _convert(converter)
    resize_before_quantize(front)
    keep_state_quantized(front)
    return pack(join(front, unpack(convert(tail))))


def int8_converter(trunk: Lowered) -> Any:
    """TensorFlow's converter, set to int8 with uint8 input and float output."""
    converter = _converter(trunk)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.float32
    return converter


def state_tensor(data: bytes) -> StateTensor | None:
    """The state of a stream in a converted file; None for a file without one."""
    (graph,) = unpack(data).subgraphs
    if len(graph.inputs) == 1:
        return None
    given, after = graph.tensors[graph.inputs[1]], graph.tensors[graph.outputs[1]]
    assert list(given.shape) == list(after.shape) and given.type == after.type
    n, h, w, c = map(int, given.shape)
    if given.type == schema.TensorType.FLOAT32:
        return StateTensor(STATE_IN, STATE_OUT, (n, h, w, c), "float32")
    (scale,), (zero,) = given.quantization.scale, given.quantization.zeroPoint
    return StateTensor(STATE_IN, STATE_OUT, (n, h, w, c), "int8", float(scale), int(zero))


def output_layout(data: bytes) -> str:
    """`NHWC`, or `NHCW` for a depth map of 1xHx1xW."""
    (graph,) = unpack(data).subgraphs
    shape = graph.tensors[graph.outputs[0]].shape
    return "NHCW" if shape[3] != 1 else "NHWC"


def finish(data: bytes, minimum_runtime: str, name: str, contract: str) -> bytes:
    """Names the input `rgb` and the output `depth`, the state if there is one; writes the metadata.

    Args:
        data: Bytes of a converted file.
        minimum_runtime: Oldest runtime that can run the file, like `"2.3.0"`.
        name: Name of the metadata entry for the contract.
        contract: The contract as JSON.
    """
    model = unpack(data)
    name_ends(model, ("rgb", STATE_IN), ("depth", STATE_OUT))
    # TensorFlow's readers expect 16 bytes, padded with zeros.
    set_metadata(model, MIN_RUNTIME_NAME, minimum_runtime.encode().ljust(16, b"\0"))
    set_metadata(model, name.encode(), contract.encode())
    return pack(model)


def _converter(lowered: Lowered) -> Any:
    return tf.lite.TFLiteConverter.from_concrete_functions([lowered.function], lowered.module)


def _convert(converter: Any) -> Model:
    with native_quiet(), warnings.catch_warnings():
        # The ranges that this warning asks for come from the calibration images.
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        # The converter itself finds the names of the inputs with this interpreter.
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter is deprecated")
        model = unpack(bytes(converter.convert()))
    order_ends(model)
    return model

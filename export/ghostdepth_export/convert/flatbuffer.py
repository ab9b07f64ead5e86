"""Small changes to .tflite files: join two, move or remove an op, write metadata.

A .tflite file is a flatbuffer; TensorFlow ships generated classes that unpack it to plain objects
and pack it again.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ghostdepth_export.convert.tflite_schema import schema

Model = Any  # schema.ModelT: generated code, without types
MIN_RUNTIME_NAME = b"min_runtime_version"


def unpack(data: bytes) -> Model:
    """Bytes of a .tflite file -> an object tree (`schema.ModelT`)."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def pack(model: Model) -> bytes:
    """The inverse of `unpack`."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def op_name(model: Model, op: Any) -> str:
    """The name of an op of the model's graph, spelled as in TFLite's schema."""
    return builtin_name(model.operatorCodes[op.opcodeIndex])


def builtin_name(code: Any) -> str:
    """The name of an operator code; a custom op is `CUSTOM name`."""
    # Codes up to 127 used to be stored in a separate byte; old files have only that one.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    for name, value in vars(schema.BuiltinOperator).items():
        if value == number and not name.startswith("_"):
            custom = f" {code.customCode.decode(errors='replace')}" if code.customCode else ""
            return f"{name}{custom}"
    return f"builtin {number}"


def join(front: Model, back: Model) -> Model:
    """One model that feeds the output of `front` to `back`; `front` is modified and returned.

    Both must have one graph, `back` one input and one output, and the first output of `front` the
    shape and type of the input of `back`; other outputs of `front` follow that of `back`.
    """
    (first,), (second,) = front.subgraphs, back.subgraphs
    (meeting, *others), (entry,) = first.outputs, second.inputs
    a, b = first.tensors[meeting], second.tensors[entry]
    assert list(a.shape) == list(b.shape) and a.type == b.type, (a.shape, b.shape)
    tensors, buffers = len(first.tensors), len(front.buffers)
    codes = len(front.operatorCodes)
    front.operatorCodes = [*front.operatorCodes, *back.operatorCodes]
    # By convention buffer 0 is empty and belongs to tensors without data.
    front.buffers = [*front.buffers, *back.buffers]
    for tensor in second.tensors:
        tensor.buffer = tensor.buffer + buffers if tensor.buffer else 0
        first.tensors.append(tensor)

    def moved(indices: Any) -> Any:
        if indices is None:
            return None
        new = [meeting if i == entry else i + tensors if i >= 0 else i for i in indices]
        return np.array(new, np.int32)

    for op in second.operators:
        op.opcodeIndex += codes
        op.inputs, op.outputs = moved(op.inputs), moved(op.outputs)
        op.intermediates = moved(op.intermediates)
        first.operators.append(op)
    first.outputs = np.array([*moved(second.outputs), *others], np.int32)
    return front


def resize_before_quantize(model: Model) -> None:
    """Swaps QUANTIZE(uint8 image) -> RESIZE at the start of a model to RESIZE -> QUANTIZE.

    Both orders give the same values, but this one quantizes only the pixels that remain.
    """
    graph = model.subgraphs[0]
    start = [op_name(model, op) for op in graph.operators[:2]]
    if start != ["QUANTIZE", "RESIZE_BILINEAR"]:
        return
    quantize, resize = graph.operators[:2]
    (image,), (between,), (small,) = quantize.inputs, quantize.outputs, resize.outputs
    users = [op for op in graph.operators if between in op.inputs]
    if len(users) != 1 or resize.inputs[0] != between:
        return
    resized = graph.tensors[between]
    resized.shape = graph.tensors[small].shape
    resized.shapeSignature = None
    resized.type = graph.tensors[image].type
    resized.quantization = copy.deepcopy(graph.tensors[image].quantization)
    resize.inputs = np.array([image, resize.inputs[1]], np.int32)
    resize.outputs = np.array([between], np.int32)
    quantize.inputs, quantize.outputs = resize.outputs, np.array([small], np.int32)
    graph.operators[:2] = [resize, quantize]


def order_ends(model: Model) -> None:
    """Puts inputs and outputs in the function's order; the converter gives several in any order."""
    (graph,), (signature, *_) = model.subgraphs, model.signatureDefs
    inputs, outputs = (
        np.array([end.tensorIndex for end in sorted(ends, key=lambda end: end.name)], np.int32)
        for ends in (signature.inputs, signature.outputs)
    )
    assert sorted(inputs) == sorted(graph.inputs) and sorted(outputs) == sorted(graph.outputs)
    graph.inputs, graph.outputs = inputs, outputs


def keep_state_quantized(model: Model) -> None:
    """Lets a second input and output be the int8 tensors that they are converted to and from.

    What one run gives goes into the next one byte by byte.
    """
    graph = model.subgraphs[0]
    if len(graph.inputs) == 1:
        return
    (picture, state), (result, after) = graph.inputs, graph.outputs
    (entry,) = (op for op in graph.operators if state in op.inputs)
    (leave,) = (op for op in graph.operators if after in op.outputs)
    assert (op_name(model, entry), op_name(model, leave)) == ("QUANTIZE", "DEQUANTIZE")
    graph.inputs = np.array([picture, entry.outputs[0]], np.int32)
    graph.outputs = np.array([result, leave.inputs[0]], np.int32)
    graph.operators = [op for op in graph.operators if op is not entry and op is not leave]
    ends = [graph.tensors[index] for index in (graph.inputs[1], graph.outputs[1])]
    scales = [(list(end.quantization.scale), list(end.quantization.zeroPoint)) for end in ends]
    assert scales[0] == scales[1], scales


def remove_last_reshape(model: Model) -> None:
    """Removes a RESHAPE before the first output of a model, which then has its input's shape.

    The values and their order are the same. TensorFlow Lite 2.5 copies them on one thread.
    """
    graph = model.subgraphs[0]
    output, *others = graph.outputs
    last = next((op for op in graph.operators if list(op.outputs) == [output]), None)
    if last is None or op_name(model, last) != "RESHAPE":
        return
    source = last.inputs[0]
    # An input of the graph, or a constant, cannot take the output's place.
    if not any(source in op.outputs for op in graph.operators):
        return
    graph.operators.remove(last)
    graph.outputs = np.array([source, *others], np.int32)


def name_ends(model: Model, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Names the inputs and the outputs of a model, as many as it has, in their order."""
    graph = model.subgraphs[0]
    for names, tensors in ((inputs, graph.inputs), (outputs, graph.outputs)):
        for name, index in zip(names, tensors, strict=False):
            graph.tensors[index].name = name.encode()
    # The converter's signatures use the old names, and a joined model has two sets of them.
    model.signatureDefs = None


def set_metadata(model: Model, name: bytes, data: bytes) -> None:
    """Adds or replaces one entry of the model's metadata."""
    for entry in model.metadata or []:
        if entry.name == name:
            model.buffers[entry.buffer].data = np.frombuffer(data, np.uint8)
            return
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]

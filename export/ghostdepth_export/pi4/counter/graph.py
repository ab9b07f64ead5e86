"""The files of the counter: the ops of a model, and probes with ops of known size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, UserError
from bench_depth.core.files import read_regular
from bench_depth.model.identity import external_files
from bench_depth.model.readers.tflite_file import check

RUNTIME = "2.5"
# Which ops of the probe are large, in an order that no other loop has by chance.
PROBE_PATTERN = tuple(bit == "1" for bit in "0110100110010110100101100110100101101")
_LARGE, _SMALL = 4096, 4


@dataclass(frozen=True)
class GraphOp:
    """One op of a graph.

    Attributes:
        name: Type of the op, spelled as in TFLite's schema.
        output: Name of the first output tensor; not always unique.
        shape: Shape of that tensor, like `1x480x640x1`.
        tasks: Number of tasks that four threads share; None where the runtime does not tell.
    """

    name: str
    output: str
    shape: str
    tasks: int | None = None


def read_ops(path: Path) -> list[GraphOp]:
    """The ops of a .tflite file, in the order in which TensorFlow Lite 2.5 executes them.

    Raises:
        UserError: As `check_plain`, or the file holds something that TensorFlow Lite 2.5 cannot
            run: a custom op, an op that is too new, options that it refuses.
    """
    data = _read(path)

    from ghostdepth_export.convert.flatbuffer import op_name, unpack
    from ghostdepth_export.convert.op_versions import (
        minimum_runtime,
        parse_version,
        refused_at_prepare,
    )

    model = unpack(data)
    _check_plain(path, model)
    graph = model.subgraphs[0]
    names = [op_name(model, op) for op in graph.operators]
    custom = [name for name in names if name.startswith("CUSTOM")]
    if custom:
        raise _refusal(path, f"the op {custom[0]} is not in TensorFlow Lite {RUNTIME}")
    needed = minimum_runtime(data)
    if parse_version(needed)[:2] > parse_version(RUNTIME)[:2]:
        raise _refusal(
            path,
            f"it needs TensorFlow Lite {needed}, but the counter runs {RUNTIME}; "
            "--runtime litert is newer",
        )
    refused = refused_at_prepare(data)
    if refused is not None:
        raise _refusal(path, f"{refused}, which TensorFlow Lite {RUNTIME} cannot run")
    outputs = [graph.tensors[op.outputs[0]] for op in graph.operators]
    return [
        GraphOp(name, output.name.decode(errors="replace"), _by_x(output.shape))
        for name, output in zip(names, outputs, strict=True)
    ]


def check_plain(path: Path) -> None:
    """Refuses what no runtime can be counted with.

    Raises:
        UserError: The file cannot be read, is no complete .tflite or .onnx file, or holds something
            that the counter cannot separate or feed: a second .tflite graph, an input without a
            fixed shape, weights in other files.
    """
    if path.suffix == ".onnx":
        _check_plain_onnx(path)
        return
    data = _read(path)

    from ghostdepth_export.convert.flatbuffer import unpack

    _check_plain(path, unpack(data))


def _read(path: Path) -> bytes:
    try:
        data = read_regular(path)
        check(data)
    except ValueError as error:
        raise UserError(f"cannot count {path}: {error}", BAD_INPUT) from error
    return data


def _check_plain(path: Path, model: Any) -> None:
    if len(model.subgraphs) > 1:
        raise _refusal(path, "it has several graphs (control flow); only a plain graph is counted")
    graph = model.subgraphs[0]
    for index in graph.inputs:
        tensor = graph.tensors[index]
        signature = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
        _check_shape(path, _sizes(signature))


def _check_plain_onnx(path: Path) -> None:
    import onnx

    data = read_regular(path)
    if external_files(path, data):
        raise _refusal(path, "its weights are in other files; save them inside it")
    graph = onnx.load_from_string(data).graph
    weights = {tensor.name for tensor in graph.initializer}
    for entry in graph.input:
        if entry.name not in weights:
            dims = entry.type.tensor_type.shape.dim
            _check_shape(path, [dim.dim_value if dim.HasField("dim_value") else -1 for dim in dims])


def _check_shape(path: Path, sizes: list[int]) -> None:
    if any(size < 1 for size in sizes):
        raise _refusal(path, f"its input has no fixed shape ({_by_x(sizes)}); export it with one")


def probe() -> bytes:
    """A model with one RELU op per entry of `PROBE_PATTERN`, each on a large or a small input."""
    from ghostdepth_export.convert.flatbuffer import pack
    from ghostdepth_export.convert.tflite_schema import schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    code.version = 1
    sizes = [_SMALL, _LARGE]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(schema, size) for size in sizes]
    graph.operators = []
    for large in PROBE_PATTERN:
        op = schema.OperatorT()
        op.inputs, op.outputs = [int(large)], [len(graph.tensors)]
        graph.operators.append(op)
        graph.tensors.append(_tensor(schema, sizes[large]))
    graph.inputs = [0, 1]
    graph.outputs = list(range(2, len(graph.tensors)))
    model = schema.ModelT()
    model.version = 3
    model.operatorCodes, model.subgraphs, model.buffers = [code], [graph], [schema.BufferT()]
    return pack(model)


def onnx_probe() -> bytes:
    """The same as an ONNX graph, of a version that any ONNX Runtime runs."""
    from onnx import TensorProto, helper

    sizes = {"small": [1, _SMALL], "large": [1, _LARGE]}
    # Of nodes that do not depend on each other it runs the last one first.
    inputs = ["large" if large else "small" for large in reversed(PROBE_PATTERN)]
    nodes = [helper.make_node("Relu", [name], [f"t{i}"]) for i, name in enumerate(inputs)]
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info(name, kind, size) for name, size in sizes.items()],
        [helper.make_tensor_value_info(f"t{i}", kind, sizes[n]) for i, n in enumerate(inputs)],
    )
    opsets = [helper.make_opsetid("", 13)]
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return data


def _tensor(schema: Any, size: int) -> Any:
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.name = [1, size], schema.TensorType.FLOAT32, b"t"
    return tensor


def _sizes(shape: Any) -> list[int]:
    # The generated classes have None for an empty vector, which is the shape of a scalar.
    return [] if shape is None else [int(size) for size in shape]


def _by_x(shape: Any) -> str:
    return "x".join(str(size) for size in _sizes(shape))


def _refusal(path: Path, reason: str) -> UserError:
    return UserError(f"cannot count {path}: {reason}", MODEL_FAILED)

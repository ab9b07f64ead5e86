"""The .tflite files of the counter: the ops of a model, and a probe with ops of known size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, UserError
from bench_depth.core.files import read_regular
from bench_depth.model.tflite_file import check

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
    """

    name: str
    output: str
    shape: str


def read_ops(path: Path) -> list[GraphOp]:
    """The ops of a model, in the order in which they are executed.

    Raises:
        UserError: The file cannot be read, is no complete .tflite file, or holds something that
            TensorFlow Lite 2.5 cannot run or the counter cannot separate: a custom op, an op that
            is too new, a second graph, an input without a fixed shape.
    """
    from ghostdepth_export.convert.flatbuffer import op_name, unpack
    from ghostdepth_export.convert.op_versions import minimum_runtime, parse_version

    try:
        data = read_regular(path)
        check(data)
    except ValueError as error:
        raise UserError(f"cannot count {path}: {error}", BAD_INPUT) from error
    model = unpack(data)
    graph = model.subgraphs[0]
    if len(model.subgraphs) > 1:
        raise _refusal(path, "it has several graphs (control flow); only a plain graph is counted")
    names = [op_name(model, op) for op in graph.operators]
    custom = [name for name in names if name.startswith("CUSTOM")]
    if custom:
        raise _refusal(path, f"the op {custom[0]} is not in TensorFlow Lite {RUNTIME}")
    needed = minimum_runtime(data)
    if parse_version(needed)[:2] > parse_version(RUNTIME)[:2]:
        raise _refusal(path, f"it needs TensorFlow Lite {needed}, but the counter runs {RUNTIME}")
    for index in graph.inputs:
        tensor = graph.tensors[index]
        signature = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
        if any(size < 1 for size in _sizes(signature)):
            shape = _by_x(signature)
            raise _refusal(path, f"its input has no fixed shape ({shape}); export it with one")
    outputs = [graph.tensors[op.outputs[0]] for op in graph.operators]
    return [
        GraphOp(name, output.name.decode(errors="replace"), _by_x(output.shape))
        for name, output in zip(names, outputs, strict=True)
    ]


def probe() -> bytes:
    """A model with one RELU op per entry of `PROBE_PATTERN`, each on a large or a small input."""
    from ghostdepth_export.convert.flatbuffer import pack
    from ghostdepth_export.convert.tensorflow_quietly import schema

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

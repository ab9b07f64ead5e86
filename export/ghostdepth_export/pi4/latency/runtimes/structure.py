"""What two model files share whose instruction counts are the same: ops and shapes, not weights."""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from bench_depth.core.files import read_regular
from ghostdepth_export.pi4.counter.graph import check_plain
from ghostdepth_export.pi4.latency.work import read_work

# Ops whose output's shape depends on numbers beside it, which are few.
_SHAPED = ("Resize", "Upsample")
_FEW = 8


@dataclass(frozen=True)
class Structure:
    """The structure of a model file.

    Attributes:
        key: Hexadecimal digest of the ops, their types and shapes; the same for other weights.
        eight_bit: Whether ops compute with 8-bit integers, for which some cores have instructions
            of their own.
    """

    key: str
    eight_bit: bool


def read_structure(path: Path) -> Structure:
    """Reads the structure of a .tflite or .onnx file.

    Raises:
        UserError: The file cannot be counted.
    """
    check_plain(path)
    if path.suffix == ".onnx":
        return _of_onnx(path)
    work = read_work(path)
    eight_bit = any("INT8" in (op.weights or op.dtype) for op in work)
    return Structure(_digest([astuple(op) for op in work]), eight_bit)


def _of_onnx(path: Path) -> Structure:
    import onnx

    model = onnx.load_from_string(read_regular(path))
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[Any] = []
    for node in graph.node:
        attributes = [
            attribute.SerializeToString().hex()
            for attribute in sorted(node.attribute, key=lambda each: each.name)
            if not attribute.HasField("t")
        ]
        inputs = [_weight(weights.get(name), node.op_type) for name in node.input]
        nodes.append((node.op_type, attributes, inputs))
    shapes = [[dim.dim_value for dim in entry.type.tensor_type.shape.dim] for entry in graph.input]
    integers = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    eight_bit = any(tensor.data_type in integers for tensor in weights.values())
    # ONNX Runtime refuses what is too new, and runs ops by the opset.
    opsets = sorted((opset.domain, opset.version) for opset in model.opset_import)
    return Structure(_digest([nodes, shapes, opsets]), eight_bit)


def _weight(tensor: Any, op: str) -> Any:
    """Type and shape of a weight, with the numbers that shapes depend on."""
    import onnx

    if tensor is None:
        return None
    shaping = tensor.data_type == onnx.TensorProto.INT64
    shaping |= op in _SHAPED and sum(tensor.dims) <= _FEW
    numbers = onnx.numpy_helper.to_array(tensor).tolist() if shaping else None
    return tensor.data_type, list(tensor.dims), numbers


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:24]

"""Small .onnx files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Shapes = Mapping[str, Sequence[Any]]


def onnx_bytes(
    nodes: Sequence[Any],
    inputs: Shapes,
    outputs: Shapes,
    constants: Mapping[str, Any],
    *,
    dtypes: Mapping[str, str] | None = None,
    opset: int = 18,
    properties: Mapping[str, str] | None = None,
) -> bytes:
    """A file of these nodes; tensors that `dtypes` does not name are float32, None is any size."""
    from onnx import helper, numpy_helper

    def values(shapes: Shapes) -> list[Any]:
        found = []
        for name, shape in shapes.items():
            kind = helper.np_dtype_to_tensor_dtype(np.dtype((dtypes or {}).get(name, "float32")))
            axes = [f"{name}_{i}" if n is None else n for i, n in enumerate(shape)]
            found.append(helper.make_tensor_value_info(name, kind, axes))
        return found

    kept = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", values(inputs), values(outputs), kept)
    opsets: Any = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    helper.set_model_props(model, dict(properties or {}))
    return bytes(model.SerializeToString())

"""The properties of the ops of a .tflite graph that the split among threads depends on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_depth.core.files import read_regular

_WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


@dataclass(frozen=True)
class OpWork:
    """One op of a graph, in the order of execution.

    Attributes:
        name: Type of the op, spelled as in TFLite's schema.
        dtype: Data type of the first output: `FLOAT32`, `INT8`, `UINT8`, ...
        output: Shape of the first output, NHWC for images; () for a scalar.
        inputs: Shapes of the inputs, in order; () for an omitted optional input.
        weights: Data type of the weights; None for that of the output, or an op without weights.
    """

    name: str
    dtype: str
    output: tuple[int, ...]
    inputs: tuple[tuple[int, ...], ...]
    weights: str | None = None

    @property
    def itemsize(self) -> int:
        """Bytes of a value: 4 for float32, 1 for 8 bits."""
        return 4 if self.dtype == "FLOAT32" else 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a convolution or a matrix product; 0 for other ops.

        Weights are O x h x w x I (convolution), 1 x h x w x C (depthwise), O x I (fully connected).
        """
        if self.name not in _WITH_WEIGHTS:
            return 0
        weights = self.inputs[1]
        if self.name == "TRANSPOSE_CONV":  # inputs: output shape, weights, image
            return math.prod(self.inputs[2][:3]) * math.prod(weights)
        if self.name == "DEPTHWISE_CONV_2D":
            return math.prod(self.output) * math.prod(weights[1:3])
        return math.prod(self.output) * math.prod(weights[1:])


def read_work(path: Path) -> list[OpWork]:
    """The ops of a model that `counter.graph.read_ops` accepts, in the same order."""
    from ghostdepth_export.convert.flatbuffer import op_name, unpack
    from ghostdepth_export.convert.tflite_schema import schema

    types = {value: name for name, value in vars(schema.TensorType).items() if name[0] != "_"}
    model = unpack(read_regular(path))
    graph = model.subgraphs[0]

    def shape(index: int) -> tuple[int, ...]:
        sizes: Any = graph.tensors[index].shape if index >= 0 else None
        return () if sizes is None else tuple(int(size) for size in sizes)

    def weights(op: Any) -> str | None:
        has = op_name(model, op) in _WITH_WEIGHTS
        return types[graph.tensors[op.inputs[1]].type] if has else None

    return [
        OpWork(
            op_name(model, op),
            types[graph.tensors[op.outputs[0]].type],
            shape(op.outputs[0]),
            # The generated classes have None for an empty vector.
            tuple(shape(index) for index in (op.inputs if op.inputs is not None else ())),
            weights(op),
        )
        for op in graph.operators
    ]

"""Which layer of a network each op of its .tflite file belongs to."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from bench_depth.core.errors import UserError
from ghostdepth_export.convert.flatbuffer import Model, op_name, unpack
from ghostdepth_export.convert.tflite_schema import schema
from ghostdepth_export.pi4.counter import ModelCounts
from ghostdepth_train.models.network import DepthNet
from numpy.typing import NDArray
from torch import nn

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
# The channels of this layer are depth pixels, which no width changes.
_LAST = "head"
# XNNPACK's names of convolutions, before the data types in parentheses; one of 1x1 is a product.
_XNNPACK = ("Convolution", "Fully Connected")
# A convolution's weights in a .onnx file, in int8 after their DequantizeLinear.
_ONNX_WEIGHTS = re.compile(r"trunk\.net\.(.+)\.weight(_DequantizeLinear_Output)?")
# What ONNX Runtime appends to the name of a node that it replaces.
_REPLACED = re.compile(r"_token_\d+$")


def op_layers(data: bytes, network: DepthNet) -> list[tuple[str, bool]]:
    """Maps each op of a file to a layer.

    Args:
        data: A .tflite file of the network.
        network: Network with a `GhostNet` encoder, without adders.

    Returns:
        The layer's name for each op, in the file's order, and whether the op is the layer's
        convolution. Another op belongs to the convolution that its largest input comes from. The
        name is empty before the first convolution and after the last one.
    """
    model = unpack(data)
    graph = model.subgraphs[0]
    own = [op for op in graph.operators if op_name(model, op) in CONVOLUTIONS]
    names = iter(match([kernel(model, op) for op in own], network))
    of_tensor: dict[int, str] = {}
    found = []
    for op in graph.operators:
        is_own = op_name(model, op) in CONVOLUTIONS
        layer = next(names) if is_own else of_tensor.get(_largest(model, op), "")
        for tensor in op.outputs:
            of_tensor[int(tensor)] = "" if layer == _LAST else layer
        found.append((layer, is_own))
    return found


def xnnpack_layers(counts: ModelCounts, data: bytes, network: DepthNet) -> list[tuple[str, bool]]:
    """Maps each operator of LiteRT to a layer, as `op_layers` does.

    XNNPACK runs the convolutions in the file's order. Another operator belongs to the convolution
    before it.

    Args:
        counts: Instruction counts of the file in LiteRT.
        data: A .tflite file of the network.
        network: Network with a `GhostNet` encoder, without adders.

    Raises:
        UserError: XNNPACK has another number of convolutions than the file.
    """
    names = [name for name, own in op_layers(data, network) if own]
    kinds = [op.name.partition(" (")[0] for op in counts.ops]
    convolutions = [kind in (*CONVOLUTIONS, *_XNNPACK) for kind in kinds]
    if sum(convolutions) != len(names):
        raise UserError(
            f"LiteRT runs {sum(convolutions)} convolutions, but the network has {len(names)}, so "
            "that its time cannot be divided among the layers; predict for the runtime 2.5"
        )
    left = iter(names)
    return _with_others(next(left) if own else None for own in convolutions)


def onnx_layers(counts: ModelCounts, data: bytes) -> list[tuple[str, bool]]:
    """Maps each node of ONNX Runtime to a layer, as `op_layers` does.

    Convolutions are found by the names of their nodes. Another node belongs to the convolution
    before it.

    Args:
        counts: Instruction counts of the file in ONNX Runtime.
        data: A .onnx file of the network.
    """
    import onnx

    nodes = onnx.ModelProto.FromString(data).graph.node
    weights = {n.name: _ONNX_WEIGHTS.fullmatch(n.input[1]) for n in nodes if n.op_type == "Conv"}
    found = [weights.get(_REPLACED.sub("", op.output)) for op in counts.ops]
    return _with_others(None if match is None else match[1] for match in found)


def _with_others(convolutions: Iterable[str | None]) -> list[tuple[str, bool]]:
    """The layer of every op from those of the convolutions; None for an op that is in no layer."""
    found, current = [], ""
    for name in convolutions:
        found.append((current if name is None else name, name is not None))
        if name is not None:
            current = "" if name == _LAST else name
    return found


def kernel(model: Model, op: Any) -> NDArray[np.float32]:
    """A convolution's weights in torch's layout: OxIxhxw, or Ox1xhxw for a depthwise one.

    Quantized weights are not rescaled: each output channel is off by a factor.
    """
    tensor = model.subgraphs[0].tensors[op.inputs[1]]
    stored = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8}
    values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), stored[tensor.type])
    weights = values.astype(np.float32).reshape(tensor.shape)
    depthwise = op_name(model, op) == "DEPTHWISE_CONV_2D"
    return weights.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))


def match(kernels: list[NDArray[np.float32]], network: DepthNet) -> list[str]:
    """The layer of each kernel, by cosine similarity: export only scales a kernel."""
    left = {
        name: layer.weight.detach().numpy()
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d)
    }
    shapes = {weight.shape for weight in left.values()}
    names = []
    for stored in kernels:
        weights = stored
        if stored.shape not in shapes:
            weights = _of_first_pixel(stored, network.head.out_channels)
        candidates = [name for name, weight in left.items() if weight.shape == weights.shape]
        assert candidates, f"no layer is {weights.shape}"
        names.append(max(candidates, key=lambda name: _cosine_similarity(left[name], weights)))
        del left[names[-1]]
    assert not left, f"not in the file: {left.keys()}"
    return names


def _of_first_pixel(weights: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """The original kernel of a convolution that the file computes for a block of pixels at once."""
    block = math.isqrt(len(weights) // channels)
    return weights[:channels, :, : 1 - block, : 1 - block]


def _cosine_similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(1) / np.maximum(lengths, 1e-12)).mean())


def _largest(model: Model, op: Any) -> int:
    """Index of the largest input that is not constant; -1 if there is none."""
    tensors = model.subgraphs[0].tensors

    def size(index: int) -> int:
        shape = tensors[index].shape
        constant = model.buffers[tensors[index].buffer].data is not None
        return 0 if constant or shape is None else math.prod(int(n) for n in shape)

    inputs = [int(index) for index in op.inputs if index >= 0]
    return max(inputs, key=size, default=-1)

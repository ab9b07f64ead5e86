"""Which tensors of a simplified graph are quantized, and which of them share a range."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from bench_depth.core.errors import UserError
from torch.fx import Node

from ghostdepth_train.models.network import CameraTrunk, DepthNet
from ghostdepth_train.quantization.ranges import FRACTIONS, PIXELS, Range
from ghostdepth_train.quantization.torch_graph import TorchGraph
from ghostdepth_train.quantization.tracing import trace

aten = torch.ops.aten
ACTIVATIONS = (aten.relu.default, aten.relu6.default)
# Fused with an activation that follows.
FUSED = (aten.conv2d.default, aten.add.Tensor)
# What comes out has the range of what went in: these ops only move numbers, or mix neighbours.
SAME_RANGE = (
    aten.cat.default,
    aten.upsample_bilinear2d.vec,
    aten.slice.Tensor,
    aten.flip.default,
    aten.pad.default,
    aten.pixel_shuffle.default,
    aten.upsample_nearest2d.vec,
    aten.avg_pool2d.default,
    aten.reshape.default,
    aten.transpose.int,
)
# TFLite allows the outputs of these no other range than 0..255/256.
TO_FRACTIONS = (aten.sigmoid.default, aten.softmax.int)
OTHERS = (aten.mul.Tensor, aten.mean.dim, aten.matmul.default)


@dataclass(frozen=True)
class QuantizedTensors:
    """The quantized tensors of a graph.

    Attributes:
        names: Name of each node that is quantized; nodes with the same name share a range. Nodes
            whose range is given are in `fixed` instead.
        fixed: The range of each node that has no other: bytes of the image, outputs of softmax
            and sigmoid, and what is only moved from these.
    """

    names: dict[Node, str]
    fixed: dict[Node, Range]

    def range_names(self) -> list[str]:
        """The names, each once, in the order of the graph."""
        return list(dict.fromkeys(self.names.values()))


@dataclass(frozen=True)
class Trunk:
    """A network with its graph at its own input size; the graph follows the network's weights.

    Attributes:
        network: Network in eval mode.
        module: The network with its normalisation: parameters of the graph go by its names.
        traced: The graph.
        quantized: Quantized tensors of the network.
    """

    network: DepthNet
    module: CameraTrunk
    traced: TorchGraph
    quantized: QuantizedTensors

    @staticmethod
    def of(network: DepthNet) -> Trunk:
        """Traces a network, which takes seconds, and sets it to eval mode.

        Raises:
            UserError: An op has no int8 form here.
        """
        config, device = network.config, next(network.parameters()).device
        module = CameraTrunk(network).to(device)
        traced = trace(module, (1, *config.input_size, 3))
        return Trunk(network, module, traced, find_quantized_tensors(traced))


def find_quantized_tensors(traced: TorchGraph) -> QuantizedTensors:
    """Finds the quantized tensors of a graph.

    Args:
        traced: Graph of a trunk: pictures in, encoded depth out.

    Raises:
        UserError: An op has no int8 form here.
    """
    parent: dict[Node, Node] = {}

    def root(node: Node) -> Node:
        while parent[node] is not node:
            node = parent[node]
        return node

    parent[traced.input] = traced.input
    calls = [node for node in traced.graph.nodes if node.op == "call_function"]
    for node in calls:
        if node.target not in (*ACTIVATIONS, *FUSED, *SAME_RANGE, *TO_FRACTIONS, *OTHERS):
            raise UserError(f"the op {node.target} of the network has no int8 form here")
        if is_fused(node):
            continue
        parent[node] = node
        if node.target in SAME_RANGE:
            for part in activations(node, traced):
                parent[root(part)] = root(node)
    given = {root(node): FRACTIONS for node in calls if node.target in TO_FRACTIONS}
    given[root(traced.input)] = PIXELS
    fixed = {node: given[root(node)] for node in parent if root(node) in given}
    quantized = [node for node in calls if node in parent and node not in fixed]
    return QuantizedTensors({node: str(root(node).meta["tensor"]) for node in quantized}, fixed)


def is_fused(node: Node) -> bool:
    """Whether a node's value never exists: it goes straight into its activation."""
    users = list(node.users)
    return node.target in FUSED and len(users) == 1 and users[0].target in ACTIVATIONS


def activations(node: Node, traced: TorchGraph) -> list[Node]:
    """The inputs of a node that are no constants."""
    return [part for part in node.all_input_nodes if part not in traced.constants]

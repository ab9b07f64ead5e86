"""Which tensors of a simplified graph are quantized, and which of them share a range."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from bench_depth.core.errors import UserError
from torch.fx import Node

from ghostdepth_train.models.network import CameraTrunk, DepthNet
from ghostdepth_train.quantization.torch_graph import TorchGraph, trace

aten = torch.ops.aten
ACTIVATIONS = (aten.relu.default, aten.relu6.default)
# Fused with an activation that follows.
FUSED = (aten.conv2d.default, aten.add.Tensor)
# What comes out has the range of what went in: these ops only move numbers, or mix neighbours.
SAME_RANGE = (
    aten.cat.default,
    aten.upsample_bilinear2d.vec,
    aten.slice.Tensor,
    aten.pad.default,
    aten.pixel_shuffle.default,
)
OTHERS = (aten.mul.Tensor, aten.mean.dim)


@dataclass(frozen=True)
class QuantizedTensors:
    """The quantized tensors of a graph.

    Attributes:
        names: Of each node that is quantized; nodes with the same name share a range. The
            camera's image and what is only moved from it are not in it: `pixels`.
        pixels: Nodes that hold bytes of the image.
    """

    names: dict[Node, str]
    pixels: frozenset[Node]

    def range_names(self) -> list[str]:
        """The names, each once, in the order of the graph."""
        return list(dict.fromkeys(self.names.values()))


@dataclass(frozen=True)
class Trunk:
    """A network with its graph at its own input size; the graph follows the network's weights.

    Attributes:
        network: In eval mode.
        module: The network with its normalisation: parameters of the graph go by its names.
        traced: The graph.
        quantized: Its quantized tensors.
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
        traced = trace(module, (1, config.input_height, config.input_width, 3))
        return Trunk(network, module, traced, find_quantized_tensors(traced))


def find_quantized_tensors(traced: TorchGraph) -> QuantizedTensors:
    """Finds the quantized tensors of a graph.

    Args:
        traced: Of a trunk: pictures in, encoded depth out.

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
        if node.target not in (*ACTIVATIONS, *FUSED, *SAME_RANGE, *OTHERS):
            raise UserError(f"the op {node.target} of the network has no int8 form here")
        if is_fused(node):
            continue
        parent[node] = node
        if node.target in SAME_RANGE:
            for part in activations(node, traced):
                parent[root(part)] = root(node)
    image = root(traced.input)
    quantized = [node for node in calls if node in parent]
    pixels = {node for node in quantized if root(node) is image}
    names = {node: str(root(node).meta["tensor"]) for node in quantized if node not in pixels}
    return QuantizedTensors(names, frozenset({traced.input, *pixels}))


def is_fused(node: Node) -> bool:
    """Whether a node's value never exists: it goes straight into its activation."""
    users = list(node.users)
    return node.target in FUSED and len(users) == 1 and users[0].target in ACTIVATIONS


def activations(node: Node, traced: TorchGraph) -> list[Node]:
    """The inputs of a node that are no constants."""
    return [part for part in node.all_input_nodes if part not in traced.constants]

"""A torch module as a flat graph of aten ops, simplified for a runtime that only infers.

`tracing.trace` makes it. Its passes, `folding` and `input_folding`, change the graph's meaning in
one way only: a convolution's `padding` may become four numbers (top, bottom, left, right) where
torch has two. Export lowers this graph, and quantization-aware training runs it, so that both
quantize the same tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node

aten = torch.ops.aten

# A weight as it is now: it follows the module's parameters, with their gradients.
Constant = Callable[[], Tensor]


@dataclass
class TorchGraph:
    """A graph of aten ops with its constants.

    Attributes:
        graph: Call-function nodes with overloads of `torch.ops.aten` as targets; logically NCHW.
        constants: Gives the placeholders that are weights, in torch's layouts.
        input: The placeholder that is the image (or the encoded depth).
        input_shape: NxHxWxC, as stored: every activation is stored channels last.
        state: The placeholder that is the state of a stream; None for a network without one.
        names: The module's names of the parameters and buffers among the constants.
    """

    graph: Graph
    constants: dict[Node, Constant]
    input: Node
    input_shape: tuple[int, int, int, int]
    names: dict[Node, str]
    state: Node | None = None

    @property
    def output(self) -> Node:
        """The node whose value is the result."""
        return self._results()[0]

    @property
    def next_state(self) -> Node | None:
        """The node whose value is the state after the frame; None for a network without one."""
        return self._results()[1] if self.state is not None else None

    def _results(self) -> tuple[Node, ...]:
        result = self.graph.output_node().args[0]
        assert isinstance(result, tuple) and len(result) == 1 + (self.state is not None)
        return tuple(map(as_node, result))

    def calls(self, target: Any) -> Iterator[Node]:
        """The calls of one aten op, in order; the graph may be changed meanwhile."""
        yield from list(self.graph.find_nodes(op="call_function", target=target))

    def value(self, node: Any) -> Tensor:
        """What a constant is now, in float64."""
        return self.constants[as_node(node)]().double()

    def add_constant(self, value: Constant, name: str) -> Node:
        """A new placeholder that holds `value`."""
        with self.graph.inserting_before(self.input):
            node = self.graph.placeholder(name)
        self.constants[node] = value
        return node


def conv_args(conv: Node) -> tuple[Any, ...]:
    """Input, weight, bias, stride, padding, dilation and groups of a convolution."""
    """Input, weight, bias, stride, padding, dilation and groups of a convolution."""
    return arguments(conv, (None, None, None, [1, 1], [0, 0], [1, 1], 1))


def arguments(call: Node, defaults: tuple[Any, ...]) -> tuple[Any, ...]:
    """All arguments of a call: torch leaves out those that are at their defaults."""
    return (*call.args, *defaults[len(call.args) :])


def as_node(value: Any) -> Node:
    """An argument that is known to be a node."""
    """An argument that is known to be a node."""
    assert isinstance(value, Node), value
    return value

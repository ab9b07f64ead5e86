"""A torch module as a flat graph of aten ops, simplified for a runtime that only infers.

The passes change the graph's meaning in one way only: a convolution's `padding` may become four
numbers (top, bottom, left, right) where torch has two. Export lowers this graph, and
quantization-aware training runs it, so that both quantize the same tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node

aten = torch.ops.aten

# A weight as it is now: it follows the module's parameters, with their gradients.
Constant = Callable[[], Tensor]

TO_NCHW = [0, 3, 1, 2]
TO_NHWC = [0, 2, 3, 1]


@dataclass
class TorchGraph:
    """A graph of aten ops with its constants.

    Attributes:
        graph: Call-function nodes with overloads of `torch.ops.aten` as targets; logically NCHW.
        constants: Gives the placeholders that are weights, in torch's layouts.
        input: The placeholder that is the image (or the encoded depth).
        input_shape: NxHxWxC, as stored: every activation is stored channels last.
        state: The placeholder that is the state of a stream; None for a network without one.
        names: What the module calls the parameters and buffers among the constants.
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
        return tuple(map(_node, result))

    def calls(self, target: Any) -> Iterator[Node]:
        """The calls of one aten op, in order; the graph may be changed meanwhile."""
        yield from list(self.graph.find_nodes(op="call_function", target=target))

    def value(self, node: Any) -> Tensor:
        """What a constant is now, in float64."""
        return self.constants[_node(node)]().double()

    def add_constant(self, value: Constant, name: str) -> Node:
        """A new placeholder that holds `value`."""
        with self.graph.inserting_before(self.input):
            node = self.graph.placeholder(name)
        self.constants[node] = value
        return node


def trace(
    module: nn.Module, input_shape: tuple[int, ...], state_shape: tuple[int, ...] | None = None
) -> TorchGraph:
    """Traces a module in eval mode and simplifies the graph.

    Args:
        module: Takes one float32 tensor and gives one. Either may be NHWC, when the module starts
            or ends with the permutation; everything in between is NCHW.
        input_shape: Shape of the module's argument.
        state_shape: NxCxHxW of the module's second argument, to which its second result is the
            successor; None for a module without.
    """
    shapes = (input_shape,) if state_shape is None else (input_shape, state_shape)
    with torch.no_grad():
        device = next((p.device for p in module.parameters()), torch.device("cpu"))
        arguments = tuple(torch.zeros(shape, device=device) for shape in shapes)
        program = torch.export.export(module.eval(), arguments)
    graph = program.graph
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    lifted = signature.inputs_to_lifted_tensor_constants
    constants: dict[Node, Constant] = {}
    inputs = []
    for node in graph.find_nodes(op="placeholder"):
        if node.name in names:
            # Looked up anew each time: moving a module to a device replaces its buffers.
            constants[node] = partial(_look_up, module, names[node.name])
        elif node.name in lifted:
            constants[node] = partial(program.constants.__getitem__, lifted[node.name])
        else:
            inputs.append(node)
    image, *states = inputs
    n, *rest = input_shape
    known = {node: names[node.name] for node in constants if node.name in names}
    stored = (n, rest[1], rest[2], rest[0])
    result = TorchGraph(graph, constants, image, stored, known, next(iter(states), None))
    for conv in result.calls(aten.conv2d.default):
        _note_parameters(result, conv, *conv.args[1:3])
    _spell_out_limits(result)
    _name_by_module(result)
    if _strip_layout(result):
        result.input_shape = (n, rest[0], rest[1], rest[2])
    _fold_batch_norms(result)
    _fold_bias_additions(result)
    _absorb_pads(result)
    _fold_input_scale(result)
    _fold_input_shift(result)
    graph.eliminate_dead_code()
    return result


def _strip_layout(traced: TorchGraph) -> bool:
    """Removes the permutations at both ends; True when the input was NHWC."""
    users = list(traced.input.users)
    starts = len(users) == 1 and _is_permute(users[0], TO_NCHW)
    if starts:
        users[0].replace_all_uses_with(traced.input)
        traced.graph.erase_node(users[0])
    last = traced.output
    if _is_permute(last, TO_NHWC):
        last.replace_all_uses_with(_node(last.args[0]))
        traced.graph.erase_node(last)
    return starts


def _is_permute(node: Node, order: list[int]) -> bool:
    return node.target == aten.permute.default and list(node.args[1]) == order  # type: ignore[arg-type]


def _spell_out_limits(traced: TorchGraph) -> None:
    """`nn.ReLU6` and `nn.Hardtanh` as the ops that they are: torch exports both as hardtanh."""
    for target in (aten.hardtanh.default, aten.hardtanh_.default):
        for call in traced.calls(target):
            x, low, high = _arguments(call, (None, -1.0, 1.0))
            relu6 = (low, high) == (0.0, 6.0)
            call.target = aten.relu6.default if relu6 else aten.clamp.default
            call.args = (x,) if relu6 else (x, low, high)


def _note_parameters(traced: TorchGraph, conv: Node, gain: Any, shift: Any = None) -> None:
    """Notes which parameters scale and shift a convolution's channels, for methods that do so."""
    conv.meta.setdefault("weight", traced.names.get(gain))
    conv.meta["gain"], conv.meta["shift"] = traced.names.get(gain), traced.names.get(shift)


def _look_up(module: nn.Module, name: str) -> Tensor:
    path, _, leaf = name.rpartition(".")
    value = getattr(module.get_submodule(path), leaf)
    assert isinstance(value, Tensor)
    return value


def _name_by_module(traced: TorchGraph) -> None:
    """Gives each call a name that does not depend on what stands before it in the graph."""
    seen: dict[str, int] = {}
    for node in traced.graph.nodes:
        if node.op != "call_function":
            continue
        stack = list(node.meta.get("nn_module_stack", {}).values())
        path = str(stack[-1][0]) if stack else ""
        base = f"{path}:{getattr(node.target, '__name__', node.target)}".partition(".default")[0]
        seen[base] = seen.get(base, 0) + 1
        node.meta["tensor"] = base if seen[base] == 1 else f"{base}:{seen[base]}"


def _fold_batch_norms(traced: TorchGraph) -> None:
    """Folds each batch norm into the convolution before it, where that has no other user."""
    for norm in traced.calls(aten.batch_norm.default):
        conv = _node(norm.args[0])
        if conv.target != aten.conv2d.default or len(conv.users) != 1:
            continue
        _, weight, bias, *rest = _conv_args(conv)
        _note_parameters(traced, conv, *norm.args[1:3])
        conv.args = (
            conv.args[0],
            traced.add_constant(partial(_scaled, traced, weight, norm.args), f"{conv.name}_weight"),
            traced.add_constant(partial(_shifted, traced, bias, norm.args), f"{conv.name}_bias"),
            *rest,
        )
        norm.replace_all_uses_with(conv)
        traced.graph.erase_node(norm)


def _scaled(traced: TorchGraph, weight: Node, norm: tuple[Any, ...]) -> Tensor:
    gain, _ = batch_norm_affine(traced, norm)
    return (traced.value(weight) * gain.view(-1, 1, 1, 1)).float()


def _shifted(traced: TorchGraph, bias: Node | None, norm: tuple[Any, ...]) -> Tensor:
    gain, shift = batch_norm_affine(traced, norm)
    return (shift if bias is None else shift + gain * traced.value(bias)).float()


def batch_norm_affine(traced: TorchGraph, norm: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
    """A batch norm's gain and shift per channel, in eval mode, float64; `norm` is its arguments."""
    weight, bias, mean, variance = (None if a is None else traced.value(a) for a in norm[1:5])
    assert mean is not None and variance is not None
    epsilon = norm[7]
    gain = (variance + epsilon).rsqrt()
    if weight is not None:
        gain = gain * weight
    shift = -mean * gain
    return gain, shift if bias is None else shift + bias


def _fold_bias_additions(traced: TorchGraph) -> None:
    """conv(x) + number -> conv(x) with another bias, as the converters do."""
    for add in traced.calls(aten.add.Tensor):
        conv, number = add.args[:2]
        if not isinstance(conv, Node) or not isinstance(number, (int, float)):
            continue
        if conv.target != aten.conv2d.default or len(conv.users) != 1:
            continue
        x, weight, bias, *rest = _conv_args(conv)
        if bias is None:
            continue
        moved = partial(_plus, traced, bias, float(number))
        conv.args = (x, weight, traced.add_constant(moved, f"{conv.name}_moved_bias"), *rest)
        add.replace_all_uses_with(conv)
        traced.graph.erase_node(add)


def _plus(traced: TorchGraph, bias: Node, number: float) -> Tensor:
    return (traced.value(bias) + number).float()


def _absorb_pads(traced: TorchGraph) -> None:
    """Writes a zero padding before a convolution as the convolution's own."""
    for conv in traced.calls(aten.conv2d.default):
        pad = _node(conv.args[0])
        if pad.target != aten.pad.default:
            continue
        x, pads, mode, value = _arguments(pad, (None, None, "constant", None))
        if mode != "constant" or value or len(pads) != 4:
            continue
        left, right, top, bottom = pads
        _, weight, bias, stride, (rows, columns), *rest = _conv_args(conv)
        padding = (top + rows, bottom + rows, left + columns, right + columns)
        conv.args = (x, weight, bias, stride, padding, *rest)
        if not pad.users:
            traced.graph.erase_node(pad)


def _fold_input_scale(traced: TorchGraph) -> None:
    """conv(x * scale + shift) -> conv'(x + shift / scale), where only the convolution looks.

    Exact with zero padding as well: what is padded is zero after the shift in both forms.
    """
    for conv in traced.calls(aten.conv2d.default):
        add = _node(conv.args[0])
        if add.target != aten.add.Tensor or len(add.users) != 1:
            continue
        mul, shift_node = add.args[:2]
        if not isinstance(mul, Node) or mul.target != aten.mul.Tensor or len(mul.users) != 1:
            continue
        scale, shift = mul.args[1], shift_node
        _, weight, *rest = _conv_args(conv)
        if not _per_channel(traced, scale, weight) or not _per_channel(traced, shift, weight):
            continue
        quotient = partial(_quotient, traced, shift, scale)
        add.args = (mul.args[0], traced.add_constant(quotient, f"{conv.name}_shift"))
        folded = partial(_product, traced, weight, scale)
        conv.args = (add, traced.add_constant(folded, f"{conv.name}_scaled"), *rest)


def _product(traced: TorchGraph, a: Any, b: Any) -> Tensor:
    return (traced.value(a) * traced.value(b)).float()


def _quotient(traced: TorchGraph, a: Any, b: Any) -> Tensor:
    return (traced.value(a) / traced.value(b)).float()


def _fold_input_shift(traced: TorchGraph) -> None:
    """conv(x + shift), padded with 0 -> conv(x, padded with -shift) + another bias.

    The addition would touch the whole image, and in int8 round it once more; the padding is a
    row or a column at some of the edges.
    """
    for conv in traced.calls(aten.conv2d.default):
        add = _node(conv.args[0])
        if add.target != aten.add.Tensor or len(add.users) != 1:
            continue
        x, shift_node = add.args[:2]
        _, weight, bias, stride, padding, *rest = _conv_args(conv)
        if not isinstance(x, Node) or not _per_channel(traced, shift_node, weight):
            continue
        moved = partial(_moved_bias, traced, weight, bias, shift_node)
        bias = traced.add_constant(moved, f"{conv.name}_shifted_bias")
        outside = -traced.value(shift_node).float()
        with traced.graph.inserting_before(conv):
            for dim, sides in ((2, _sides(padding)[:2]), (3, _sides(padding)[2:])):
                x = _edge(traced, x, dim, sides, outside, conv.name)
        conv.args = (x, weight, bias, stride, (0, 0), *rest)


def _moved_bias(traced: TorchGraph, weight: Node, bias: Node | None, shift: Any) -> Tensor:
    moved = (traced.value(weight) * traced.value(shift)).sum((1, 2, 3))
    return (moved if bias is None else traced.value(bias) + moved).float()


def _edge(
    traced: TorchGraph, x: Node, dim: int, sides: tuple[int, int], value: Tensor, name: str
) -> Node:
    """Rows (2) or columns (3) of a value per channel before and behind `x`."""
    if not any(sides):
        return x
    n, height, width, c = traced.input_shape
    shape = [n, c, height, width] if x is traced.input else list(x.meta["val"].shape)

    def edge(count: int, where: str) -> list[Node]:
        size = [count if d == dim else shape[d] for d in (2, 3)]
        constant = value.expand(1, -1, *size).contiguous()
        return [traced.add_constant(lambda: constant, f"{name}_{where}")] if count else []

    before, behind = ("top", "bottom") if dim == 2 else ("left", "right")
    parts = [*edge(sides[0], before), x, *edge(sides[1], behind)]
    joined = traced.graph.call_function(aten.cat.default, (parts, dim))
    joined.meta["tensor"] = f"input:cat:{dim}"
    joined.meta["val"] = torch.empty([*shape[:dim], shape[dim] + sum(sides), *shape[dim + 1 :]])
    return joined


def _sides(padding: Any) -> tuple[int, int, int, int]:
    """Zeros at the top, bottom, left and right."""
    if len(padding) == 4:
        return tuple(padding)
    rows, columns = padding
    return rows, rows, columns, columns


def _per_channel(traced: TorchGraph, value: Any, weight: Node) -> bool:
    """Whether `value` holds one number, not 0, for each input channel of an ungrouped kernel."""
    if value not in traced.constants:
        return False
    numbers, kernel = traced.value(value), traced.constants[weight]()
    return numbers.shape == (1, kernel.shape[1], 1, 1) and bool(numbers.all())


def _conv_args(conv: Node) -> tuple[Any, ...]:
    return _arguments(conv, (None, None, None, [1, 1], [0, 0], [1, 1], 1))


def _arguments(call: Node, defaults: tuple[Any, ...]) -> tuple[Any, ...]:
    """All arguments of a call: torch leaves out those that are at their defaults."""
    return (*call.args, *defaults[len(call.args) :])


def _node(value: Any) -> Node:
    assert isinstance(value, Node), value
    return value

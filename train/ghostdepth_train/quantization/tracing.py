"""Traces a torch module to a `TorchGraph`, and simplifies it."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.fx import Node

from ghostdepth_train.quantization.folding import (
    absorb_pads,
    fold_batch_norms,
    fold_bias_additions,
    note_parameters,
)
from ghostdepth_train.quantization.input_folding import fold_input_scale, fold_input_shift
from ghostdepth_train.quantization.torch_graph import (
    Constant,
    TorchGraph,
    arguments,
    as_node,
    aten,
)

TO_NCHW = [0, 3, 1, 2]
TO_NHWC = [0, 2, 3, 1]


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
    n, *rest = input_shape
    result = _export(module, input_shape, state_shape)
    for conv in result.calls(aten.conv2d.default):
        note_parameters(result, conv, *conv.args[1:3])
    _spell_out_limits(result)
    _name_by_module(result)
    if _strip_layout(result):
        result.input_shape = (n, rest[0], rest[1], rest[2])
    fold_batch_norms(result)
    fold_bias_additions(result)
    absorb_pads(result)
    fold_input_scale(result)
    fold_input_shift(result)
    result.graph.eliminate_dead_code()
    return result


def _export(
    module: nn.Module, input_shape: tuple[int, ...], state_shape: tuple[int, ...] | None
) -> TorchGraph:
    """The graph as torch exports it, its input taken to be NCHW."""
    shapes = (input_shape,) if state_shape is None else (input_shape, state_shape)
    with torch.no_grad():
        device = next((p.device for p in module.parameters()), torch.device("cpu"))
        examples = tuple(torch.zeros(shape, device=device) for shape in shapes)
        program = torch.export.export(module.eval(), examples)
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    lifted = signature.inputs_to_lifted_tensor_constants
    constants: dict[Node, Constant] = {}
    inputs = []
    for node in program.graph.find_nodes(op="placeholder"):
        if node.name in names:
            # Looked up anew each time: moving a module to a device replaces its buffers.
            constants[node] = partial(_look_up, module, names[node.name])
        elif node.name in lifted:
            constants[node] = partial(program.constants.__getitem__, lifted[node.name])
        else:
            inputs.append(node)
    image, *states = inputs
    known = {node: names[node.name] for node in constants if node.name in names}
    n, c, h, w = input_shape
    state = next(iter(states), None)
    return TorchGraph(program.graph, constants, image, (n, h, w, c), known, state)


def _look_up(module: nn.Module, name: str) -> Tensor:
    path, _, leaf = name.rpartition(".")
    value = getattr(module.get_submodule(path), leaf)
    assert isinstance(value, Tensor)
    return value


def _strip_layout(traced: TorchGraph) -> bool:
    """Removes the permutations at both ends; True when the input was NHWC."""
    users = list(traced.input.users)
    starts = len(users) == 1 and _is_permute(users[0], TO_NCHW)
    if starts:
        users[0].replace_all_uses_with(traced.input)
        traced.graph.erase_node(users[0])
    last = traced.output
    if _is_permute(last, TO_NHWC):
        last.replace_all_uses_with(as_node(last.args[0]))
        traced.graph.erase_node(last)
    return starts


def _is_permute(node: Node, order: list[int]) -> bool:
    return node.target == aten.permute.default and list(node.args[1]) == order  # type: ignore[arg-type]


def _spell_out_limits(traced: TorchGraph) -> None:
    """`nn.ReLU6` and `nn.Hardtanh` as the ops that they are: torch exports both as hardtanh."""
    for target in (aten.hardtanh.default, aten.hardtanh_.default):
        for call in traced.calls(target):
            x, low, high = arguments(call, (None, -1.0, 1.0))
            relu6 = (low, high) == (0.0, 6.0)
            call.target = aten.relu6.default if relu6 else aten.clamp.default
            call.args = (x,) if relu6 else (x, low, high)


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

"""A torch module as a TensorFlow function: each op of the traced graph is lowered by `aten`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench_depth.core.errors import UserError
from ghostdepth_export.convert.aten import CONV2D, LOWERINGS
from ghostdepth_export.convert.tensorflow_quietly import tf
from ghostdepth_export.host.quiet import native_quiet
from ghostdepth_train.quantization import PIXELS, STATE, Range, find_quantized_tensors, read_ranges
from ghostdepth_train.quantization.torch_graph import TorchGraph
from ghostdepth_train.quantization.tracing import trace
from torch import nn
from torch.fx import Node
from torch.fx.node import map_arg


@dataclass(frozen=True)
class Lowered:
    """A network in TensorFlow.

    Attributes:
        module: The `tf.Module` that keeps the function alive.
        function: Concrete function of one float32 tensor, NHWC in and out; of a stream's network
            of a picture and a state, and to a pair.
    """

    module: Any
    function: Any


def lower(module: nn.Module, input_shape: tuple[int, ...]) -> Lowered:
    """Lowers a torch module (see `tracing.trace` for the modules that are supported).

    Args:
        module: Module to lower; it is put in eval mode.
        input_shape: Shape of the module's input.

    Raises:
        UserError: An op has no lowering (the line names it).
    """
    return lower_graph(trace(module, input_shape))


def lower_graph(
    traced: TorchGraph,
    *,
    pixels: bool = False,
    ranges: Any = None,
    blocks: bool = True,
) -> Lowered:
    """Lowers a traced graph, which is not changed.

    Args:
        traced: Graph from `tracing.trace`.
        pixels: Whether to mark the input's range as 0..255, so that a quantized input is exactly
            the camera's bytes whatever the calibration images contain.
        ranges: Contents of a checkpoint's `ranges.json`. The range of each quantized tensor is then
            part of the graph, and no calibration is needed.
        blocks: Whether a convolution to few channels may compute a block of pixels at once.

    Raises:
        UserError: An op has no lowering (the line names it), or the ranges belong to another
            network.
    """
    for node in _calls(traced):
        if node.target not in LOWERINGS:
            raise UserError(
                f"the op {node.target} of the network has no lowering to TFLite; "
                "replace it in the network or add it to ghostdepth_export/convert/aten.py"
            )
    known = _known_ranges(traced, ranges, pixels)
    shapes = [traced.input_shape]
    if traced.state is not None:
        n, c, h, w = traced.state.meta["val"].shape
        shapes.append((n, h, w, c))
    holder = tf.Module()
    holder.network = tf.function(
        lambda *inputs: _run(traced, inputs, known, blocks),
        input_signature=[tf.TensorSpec(shape, tf.float32) for shape in shapes],
        autograph=False,
    )
    with native_quiet():
        return Lowered(holder, holder.network.get_concrete_function())


def _calls(traced: TorchGraph) -> list[Node]:
    return [node for node in traced.graph.nodes if node.op == "call_function"]


def _known_ranges(traced: TorchGraph, ranges: Any, pixels: bool) -> dict[Node, Range]:
    if ranges is None:
        if not pixels:
            return {}
        state, after = traced.state, traced.next_state
        states = {} if state is None or after is None else {state: STATE, after: STATE}
        return {traced.input: PIXELS, **states}
    quantized = find_quantized_tensors(traced)
    read = read_ranges(ranges, set(quantized.names.values()), "ranges.json")
    known = {node: read[name] for node, name in quantized.names.items()}
    return quantized.fixed | known


def _run(
    traced: TorchGraph, inputs: Sequence[Any], known: Mapping[Node, Range], blocks: bool
) -> Any:
    values: dict[Node, Any] = {n: value().detach().numpy() for n, value in traced.constants.items()}

    def marked(node: Node, value: Any) -> Any:
        if node not in known:
            return value
        return tf.quantization.fake_quant_with_min_max_args(
            value, known[node].low, known[node].high
        )

    lowerings: dict[Any, Any] = {**LOWERINGS, CONV2D: partial(LOWERINGS[CONV2D], blocks=blocks)}
    for node, x in zip((traced.input, traced.state), inputs, strict=False):
        assert node is not None
        values[node] = marked(node, x)
    for node in _calls(traced):
        args = map_arg(node.args, values.__getitem__)
        kwargs = map_arg(node.kwargs, values.__getitem__)
        values[node] = marked(node, lowerings[node.target](*args, **kwargs))
    if traced.next_state is None:
        return values[traced.output]
    return values[traced.output], values[traced.next_state]

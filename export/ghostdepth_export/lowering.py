"""A torch module as a TensorFlow function: the graph is walked, each op looked up in `aten`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench_depth.errors import UserError
from ghostdepth_export.aten import LOWERINGS
from ghostdepth_export.quiet import native_quiet
from ghostdepth_export.tensorflow_quietly import tf
from ghostdepth_export.torch_graph import TorchGraph, trace
from torch import nn
from torch.fx import Node
from torch.fx.node import map_arg


@dataclass(frozen=True)
class Lowered:
    """A network in TensorFlow.

    Attributes:
        module: Keeps the function alive.
        function: A concrete function of one float32 tensor, NHWC in and out.
    """

    module: Any
    function: Any


def lower(module: nn.Module, input_shape: tuple[int, ...], *, pixels: bool = False) -> Lowered:
    """Lowers a torch module (see `torch_graph.trace` for what it may take and give).

    Args:
        module: In eval mode afterwards.
        input_shape: Of its argument.
        pixels: Say in the graph that the input is 0..255, so that a quantised input is exactly
            the camera's bytes, whatever the calibration pictures hold.

    Raises:
        UserError: An op has no lowering; the line names it.
    """
    traced = trace(module, input_shape)
    for node in _calls(traced):
        if node.target not in LOWERINGS:
            raise UserError(
                f"the op {node.target} of the network has no lowering to TFLite; "
                "replace it in the network or add it to ghostdepth_export/aten.py"
            )
    holder = tf.Module()
    holder.network = tf.function(
        lambda x: _run(
            traced, tf.quantization.fake_quant_with_min_max_args(x, 0, 255) if pixels else x
        ),
        input_signature=[tf.TensorSpec(traced.input_shape, tf.float32)],
        autograph=False,
    )
    with native_quiet():
        return Lowered(holder, holder.network.get_concrete_function())


def _calls(traced: TorchGraph) -> list[Node]:
    return [node for node in traced.graph.nodes if node.op == "call_function"]


def _run(traced: TorchGraph, x: Any) -> Any:
    values: dict[Node, Any] = {n: value.numpy() for n, value in traced.constants.items()}
    values[traced.input] = x
    for node in _calls(traced):
        args = map_arg(node.args, values.__getitem__)
        kwargs = map_arg(node.kwargs, values.__getitem__)
        values[node] = LOWERINGS[node.target](*args, **kwargs)
    return values[traced.output]

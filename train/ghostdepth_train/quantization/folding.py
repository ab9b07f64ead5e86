"""Passes that fold what follows or precedes a convolution into it."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor
from torch.fx import Node

from ghostdepth_train.quantization.torch_graph import (
    TorchGraph,
    arguments,
    as_node,
    aten,
    conv_args,
)


def fold_batch_norms(traced: TorchGraph) -> None:
    """Folds each batch norm into the convolution before it, where that has no other user."""
    for norm in traced.calls(aten.batch_norm.default):
        conv = as_node(norm.args[0])
        if conv.target != aten.conv2d.default or len(conv.users) != 1:
            continue
        _, weight, bias, *rest = conv_args(conv)
        note_parameters(traced, conv, *norm.args[1:3])
        conv.args = (
            conv.args[0],
            traced.add_constant(partial(_scaled, traced, weight, norm.args), f"{conv.name}_weight"),
            traced.add_constant(partial(_shifted, traced, bias, norm.args), f"{conv.name}_bias"),
            *rest,
        )
        norm.replace_all_uses_with(conv)
        traced.graph.erase_node(norm)


def note_parameters(traced: TorchGraph, conv: Node, gain: Any, shift: Any = None) -> None:
    """Notes which parameters scale and shift a convolution's channels, for methods that do so."""
    conv.meta.setdefault("weight", traced.names.get(gain))
    conv.meta["gain"], conv.meta["shift"] = traced.names.get(gain), traced.names.get(shift)


def _scaled(traced: TorchGraph, weight: Node, norm: tuple[Any, ...]) -> Tensor:
    gain, _ = _batch_norm_affine(traced, norm)
    return (traced.value(weight) * gain.view(-1, 1, 1, 1)).float()


def _shifted(traced: TorchGraph, bias: Node | None, norm: tuple[Any, ...]) -> Tensor:
    gain, shift = _batch_norm_affine(traced, norm)
    return (shift if bias is None else shift + gain * traced.value(bias)).float()


def _batch_norm_affine(traced: TorchGraph, norm: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
    """A batch norm's gain and shift per channel, in eval mode, float64; `norm` is its arguments."""
    weight, bias, mean, variance = (None if a is None else traced.value(a) for a in norm[1:5])
    assert mean is not None and variance is not None
    epsilon = norm[7]
    gain = (variance + epsilon).rsqrt()
    if weight is not None:
        gain = gain * weight
    shift = -mean * gain
    return gain, shift if bias is None else shift + bias


def fold_bias_additions(traced: TorchGraph) -> None:
    """conv(x) + number -> conv(x) with another bias, as the converters do."""
    for add in traced.calls(aten.add.Tensor):
        conv, number = add.args[:2]
        if not isinstance(conv, Node) or not isinstance(number, (int, float)):
            continue
        if conv.target != aten.conv2d.default or len(conv.users) != 1:
            continue
        x, weight, bias, *rest = conv_args(conv)
        if bias is None:
            continue
        moved = partial(_plus, traced, bias, float(number))
        conv.args = (x, weight, traced.add_constant(moved, f"{conv.name}_moved_bias"), *rest)
        add.replace_all_uses_with(conv)
        traced.graph.erase_node(add)


def _plus(traced: TorchGraph, bias: Node, number: float) -> Tensor:
    return (traced.value(bias) + number).float()


def absorb_pads(traced: TorchGraph) -> None:
    """Writes a zero padding before a convolution as the convolution's own."""
    for conv in traced.calls(aten.conv2d.default):
        pad = as_node(conv.args[0])
        if pad.target != aten.pad.default:
            continue
        x, pads, mode, value = arguments(pad, (None, None, "constant", None))
        if mode != "constant" or value or len(pads) != 4:
            continue
        left, right, top, bottom = pads
        _, weight, bias, stride, (rows, columns), *rest = conv_args(conv)
        padding = (top + rows, bottom + rows, left + columns, right + columns)
        conv.args = (x, weight, bias, stride, padding, *rest)
        if not pad.users:
            traced.graph.erase_node(pad)

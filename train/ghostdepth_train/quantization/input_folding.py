"""Passes that fold the scaling and shifting of the image into the first convolution."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from ghostdepth_train.quantization.torch_graph import TorchGraph, as_node, aten, conv_args


def fold_input_scale(traced: TorchGraph) -> None:
    """conv(x * scale + shift) -> conv'(x + shift / scale), where only the convolution looks.

    Exact with zero padding as well: what is padded is zero after the shift in both forms.
    """
    for conv in traced.calls(aten.conv2d.default):
        add = as_node(conv.args[0])
        if add.target != aten.add.Tensor or len(add.users) != 1:
            continue
        mul, shift_node = add.args[:2]
        if not isinstance(mul, Node) or mul.target != aten.mul.Tensor or len(mul.users) != 1:
            continue
        scale, shift = mul.args[1], shift_node
        _, weight, *rest = conv_args(conv)
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


def fold_input_shift(traced: TorchGraph) -> None:
    """conv(x + shift), padded with 0 -> conv(x, padded with -shift) + another bias.

    The addition would touch the whole image, and in int8 round it once more; the padding is a
    row or a column at some of the edges.
    """
    for conv in traced.calls(aten.conv2d.default):
        add = as_node(conv.args[0])
        if add.target != aten.add.Tensor or len(add.users) != 1:
            continue
        x, shift_node = add.args[:2]
        _, weight, bias, stride, padding, *rest = conv_args(conv)
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

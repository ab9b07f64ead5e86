"""Which op of a .tflite file each operator of XNNPACK computes.

XNNPACK's operators have neither names nor shapes of their own, but run in the order of the file's
ops unless LiteRT runs some of a graph with branches in between. So both sequences of kinds are
compared: where they are the same, the operators are those ops, one by one; otherwise nothing is
known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ghostdepth_export.pi4.counter import ModelCounts, OpCounts
from ghostdepth_export.pi4.latency.work import OpWork

# Types of ops by the kind of operator, the beginning of its name. Others are in neither sequence:
# Clamp, the activation of another op, and Static Reshape, which moves nothing.
_TYPES = {
    "Convolution": ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"),
    "Depthwise": ("DEPTHWISE_CONV_2D",),
    "Copy": ("CONCATENATION",),
    "Add": ("ADD",),
    "Subtract": ("SUB",),
    "Multiply": ("MUL",),
    "Resize Bilinear": ("RESIZE_BILINEAR",),
    "Average Pooling": ("AVERAGE_POOL_2D",),
    "Max Pooling": ("MAX_POOL_2D",),
    "Mean": ("MEAN",),
    "Transpose": ("TRANSPOSE",),
    "Depth To Space": ("DEPTH_TO_SPACE",),
    "Convert": ("QUANTIZE", "DEQUANTIZE"),
    "Exp": ("EXP",),
    "Sigmoid": ("LOGISTIC",),
    "HardSwish": ("HARD_SWISH",),
    "Softmax": ("SOFTMAX",),
}
_KIND_OF = {name: kind for kind, names in _TYPES.items() for name in names}
_CONVOLUTIONS = ("Convolution", "Fully Connected", "Deconvolution")
_DEPTHWISE_KERNEL = "DWConv"


def match_work(counts: ModelCounts, work: Sequence[OpWork]) -> list[OpWork | None]:
    """The op that each counted op of LiteRT computes; None where the order does not tell.

    CONCATENATION is one operator for each input, whose op has that input's shape.

    Args:
        counts: Counts of a model in LiteRT.
        work: Ops of the same file.
    """
    kept = {op.name for op in counts.kept}
    kinds = [op.name if op.tasks is None else _kind(op) for op in counts.ops]
    parts = [
        (kind, part)
        for op in work
        if (kind := op.name if op.name in kept else _KIND_OF.get(op.name))
        for part in ([op] if kind == op.name else _parts(op))
    ]
    if [kind for kind in kinds if kind] != [kind for kind, _ in parts]:
        return [None] * len(kinds)
    found = iter(part for _, part in parts)
    return [next(found) if kind else None for kind in kinds]


def _kind(op: OpCounts) -> str | None:
    if op.name.startswith(_CONVOLUTIONS):
        return "Depthwise" if op.name.endswith(_DEPTHWISE_KERNEL) else "Convolution"
    return next((kind for kind in _TYPES if op.name.startswith(f"{kind} ")), None)


def _parts(op: OpWork) -> list[OpWork]:
    if op.name != "CONCATENATION":
        return [op]
    return [replace(op, output=shape, inputs=(shape,)) for shape in op.inputs]

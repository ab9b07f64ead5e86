"""Each op against the least cycles that the chip allows it, and why it takes more.

A Cortex-A72 has two 64-bit vector pipes, of which a 128-bit FMLA or an SMLAL takes both, one load
of 128 bits and one store of 64 bits a cycle. So an op takes at least the cycles of its products, of
reading its inputs and weights once, and of writing its output once, whichever is most. A Cortex-A53
and a Cortex-A76 are counted in cycles of a Cortex-A72, too; SDOT makes twice as many products.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ghostdepth_export.pi4.counter import InstructionCounts
from ghostdepth_export.pi4.latency.boards import A76
from ghostdepth_export.pi4.latency.threads import im2col_cycles
from ghostdepth_export.pi4.latency.work import OpWork

# Products in one cycle: FMLA .4s; SMLAL, 8 bytes; SDOT, 16 bytes.
FLOAT_PRODUCTS, INT8_PRODUCTS, DOT_PRODUCTS = 4, 8, 16
LOADED_BYTES, STORED_BYTES = 16, 8
_WIDTH = 3
# Values that a resized one is made of, at the most.
_NEIGHBOURS = 4
# Ops whose matrices TensorFlow Lite 2.5 packs anew in each run.
_PACKED = ("CONV_2D", "FULLY_CONNECTED")
# An op that reaches this fraction of its limit needs no reason.
ENOUGH = 0.5
# A part of an op is the reason from this fraction of its cycles on.
_LARGE = 0.25
_BUSY = 0.6


@dataclass(frozen=True)
class RooflineLimit:
    """An op's cycles on one thread, and the least that it could take.

    Attributes:
        cycles: Issue-limited cycles, as counted.
        least: Cycles of the most heavily used of vector pipes, loads and stores, if nothing else
            had to be done.
        macs: Multiply-accumulates.
        bytes: Bytes of the inputs, weights and the output.
        reason: Why it is below half of its limit: `im2col`, `loads`, `stores`, `issue`, `packing`
            or `arithmetic`; empty where it is not.
    """

    cycles: float
    least: float
    macs: int
    bytes: int
    reason: str

    @property
    def fraction(self) -> float:
        """Fraction of the limit that is reached, 0 to 1; 1 for an op without cycles."""
        return min(self.least / self.cycles, 1.0) if self.cycles else 1.0


def op_limit(op: OpWork, counts: InstructionCounts, cpu: str, packs: bool = True) -> RooflineLimit:
    """The limit of one op.

    Args:
        op: Op from `read_work`.
        counts: Counts of the op on one thread.
        cpu: QEMU's name of the core that was counted.
        packs: Whether the runtime copies patches to a matrix and packs matrices in each run, as
            TensorFlow Lite 2.5 does; XNNPACK reads them in place.
    """
    read = sum(_values_read(op, shape) * op.itemsize for shape in op.inputs)
    written = math.prod(op.output) * op.itemsize
    least = max(op.macs / products(op, cpu), read / LOADED_BYTES, written / STORED_BYTES)
    limit = RooflineLimit(counts.cycles, least, op.macs, read + written, "")
    if limit.fraction >= ENOUGH:
        return limit
    copied = im2col_cycles(op) if packs else 0.0
    rest = "packing" if packs and op.name in _PACKED else "arithmetic"
    return replace(limit, reason=_reason(counts, copied, rest))


def _values_read(op: OpWork, shape: tuple[int, ...]) -> int:
    """Of an input; a resize that makes an image smaller does not read all of it."""
    values = math.prod(shape)
    return min(values, _NEIGHBOURS * math.prod(op.output)) if "RESIZE" in op.name else values


def products(op: OpWork, cpu: str) -> int:
    """Multiply-accumulates that the vector pipes do in a cycle for an op's data type."""
    if op.itemsize > 1:
        return FLOAT_PRODUCTS
    return DOT_PRODUCTS if cpu == A76 else INT8_PRODUCTS


def main_reasons(limits: Sequence[RooflineLimit]) -> list[str]:
    """The reasons that explain most cycles of several ops, at most two, the larger first.

    None where the ops together reach half of their limit.
    """
    cycles = sum(limit.cycles for limit in limits)
    if sum(limit.fraction * limit.cycles for limit in limits) >= ENOUGH * cycles:
        return []
    table: dict[str, float] = {}
    for limit in limits:
        if limit.reason:
            table[limit.reason] = table.get(limit.reason, 0.0) + limit.cycles
    return sorted(table, key=lambda reason: -table[reason])[:2]


def _reason(counts: InstructionCounts, copied: float, rest: str) -> str:
    """What takes the cycles, as far as the counts tell: patches, a busy pipe or the rest."""
    if copied >= _LARGE * counts.cycles:
        return "im2col"
    busy = {
        "loads": counts.loads / counts.cycles,
        "stores": counts.stores / counts.cycles,
        "issue": counts.instructions / _WIDTH / counts.cycles,
    }
    name = max(busy, key=lambda kind: busy[kind])
    # Neither: the vector or the integer pipes do something else than products.
    return name if busy[name] >= _BUSY else rest

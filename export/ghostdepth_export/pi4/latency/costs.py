"""The figures of a model that the coefficients are multiplied with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from ghostdepth_export.pi4.counter import InstructionCounts, ModelCounts, OpCounts
from ghostdepth_export.pi4.latency.ruy import ThreadSplit
from ghostdepth_export.pi4.latency.threads import busiest_cycles, threads_used
from ghostdepth_export.pi4.latency.work import OpWork


@dataclass(frozen=True)
class Costs:
    """Costs of one warm invocation, or of one op.

    Attributes:
        cycles: Issue-limited cycles of the busiest thread, summed over the ops.
        lines: Number of 64-byte lines read from or written to DRAM.
        wakes: Number of ops that run on several threads.
        near: Number of lines that were not in the first cache of the core.
    """

    cycles: float
    lines: int
    wakes: int
    near: int = 0

    def __add__(self, other: Costs) -> Costs:
        sums = (a + b for a, b in zip(astuple(self), astuple(other), strict=True))
        return Costs(*sums)


def op_costs(
    counts: ModelCounts, work: Sequence[OpWork], threads: int, least_cycles: float = 0.0
) -> list[Costs]:
    """The costs of every op, in the order of execution.

    Args:
        counts: Instruction counts of the model on one thread.
        work: Ops of the same model, in the same order.
        threads: Number of threads of the interpreter, 1..4.
        least_cycles: Issue-limited cycles that an instruction takes at least; see `Coefficients`.
    """
    return [
        Costs(
            busiest_cycles(of, _cycles(op.counts, least_cycles), threads),
            _lines(op.counts),
            int(threads_used(of, threads) > 1),
        )
        for op, of in zip(counts.ops, work, strict=True)
    ]


def outside_costs(counts: ModelCounts, least_cycles: float = 0.0) -> Costs:
    """The costs between and around the ops; arguments as in `op_costs`."""
    return op_cost(counts.outside, least_cycles)


def op_cost(counts: InstructionCounts, least_cycles: float = 0.0) -> Costs:
    """The costs of one thread; `least_cycles` as in `op_costs`."""
    return Costs(_cycles(counts, least_cycles), _lines(counts), 0, counts.l1d_misses)


def split_cost(op: OpCounts, split: ThreadSplit, least_cycles: float = 0.0) -> Costs:
    """The costs of an op of LiteRT or ONNX Runtime whose work is split among threads.

    Lines that a stream of stores writes are not read before. (With TensorFlow Lite 2.5 they count
    as read, since the coefficients were fitted so.)

    Args:
        op: Counts of the op on one thread.
        split: The division of the work among threads.
        least_cycles: As in `op_costs`.
    """
    alone = op_cost(op.counts, least_cycles)
    return Costs(
        alone.cycles / split.speed_up,
        alone.lines - op.counts.l2_streamed,
        int(split.threads > 1),
        alone.near - op.counts.l1d_streamed,
    )


def costs(counts: ModelCounts, work: Sequence[OpWork], threads: int) -> Costs:
    """The costs of a whole model, including those outside its ops; arguments as in `op_costs`."""
    return sum(op_costs(counts, work, threads), Costs(0, 0, 0)) + outside_costs(counts)


def _cycles(counts: InstructionCounts, least_cycles: float) -> float:
    return max(counts.cycles, least_cycles * counts.instructions)


def _lines(counts: InstructionCounts) -> int:
    return counts.l2_misses + counts.writebacks

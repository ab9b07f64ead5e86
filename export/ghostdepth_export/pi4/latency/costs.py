"""What of a model's counts coefficients are multiplied with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ghostdepth_export.pi4.counter import InstructionCounts, ModelCounts
from ghostdepth_export.pi4.latency.threads import busiest_cycles, threads_used
from ghostdepth_export.pi4.latency.work import OpWork


@dataclass(frozen=True)
class Costs:
    """One warm invocation, or an op of it.

    Attributes:
        cycles: Of each op those of its busiest thread.
        lines: Of 64 bytes, read from or written to DRAM.
        wakes: Ops that run on several threads.
    """

    cycles: float
    lines: int
    wakes: int

    def __add__(self, other: Costs) -> Costs:
        return Costs(self.cycles + other.cycles, self.lines + other.lines, self.wakes + other.wakes)


def op_costs(counts: ModelCounts, work: Sequence[OpWork], threads: int) -> list[Costs]:
    """Of every op, in the order of execution.

    Args:
        counts: Of one thread.
        work: The same model's ops, in the same order.
        threads: Of the interpreter, 1..4.
    """
    return [
        Costs(
            busiest_cycles(of, op.counts.cycles, threads),
            _lines(op.counts),
            int(threads_used(of, threads) > 1),
        )
        for op, of in zip(counts.ops, work, strict=True)
    ]


def outside_costs(counts: ModelCounts) -> Costs:
    """Of what is between and around the ops."""
    return Costs(counts.outside.cycles, _lines(counts.outside), 0)


def costs(counts: ModelCounts, work: Sequence[OpWork], threads: int) -> Costs:
    """The sum over a model, what is outside its ops with them; arguments as of `op_costs`."""
    return sum(op_costs(counts, work, threads), Costs(0, 0, 0)) + outside_costs(counts)


def _lines(counts: InstructionCounts) -> int:
    return counts.l2_misses + counts.writebacks

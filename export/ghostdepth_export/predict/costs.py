"""What of a model's counts coefficients are multiplied with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ghostdepth_export.counter import ModelCounts
from ghostdepth_export.predict.threads import busiest_cycles, threads_used
from ghostdepth_export.predict.work import OpWork


@dataclass(frozen=True)
class Costs:
    """One warm invocation.

    Attributes:
        cycles: Millions; of each op those of its busiest thread.
        lines: Millions of 64-byte lines read from or written to DRAM.
        wakes: Ops that run on several threads.
    """

    cycles: float
    lines: float
    wakes: int


def costs(counts: ModelCounts, work: Sequence[OpWork], threads: int) -> Costs:
    """The sums over a model, what is outside its ops with them; see `time.predict`."""
    busiest = sum(
        busiest_cycles(of, op.counts.cycles, threads)
        for op, of in zip(counts.ops, work, strict=True)
    )
    return Costs(
        cycles=(busiest + counts.outside.cycles) / 1e6,
        lines=(counts.total.l2_misses + counts.total.writebacks) / 1e6,
        wakes=sum(threads_used(op, threads) > 1 for op in work),
    )

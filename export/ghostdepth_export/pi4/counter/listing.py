"""Reads the output of the plugins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from bench_depth.core.errors import MODEL_FAILED, UserError

C = TypeVar("C")


@dataclass(frozen=True)
class InstructionCounts:
    """Instructions and memory accesses, in the order of `struct counts` of counts.h.

    Attributes:
        instructions: Number of A64 instructions.
        loads: Number of instructions that read memory; a pair or a structure counts once.
        stores: Number of instructions that write memory.
        cycle_sixths: Lower bound of the cycles that a Cortex-A72 needs to issue the instructions
            (see uops.h), in sixths of a cycle, so that sums of integers are exact.
        l1d_misses: Number of 64-byte lines that missed the 32 KiB 2-way data cache.
        l2_misses: Number of lines that also missed the 1 MiB 16-way second-level cache and were
            read from DRAM.
        writebacks: Number of modified lines evicted from the second-level cache to DRAM.
        l1d_streamed: Number of lines among `l1d_misses` that a stream of stores wrote, which a
            Cortex-A72 does not read before (see stream.h).
        l2_streamed: The same of `l2_misses`.
    """

    instructions: int
    loads: int
    stores: int
    cycle_sixths: int
    l1d_misses: int
    l2_misses: int
    writebacks: int
    l1d_streamed: int
    l2_streamed: int

    @property
    def cycles(self) -> float:
        """Issue-limited cycles."""
        return self.cycle_sixths / 6

    def __add__(self, other: InstructionCounts) -> InstructionCounts:
        return InstructionCounts(
            *(a + b for a, b in zip(self.values(), other.values(), strict=True))
        )

    def __sub__(self, other: InstructionCounts) -> InstructionCounts:
        return InstructionCounts(
            *(a - b for a, b in zip(self.values(), other.values(), strict=True))
        )

    def values(self) -> tuple[int, ...]:
        """The fields in order."""
        return tuple(vars(self).values())


NOTHING = InstructionCounts(*[0] * 9)


@dataclass(frozen=True)
class ThreadCounts:
    """What the threads do as if each had a core of its own, all equally fast; see threads.c.

    Attributes:
        cycle_sixths: Issue-limited cycles by the clock of the calling thread, waiting included, in
            sixths of a cycle.
        work: Number of instructions with vector registers of each thread that executed any, the
            calling one first. Waiting for others has hardly any of these.
    """

    cycle_sixths: int
    work: tuple[int, ...]

    @classmethod
    def of(cls, cycle_sixths: int, *work: int) -> ThreadCounts:
        """Counts from the figures of a line."""
        return cls(cycle_sixths, work)

    @property
    def cycles(self) -> float:
        """Issue-limited cycles from the call to the return."""
        return self.cycle_sixths / 6


@dataclass
class Section(Generic[C]):
    """Counts between two marks.

    Attributes:
        ops: Counts of each op, in the order of execution.
        total: Counts of the whole section, including those between and around the ops.
        nested: Number of ops that were called inside another op of the same level.
        inner: Counts of the operators of the second level that ran inside each op, in order.
    """

    ops: list[C]
    total: C
    nested: int = 0
    inner: list[list[C]] = field(default_factory=list)


@dataclass
class Listing(Generic[C]):
    """All counts of one run.

    Attributes:
        candidates: Number of instructions that were found to be possible calls of an op, for each
            level that was learned.
        sections: Sections in the order of their marks.
        whole: Counts of the whole run.
        threads: Number of threads of the guest.
        strays: Number of zeroed lines whose address was guessed wrong; of threads, of waits for a
            slower one that were given up.
    """

    candidates: list[int]
    sections: list[Section[C]]
    whole: C
    threads: int
    strays: int


def read_listing(path: Path, counts: Callable[..., C]) -> Listing[C]:
    """Reads a plugin's output.

    Args:
        path: The file.
        counts: Makes counts of the figures of a line.

    Raises:
        UserError: The output is missing or incomplete: the emulated program was killed.
    """
    candidates: list[int] = []
    sections: list[Section[C]] = []
    ops: list[C] = []
    inner: list[list[C]] = []
    open_: list[C] = []
    last: dict[str, list[int]] = {}
    lines = path.read_text().splitlines() if path.exists() else []
    for line in lines:
        word, *rest = line.split()
        numbers = [int(number) for number in rest]
        if word == "op" and numbers[0] == 1:
            open_.append(counts(*numbers[1:]))
        elif word == "op":
            ops.append(counts(*numbers[1:]))
            inner.append(open_)
            open_ = []
        elif word == "section":
            sections.append(Section(ops, counts(*numbers), last["nested"][0], inner))
            ops, inner = [], []
        elif word == "learned":
            candidates += numbers
        else:
            assert word in ("nested", "all", "threads", "strays"), line
            last[word] = numbers
    if "strays" not in last:
        raise UserError("the counts are incomplete: the emulated program was killed", MODEL_FAILED)
    (threads,), (strays,) = last["threads"], last["strays"]
    return Listing(candidates, sections, counts(*last["all"]), threads, strays)

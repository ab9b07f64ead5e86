"""Reads the output of the plugin."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench_depth.core.errors import MODEL_FAILED, UserError


@dataclass(frozen=True)
class InstructionCounts:
    """Instructions and memory accesses, in the order of `struct counts` of counter.c.

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
    """

    instructions: int
    loads: int
    stores: int
    cycle_sixths: int
    l1d_misses: int
    l2_misses: int
    writebacks: int

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


NOTHING = InstructionCounts(0, 0, 0, 0, 0, 0, 0)


@dataclass
class Section:
    """Counts between two marks.

    Attributes:
        ops: Counts of each op, in the order of execution.
        total: Counts of the whole section, including those between and around the ops.
        nested: Number of ops that were called inside another op of the same level.
        inner: Counts of the operators of the second level that ran inside each op, in order.
    """

    ops: list[InstructionCounts] = field(default_factory=list)
    total: InstructionCounts = NOTHING
    nested: int = 0
    inner: list[list[InstructionCounts]] = field(default_factory=list)


@dataclass
class Listing:
    """All counts of one run.

    Attributes:
        candidates: Number of instructions that were found to be possible calls of an op, for each
            level that was learned.
        sections: Sections in the order of their marks.
        whole: Counts of the whole run.
        threads: Number of threads of the guest.
        strays: Number of zeroed lines whose address was guessed wrong.
    """

    candidates: list[int] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    whole: InstructionCounts = NOTHING
    threads: int = 0
    strays: int = 0


def read_listing(path: Path) -> Listing:
    """Reads the plugin's output.

    Raises:
        UserError: The output is missing or incomplete: the emulated program was killed.
    """
    listing, section, complete = Listing(), Section(), False
    inner: list[InstructionCounts] = []
    lines = path.read_text().splitlines() if path.exists() else []
    for line in lines:
        word, *rest = line.split()
        numbers = [int(number) for number in rest]
        if word == "op":
            level, counts = numbers[0], InstructionCounts(*numbers[1:])
            if level == 1:
                inner.append(counts)
            else:
                section.ops.append(counts)
                section.inner.append(inner)
                inner = []
        elif word == "nested":
            section.nested = numbers[0]
        elif word == "section":
            section.total = InstructionCounts(*numbers)
            listing.sections.append(section)
            section = Section()
        elif word == "all":
            listing.whole = InstructionCounts(*numbers)
        elif word == "learned":
            listing.candidates.append(numbers[0])
        elif word == "threads":
            listing.threads = numbers[0]
        else:
            assert word == "strays", line
            listing.strays, complete = numbers[0], True
    if not complete:
        raise UserError("the counts are incomplete: the emulated program was killed", MODEL_FAILED)
    return listing

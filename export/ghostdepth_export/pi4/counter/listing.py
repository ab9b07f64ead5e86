"""What the plugin writes, read back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench_depth.core.errors import MODEL_FAILED, UserError


@dataclass(frozen=True)
class InstructionCounts:
    """What was executed, in order of `struct counts` of counter.c.

    Attributes:
        instructions: Of A64.
        loads: Instructions that read memory; a pair or a structure is one.
        stores: Instructions that write memory.
        cycle_sixths: Sixths of a cycle that a Cortex-A72 needs at the least to issue them, see
            uops.h; whole, so that sums are exact.
        l1d_misses: 64-byte lines that the 32 KiB 2-way data cache did not have.
        l2_misses: Lines that the 1 MiB 16-way second-level cache did not have either: read from
            DRAM.
        writebacks: Changed lines that left the second-level cache: written to DRAM.
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
        """The figures in order."""
        return tuple(vars(self).values())


NOTHING = InstructionCounts(0, 0, 0, 0, 0, 0, 0)


@dataclass
class Section:
    """What was counted between two marks.

    Attributes:
        ops: One for each op, in the order of execution.
        total: All of the section, what is between and around the ops too.
        nested: Ops that were called inside another one.
    """

    ops: list[InstructionCounts] = field(default_factory=list)
    total: InstructionCounts = NOTHING
    nested: int = 0


@dataclass
class Listing:
    """All that one run counted.

    Attributes:
        candidates: Instructions that could be the call of an op, by the learning section.
        sections: In the order in which they were marked.
        whole: The whole run.
        threads: Of the guest.
        strays: Zeroed lines whose address was guessed wrong.
    """

    candidates: int = 0
    sections: list[Section] = field(default_factory=list)
    whole: InstructionCounts = NOTHING
    threads: int = 0
    strays: int = 0


def read_listing(path: Path) -> Listing:
    """Reads the plugin's output.

    Raises:
        UserError: It is missing or not whole: the emulated program was killed.
    """
    listing, section, whole = Listing(), Section(), False
    lines = path.read_text().splitlines() if path.exists() else []
    for line in lines:
        word, *rest = line.split()
        numbers = [int(number) for number in rest]
        if word == "op":
            section.ops.append(InstructionCounts(*numbers))
        elif word == "nested":
            section.nested = numbers[0]
        elif word == "section":
            section.total = InstructionCounts(*numbers)
            listing.sections.append(section)
            section = Section()
        elif word == "all":
            listing.whole = InstructionCounts(*numbers)
        elif word == "learned":
            listing.candidates = numbers[0]
        elif word == "threads":
            listing.threads = numbers[0]
        else:
            assert word == "strays", line
            listing.strays, whole = numbers[0], True
    if not whole:
        raise UserError("the counts are not whole: the emulated program was killed", MODEL_FAILED)
    return listing

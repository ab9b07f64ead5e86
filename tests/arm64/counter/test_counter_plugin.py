"""The counter's plugin by itself, on programs in assembly whose counts are known."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from ghostdepth_export.pi4.counter.listing import NOTHING, InstructionCounts, Listing

from tests.arm64.counter.assembled import MARK_LENGTH, counted
from tests.arm64.counter.assembled import run as run_assembled

Run = Callable[..., Listing[InstructionCounts]]


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Run:
    return functools.partial(run_assembled, tmp_path)


def test_a_loop_has_its_instructions(run: Run) -> None:
    counts = counted(run("mark 2\n mov x9, 1000\n1: subs x9, x9, 1\n b.ne 1b\n mark 3"))
    assert counts.instructions == 1 + 2 * 1000 + MARK_LENGTH
    assert counts == dataclasses.replace(
        NOTHING, instructions=counts.instructions, cycle_sixths=counts.cycle_sixths
    )


def test_all_is_counted_from_the_first_mark_on(run: Run) -> None:
    listing = run("mov x9, 1000\n1: subs x9, x9, 1\n b.ne 1b\n mark 2\n mark 3")
    after = 3
    assert listing.whole.instructions == counted(listing).instructions + after
    assert listing.threads == 1


@pytest.mark.parametrize(
    ("instruction", "loads", "stores"),
    [
        ("ldr x3, [x20]", 1, 0),
        ("ldrsw x3, [x20, 4]", 1, 0),
        ("ldp q0, q1, [x20]", 1, 0),
        ("ldr x3, =0x123456789abcdef", 1, 0),
        ("ld1 {v0.16b-v3.16b}, [x20]", 1, 0),
        ("ld3 {v0.4s-v2.4s}, [x20]", 1, 0),
        ("ld1r {v0.4s}, [x20]", 1, 0),
        ("ldxr x3, [x20]", 1, 0),
        ("ldar w3, [x20]", 1, 0),
        ("str q0, [x20], 0", 0, 1),
        ("strb w3, [x20, 1]", 0, 1),
        ("stp x3, x4, [x20]", 0, 1),
        ("stnp q0, q1, [x20]", 0, 1),
        ("st1 {v0.16b-v3.16b}, [x20]", 0, 1),
        ("st1 {v0.s}[1], [x20]", 0, 1),
        ("stlr w3, [x20]", 0, 1),
        ("dc zva, x20", 0, 1),
        ("prfm pldl1keep, [x20]", 0, 0),
        ("dmb ish", 0, 0),
        ("fmla v0.4s, v1.4s, v2.4s", 0, 0),
    ],
)
def test_an_instruction_is_a_load_or_a_store_or_neither(
    run: Run, instruction: str, loads: int, stores: int
) -> None:
    counts = counted(run(f"mark 2\n {instruction}\n mark 3"))
    assert (counts.loads, counts.stores) == (loads, stores)
    assert counts.instructions == 1 + MARK_LENGTH


# ------------------------------------------------------------------ ops

# An interpreter: `pass` calls three ops of 100, 200 and 300 rounds by one BLR in a loop. The second
# BLR is a trap: it is in the first op and called as often as there are ops. The third is called
# first but once.
INTERPRETER = """
    b go
low:
pass:
    stp x29, x30, [sp, -16]!
    adr x21, once
    blr x21
    adr x22, table
    mov x23, 3
1:  ldrsw x21, [x22], 4
    adr x24, table
    add x21, x21, x24
    blr x21
    subs x23, x23, 1
    b.ne 1b
    ldp x29, x30, [sp], 16
    ret
once: ret
op1: mov x9, 100
    b work
op2: mov x9, 200
    b work
op3: mov x9, 300
work:
    mov x25, x30
    adr x26, once
    blr x26
    nop
2:  subs x9, x9, 1
    b.ne 2b
    ret x25
table: .word op1 - table, op2 - table, op3 - table
high:
go:
"""


def test_ops_are_found_and_counted(run: Run) -> None:
    listing = run(
        f"{INTERPRETER}\n mark 0\n bl pass\n learned 3, low, high\n mark 2\n bl pass\n mark 3"
    )
    (section,) = listing.sections
    assert listing.candidates == [2]
    # mov, b or nothing; mov, adr, blr, ret, nop; the rounds; ret.
    expected = [2 + 5 + 200 + 1, 2 + 5 + 400 + 1, 1 + 5 + 600 + 1]
    assert [op.instructions for op in section.ops] == expected
    around = 1 + 6 + 3 * 6 + 2
    assert section.total.instructions == sum(expected) + around + MARK_LENGTH
    assert section.nested == 0


def test_a_call_whose_return_cannot_be_told_is_no_candidate(run: Run) -> None:
    # Without the NOP the trap returns to where the loop jumps to as well.
    trap = INTERPRETER.replace("    nop\n", "")
    assert run(
        f"{trap}\n mark 0\n bl pass\n learned 3, low, high\n mark 2\n mark 3"
    ).candidates == [1]


def test_a_number_of_ops_that_no_call_has_is_not_guessed(run: Run) -> None:
    listing = run(
        f"{INTERPRETER}\n mark 0\n bl pass\n learned 4, low, high\n mark 2\n bl pass\n mark 3"
    )
    assert listing.candidates == [0]
    assert listing.sections[0].ops == []


def test_calls_outside_the_library_are_no_candidates(run: Run) -> None:
    listing = run(f"{INTERPRETER}\n mark 0\n bl pass\n learned 3, go, go\n mark 2\n mark 3")
    assert listing.candidates == [0]


def test_ops_inside_ops_are_noticed(run: Run) -> None:
    code = """
        b go
    low:
    outer: mov x27, x30
        adr x21, inner
        mov x23, 2
        cbnz x28, deeper
        b call
    deeper: adr x21, again
    call: blr x21
        subs x23, x23, 1
        b.ne call
        ret x27
    inner: ret
    again: mov x26, x30
        mov x28, 0
        adr x21, inner
        b call
    high:
    go: mov x28, 0
        mark 0
        bl outer
        learned 2, low, high
        mov x28, 1
        mark 2
        bl outer
        mark 3
    """
    assert run(code).sections[0].nested > 0


def test_operators_inside_an_op_are_counted_by_themselves(run: Run) -> None:
    """An op that has a loop of its own, whose calls are direct: a delegate."""
    code = """
        b go
    low:
    outer: mov x27, x30
        mov x23, 4
        adr x21, empty
        cbz x28, next
        adr x21, inner
    next: blr x21
        subs x23, x23, 1
        b.ne next
        ret x27
    inner: mov x25, x30
        mov x24, 3
    1:  bl work
        subs x24, x24, 1
        b.ne 1b
        ret x25
    empty: ret
    work: mov x9, 50
    2:  subs x9, x9, 1
        b.ne 2b
        ret
    high:
    go: mov x28, 0
        mark 0
        bl outer
        learned 4, low, high
        mark 0
        bl inner
        learned 3, low, high
        mov x28, 1
        mark 2
        bl outer
        mark 3
    """
    listing = run(code)
    (section,) = listing.sections
    assert listing.candidates == [1, 1]
    assert [[c.instructions for c in inner] for inner in section.inner] == [[1 + 100 + 1] * 3] * 4
    assert [c.instructions for c in section.ops] == [2 + 3 * (3 + 102) + 1] * 4
    assert section.nested == 0

"""Issue-limited cycles, on programs in assembly whose cycles are known."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from ghostdepth_export.pi4.counter.listing import InstructionCounts, Listing

from tests.arm64.counter.assembled import chain, counted
from tests.arm64.counter.assembled import run as run_assembled

Run = Callable[..., Listing[InstructionCounts]]
# The mark that ends a section: five MOVs of the integer pipes, two a cycle, and an SVC.
MARK = 15


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Run:
    return functools.partial(run_assembled, tmp_path)


def sixths(run: Run, code: str) -> int:
    """Of a block that ends with a branch of its own, without the mark's block."""
    return counted(run(f"mark 2\n {code}\n b 9f\n9: mark 3")).cycle_sixths - MARK


# Twelve of one kind and the branch.
@pytest.mark.parametrize(
    ("instruction", "cycles", "why"),
    [
        ("fmla v0.4s, v1.4s, v2.s[0]", 12, "both vector pipes"),
        ("fmla v0.2s, v1.2s, v2.s[0]", 6, "one vector pipe of two"),
        ("fmadd s0, s1, s2, s3", 6, "one vector pipe of two"),
        ("smlal v0.8h, v1.8b, v2.8b", 12, "the result has 128 bits"),
        ("smull2 v0.8h, v1.16b, v2.16b", 12, "the result has 128 bits"),
        ("smlal v0.4s, v1.4h, v2.h[1]", 12, "the result has 128 bits"),
        ("sadalp v0.4s, v1.8h", 12, "both vector pipes"),
        ("sqxtn v0.4h, v1.4s", 12, "the operand has 128 bits"),
        ("sxtl v0.8h, v1.8b", 12, "the result has 128 bits"),
        ("movi v0.2s, 0", 6, "one vector pipe of two"),
        ("fdiv v0.4s, v1.4s, v2.4s", 120, "ten cycles of both pipes"),
        ("ldr x3, [x20]", 12, "one load a cycle"),
        ("ldr q0, [x20]", 12, "one load of 128 bits a cycle"),
        ("ldp x3, x4, [x20]", 12, "128 bits"),
        ("ldp q0, q1, [x20]", 24, "256 bits"),
        ("ld1 {v0.4s}, [x20]", 12, "128 bits"),
        ("ld1 {v0.8b, v1.8b, v2.8b}, [x20]", 24, "192 bits"),
        ("ld1 {v0.4s-v3.4s}, [x20]", 48, "512 bits"),
        ("ld3 {v0.4s-v2.4s}, [x20]", 36, "384 bits; the sorting takes 24 cycles"),
        ("ld4 {v0.8b-v3.8b}, [x20]", 24, "256 bits"),
        ("ld1r {v0.4s}, [x20]", 12, "one load"),
        ("str x3, [x20]", 12, "64 bits of a store a cycle"),
        ("stp w3, w4, [x20]", 12, "64 bits"),
        ("stp x3, x4, [x20]", 24, "128 bits"),
        ("str q0, [x20], 16", 24, "128 bits"),
        ("st1 {v0.4s-v3.4s}, [x20]", 96, "512 bits"),
        ("st1 {v0.s}[1], [x20]", 12, "32 bits"),
        ("madd w3, w4, w5, w6", 12, "one multi-cycle pipe"),
        ("madd x3, x4, x5, x6", 36, "three cycles of it"),
        ("add x3, x4, x5, lsl 2", 12, "a shifted operand takes the multi-cycle pipe"),
        ("add x3, x4, x5", 6, "one integer pipe of two"),
        ("dup v0.4s, w3", 12, "the load pipe, and both vector pipes"),
        ("umov w3, v0.s[1]", 12, "the load pipe"),
    ],
)
def test_one_kind_of_instruction(run: Run, instruction: str, cycles: int, why: str) -> None:
    code = "\n".join([instruction] * 12)
    assert sixths(run, code) == 6 * cycles, why


@pytest.mark.parametrize(
    ("code", "expected", "why"),
    [
        ("nop\n" * 11, 24, "12 micro-operations, three a cycle"),
        ("ldr x3, [x20], 8\n" * 4 + "str x3, [x20]\n" * 4, 26, "13 micro-operations"),
        ("fmla v0.4s, v1.4s, v2.4s\nldr q1, [x20]\n" * 8, 48, "beside each other"),
        ("fmla v0.4s, v1.4s, v2.4s\nldp q1, q2, [x20]\n" * 8, 96, "two loads for each"),
        ("fmla v0.2s, v1.2s, v2.2s\nadd x3, x4, x5\n" * 6, 26, "13 micro-operations"),
        ("", 6, "one branch a cycle"),
    ],
)
def test_a_block_takes_as_long_as_its_busiest_resource(
    run: Run, code: str, expected: int, why: str
) -> None:
    assert sixths(run, code) == expected, why


def test_a_loop_takes_one_branch_a_round(run: Run) -> None:
    counts = counted(run("mark 2\n mov x9, 1000\n1: subs x9, x9, 1\n b.ne 1b\n mark 3"))
    assert counts.cycle_sixths == 6 * 1000 + MARK
    assert counts.cycles == 1000 + MARK / 6


def test_calls_and_returns(run: Run) -> None:
    code = "mark 2\n mov x9, 100\n1: bl f\n subs x9, x9, 1\n b.ne 1b\n mark 3\n leave\nf: ret"
    # Each round: BL; RET; SUBS and B.NE.
    assert counted(run(code)).cycle_sixths == 100 * 3 * 6 + MARK


def test_a_chase_of_pointers_is_known_by_its_misses_and_not_by_its_cycles(run: Run) -> None:
    """Latency is not modelled: a round takes its branch's cycle, wherever the line comes from."""
    lines = 1 << 15
    code = f"mov x9, {lines}\n1: ldr x20, [x20]\n subs x9, x9, 1\n b.ne 1b"
    counts = counted(run(f"mark 2\n {code}\n mark 3", chain(lines)))
    assert counts.l2_misses == lines
    # The first round's block has the MOV too: four micro-operations.
    assert counts.cycle_sixths == 6 * (lines - 1) + 8 + MARK


def test_a_stream_copies_64_bits_a_cycle(run: Run) -> None:
    rounds = 1 << 15
    code = """
        add x21, x20, 1 << 20
        add x21, x21, 1 << 20
        mov x9, {rounds}
    1:  ldp q0, q1, [x20], 32
        stp q0, q1, [x21], 32
        subs x9, x9, 1
        b.ne 1b
    """
    counts = counted(run(f"mark 2\n {code.format(rounds=rounds)}\n mark 3"))
    assert counts.l2_misses == 2 * rounds * 32 / 64
    # The first round's block has 13 micro-operations.
    assert counts.cycle_sixths == 6 * 4 * (rounds - 1) + 26 + MARK

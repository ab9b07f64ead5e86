"""The check that models have not grown, on made-up counts."""

from __future__ import annotations

import dataclasses
from types import ModuleType

import pytest
from bench_depth.core.errors import UserError

from tests.conftest import benchmark
from tests.export.pi4.synthetic_counts import instruction_counts


@pytest.fixture(scope="module")
def baseline() -> ModuleType:
    return benchmark("baseline", "instructions")


OLD = instruction_counts(("CONV_2D", 8000), ("ADD", 1000), ("CONV_2D", 1000))


def test_equal_counts_pass(baseline: ModuleType) -> None:
    lines, passed = baseline.compare([OLD], [OLD])
    assert passed
    assert lines == [
        "m.tflite: 10,000 -> 10,000 instructions (+0.00%), L1D misses 90 -> 90, "
        "L2 misses 60 -> 60, write-backs 30 -> 30: ok"
    ]


def test_growth_up_to_one_percent_passes(baseline: ModuleType) -> None:
    lines, passed = baseline.compare(
        [OLD], [instruction_counts(("CONV_2D", 8100), ("ADD", 1000), ("CONV_2D", 1000))]
    )
    assert passed
    assert len(lines) == 1


def test_a_grown_op_is_named_with_before_and_after(baseline: ModuleType) -> None:
    new = instruction_counts(("CONV_2D", 8101), ("ADD", 1000), ("CONV_2D", 1000))
    lines, passed = baseline.compare([OLD], [new])
    assert not passed
    assert "FAILED, at most +1%" in lines[0]
    assert lines[1:] == ["  grown op 0 CONV_2D 1x2 ({t}0): 8,000 -> 8,101 instructions"]


def test_an_added_op_is_named_and_its_neighbours_are_not(baseline: ModuleType) -> None:
    new = instruction_counts(("CONV_2D", 8000), ("EXP", 500), ("ADD", 1000), ("CONV_2D", 1000))
    assert baseline.changed_ops(OLD, new) == ["added op 1 EXP 1x2 ({t}1): 500 instructions"]


def test_the_largest_change_comes_first_and_the_list_is_short(baseline: ModuleType) -> None:
    old = instruction_counts(*[("ADD", 1000)] * 15)
    new = instruction_counts(*[("ADD", 1100 + i) for i in range(15)])
    lines = baseline.changed_ops(old, new)
    assert lines[0].startswith("grown op 14 ")
    assert len(lines) == 11
    assert lines[-1] == "and 5 smaller ones"


def test_a_model_that_shrank_asks_for_a_new_baseline(baseline: ModuleType) -> None:
    lines, passed = baseline.compare([OLD], [instruction_counts(("CONV_2D", 8000))])
    assert passed
    assert "make the baseline anew" in lines[0]


def test_another_qemu_is_reported(baseline: ModuleType) -> None:
    lines, passed = baseline.compare([OLD], [dataclasses.replace(OLD, qemu="8.2.0")])
    assert passed
    assert lines[1] == "  the baseline's qemu is 7.2.22, this one's 8.2.0"


def test_a_file_that_the_baseline_lacks_is_refused(baseline: ModuleType) -> None:
    with pytest.raises(UserError, match=r"has no n\.tflite"):
        baseline.compare([OLD], [OLD, dataclasses.replace(OLD, file="n.tflite")])

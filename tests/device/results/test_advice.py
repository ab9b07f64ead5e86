from __future__ import annotations

import dataclasses

import pytest
from bench_depth.machine.board import Board, Health
from bench_depth.model.signature import Signature
from bench_depth.results.advice import ADVICE, drift, ratio_unclear, warnings_for
from bench_depth.timing.comparison import Comparison
from bench_depth.timing.measure import Timing, summarize

BOARD = Board("Pi", "Cortex-A72", 4, "aarch64", "Linux", 1500, "performance", emulated=False)
PI = dataclasses.replace(BOARD, model="Raspberry Pi 4 Model B Rev 1.4")
COOL = Health(1500, 50, 0, load=0.1, swapped_in=7)
STEADY = [10_000_000] * 90


SIGNATURE = Signature(480, 640, "uint8")


def codes(**changes: object) -> list[str]:
    times = list(changes.pop("times", STEADY))  # type: ignore[call-overload]
    given = {
        "signature": SIGNATURE,
        "idle": COOL,
        "before": COOL,
        "after": COOL,
        "first_ms": 11.0,
        **changes,
    }
    described, board = given.pop("described", True), given.pop("board", BOARD)
    return warnings_for(described, board, invoke=Timing(times, summarize(times)), **given)


def test_a_good_measurement_has_no_warning() -> None:
    assert codes() == []


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("no-contract", {"described": False}),
        ("unknown-output", {"signature": dataclasses.replace(SIGNATURE, output=None)}),
        ("relative-depth", {"signature": dataclasses.replace(SIGNATURE, unit="relative")}),
        ("throttled", {"after": dataclasses.replace(COOL, throttled=0x4)}),
        ("undervoltage", {"after": dataclasses.replace(COOL, throttled=0x10000)}),
        ("governor", {"board": dataclasses.replace(BOARD, governor="ondemand")}),
        ("runtime-passed-over", {"passed_over": True}),
        ("xnnpack-in-part", {"xnnpack_ops": (98, 195)}),
        ("xnnpack-in-part", {"xnnpack_ops": (3, 195)}),
        ("throttling-unknown", {"board": PI, "after": dataclasses.replace(COOL, throttled=None)}),
        ("throttling-unknown", {"board": PI, "before": dataclasses.replace(COOL, throttled=None)}),
        ("emulated", {"board": dataclasses.replace(BOARD, emulated=True)}),
        ("load", {"idle": dataclasses.replace(COOL, load=1.0)}),
        ("swap", {"after": dataclasses.replace(COOL, swapped_in=8)}),
        ("noisy", {"times": [10_000_000] * 80 + [20_000_000] * 10}),
        ("drift", {"times": [10_000_000] * 45 + [10_600_000] * 45}),
        ("first-slow", {"first_ms": 31.0}),
    ],
)
def test_each_state_has_its_code(code: str, changes: dict[str, object]) -> None:
    found = codes(**changes)
    # Ten slow runs at the end are a drift as well.
    assert code in found and set(found) <= {code, "drift"}


@pytest.mark.parametrize(
    ("board", "others"), [(BOARD, []), (dataclasses.replace(PI, emulated=True), ["emulated"])]
)
def test_what_a_board_cannot_tell_is_no_warning(board: Board, others: list[str]) -> None:
    unknown = Health(None, None, None)
    board = dataclasses.replace(board, governor=None)
    assert codes(idle=unknown, before=unknown, after=unknown, board=board) == others


@pytest.mark.parametrize("ops", [None, (0, 195), (194, 195), (3, 4), (1, 1), (0, 0)])
def test_xnnpack_off_or_for_three_quarters_of_the_ops_is_no_warning(
    ops: tuple[int, int] | None,
) -> None:
    assert codes(xnnpack_ops=ops) == []


def test_drift_is_the_change_from_the_first_third_to_the_last() -> None:
    assert drift([100] * 30 + [500] * 30 + [110] * 30) == pytest.approx(0.1)
    assert drift([100] * 10 + [200] * 10) == 0


def test_every_code_says_what_to_do() -> None:
    assert all("; " in advice or ";" in advice for advice in ADVICE.values())


@pytest.mark.parametrize(("low", "high", "expected"), [(0.4, 0.6, False), (0.6, 0.8, True)])
def test_medians_outside_the_interval_of_the_ratio_are_reported(
    low: float, high: float, expected: bool
) -> None:
    times = [10_000_000] * 5
    slow, fast = Timing(times, summarize(times)), Timing(times, summarize([5_000_000] * 5))
    assert ratio_unclear(Comparison("a", 0.5, low, high, 20), fast, slow) is expected
    assert not ratio_unclear(Comparison("a", 0.5, None, None, 2), fast, slow)

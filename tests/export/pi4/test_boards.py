"""Boards other than the Raspberry Pi 4: their coefficients, their names, and their counts."""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from pathlib import Path

import numpy as np
import pytest
from bench_depth.core.errors import UserError
from ghostdepth_export.pi4.latency import (
    BOARDS,
    OpWork,
    board_coefficients,
    find_board,
    predict_file_latencies,
    predict_latency,
    prediction,
    read_coefficients,
    shipped,
    write_coefficients,
)
from ghostdepth_train.pruning.latency import TargetBoard

from tests.conftest import benchmark
from tests.export.conftest import Command
from tests.export.pi4.synthetic_counts import (
    convolution,
    count_without_qemu,
    counts,
    model_counts,
    plain,
)

RELEASED = Path(__file__).resolve().parents[3] / "device/bench_depth/models"
MODEL = RELEASED / "ghostdepth-nano-int8.tflite"


def test_pruning_knows_the_same_boards() -> None:
    assert set(typing.get_args(TargetBoard)) == set(BOARDS)


def test_the_pi_4_is_the_shipped_one_and_its_faster_clock_is_only_that() -> None:
    assert board_coefficients() == shipped()
    random = np.random.default_rng(0)
    cycles, lines = random.integers(1, 9_000_000, 6), random.integers(0, 300_000, 6)
    work = [convolution(32)] * 3 + [plain("ADD")] * 3
    counted = model_counts(
        [(op.name, counts(int(c), int(d))) for op, c, d in zip(work, cycles, lines, strict=True)]
    )
    by_board = predict_latency(counted, work, board_coefficients("rpi4-1800"))
    by_clock = predict_latency(counted, work, shipped(), clock_mhz=1800)
    assert by_board.ms == pytest.approx(by_clock.ms)
    assert by_board.clock_mhz == by_clock.clock_mhz == 1800


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_is_whole(name: str, tmp_path: Path) -> None:
    board, known = BOARDS[name], board_coefficients(name)
    assert (known.board, known.clock_mhz, known.decodes) == (
        board.title,
        board.clock_mhz,
        board.decodes,
    )
    for one in (known.cycle, known.line, known.wake):
        assert 0 < one.low <= one.value <= one.high
    # A cycle of its clock at the least for what takes a Cortex-A72 two.
    assert known.cycle.value >= 0.5 * 1e3 / known.clock_mhz
    base = shipped()
    for mine, first in zip(known.errors, base.errors, strict=True):
        assert mine.error >= first.error
    write_coefficients(tmp_path / "board.json", known)
    assert read_coefficients(tmp_path / "board.json") == known


def test_the_boards_are_in_the_order_of_their_cores() -> None:
    work, counted = [convolution(64)], model_counts([("CONV_2D", counts(4_000_000, 100_000))])
    ms = {name: predict_latency(counted, work, board_coefficients(name)).ms for name in BOARDS}
    assert ms["rpi5"] < ms["rpi4-1800"] < ms["rpi4"] < ms["zero2"]


def test_an_op_takes_at_least_what_decoding_takes() -> None:
    known = board_coefficients("rpi5")
    few = counts(1_000_000)  # Twice as many instructions.
    many = dataclasses.replace(few, instructions=8_000_000)
    fast, slow = (
        predict_latency(model_counts([("ADD", each)]), [plain("ADD")], known, threads=1).ms
        for each in (few, many)
    )
    assert fast == pytest.approx(known.cycle.value)
    assert slow == pytest.approx(8 / 4 / 2.4)  # Million instructions, four a cycle, 2400 MHz.
    at_two = predict_latency(
        model_counts([("ADD", many)]), [plain("ADD")], known, threads=1, clock_mhz=1200
    )
    assert at_two.ms == pytest.approx(2 * slow)
    # A Cortex-A72's issue-limited cycles hold it already.
    assert shipped().least_cycles == 0


def test_int8_on_a_pi_5_has_no_published_pair_and_says_so() -> None:
    work = [OpWork("CONV_2D", dtype, (1, 8, 8, 8), ((1, 8, 8, 8), (8, 1, 1, 8)))
            for dtype in ("INT8", "FLOAT32")]  # fmt: skip
    counted = model_counts([("CONV_2D", counts(1_000_000))] * 2)
    found = predict_latency(counted, work, board_coefficients("rpi5"))
    assert [op.calibrated for op in found.ops] == [False, True]
    assert found.high / found.ms - 1 > 1 - found.low / found.ms
    assert all(op.calibrated for op in predict_latency(counted, work, shipped()).ops)


def test_errors_of_board_and_base_add_up_as_independent_ones() -> None:
    base, known = shipped(), board_coefficients("zero2")
    rest = [
        math.sqrt(mine.error**2 - first.error**2)
        for mine, first in zip(known.errors, base.errors, strict=True)
    ]
    assert rest[0] == pytest.approx(rest[1], abs=2e-3)
    assert rest[0] > 0.1


@pytest.mark.parametrize("name", BOARDS)
def test_each_board_is_counted_on_its_own_core(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    count_without_qemu(monkeypatch, counts(1000))
    plainly = prediction.count
    monkeypatch.setattr(prediction, "count", lambda m, r, *, cpu: seen.append(cpu) or plainly(m, r))
    (found,) = predict_file_latencies([MODEL], board=name)
    assert seen == [find_board(name).cpu]
    assert found.board == find_board(name).title


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--board", "rpi6"], "the boards are rpi4, rpi4-1800, rpi5, zero2; did you mean rpi5?"),
        (["--board", "\x1b[31m"], r"--board '\x1b[31m': the boards are"),
        (["--board", ""], "--board '': the boards are rpi4"),
        (["--board", "rpi5", "--coefficients", "board.json"], "give one or the other"),
        (["--board", "rpi4", "--calibrate"], "give one or the other"),
    ],
)
def test_what_no_board_is_is_one_line(arguments: list[str], message: str, command: Command) -> None:
    done = command("latency", MODEL, *arguments, code=2)
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_the_command_predicts_for_a_board(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Command
) -> None:
    count_without_qemu(monkeypatch, counts(100_000))
    page = tmp_path / "page.html"
    done = command("latency", MODEL, "--board", "rpi5", "--html", page)
    assert "predicted for Raspberry Pi 5" in done.out
    assert "2400 MHz" in done.out
    assert re.search(r"\blimit\b", done.out)
    assert "Raspberry Pi 5" in page.read_text()


def test_the_committed_factors_are_those_of_the_committed_rows() -> None:
    pytest.importorskip("scipy")
    fitted = benchmark("boards", "latency")
    lines = fitted.read_pairs(fitted.FITTED["zero2"])
    assert all(pair.held_out == fitted.is_held_out(pair.network) for pair in lines)
    for name in fitted.FITTED:
        factors, errors = fitted.board(name)
        known, base = board_coefficients(name), shipped()
        assert factors["line"]["value"] == pytest.approx(known.line.value / base.line.value)
        assert errors["held out"].mean < 0.1


def test_an_int8_file_without_counts_on_the_boards_core_is_refused() -> None:
    released = benchmark("released", "latency")
    counted = [
        dataclasses.replace(model_counts([("CONV_2D", counts(1000))] * n), file=f"a-{kind}.tflite")
        for kind in ("int8", "fp32")
        for n in (1, 2)
    ]
    small, large, _, fp32 = counted
    on_a76 = {released._graph(small): dataclasses.replace(small, cpu="cortex-a76")}
    assert released.counts_for(BOARDS["rpi5"], small, on_a76).cpu == "cortex-a76"
    assert released.counts_for(BOARDS["rpi4"], large, on_a76) is large
    assert released.counts_for(BOARDS["rpi5"], fp32, on_a76) is fp32
    with pytest.raises(UserError, match=r"a-int8.tflite has other ops .* released.py --count"):
        released.counts_for(BOARDS["rpi5"], large, on_a76)

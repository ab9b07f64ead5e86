from __future__ import annotations

import os

import pytest
from bench_depth.core.errors import THRESHOLD_FAILED, UserError
from bench_depth.machine.conditions import COOLDOWN_LIMIT, bind, cool_down, parse_cores


@pytest.mark.parametrize(
    ("text", "cores"), [("0", [0]), ("0-2", [0, 1, 2]), ("3,0-1", [0, 1, 3]), (" 1 , 1", [1])]
)
def test_cores_are_read_as_taskset_reads_them(text: str, cores: list[int]) -> None:
    assert parse_cores(text) == cores


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1,,2", "0x1", "0-99999999999", "²", "٣"])
def test_what_is_no_list_of_cores_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="write it as 0-2"):
        parse_cores(text)


@pytest.mark.parametrize("text", ["3-1", "1-0", "0-2,9-8", "0010-9", " 3-2 "])
def test_a_range_that_ends_before_it_begins_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="ends before it begins; write it as "):
        parse_cores(text)


def test_a_core_that_is_not_there_is_named() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(UserError, match="no core 4095 here"):
        bind([4095])
    with pytest.raises(UserError, match="no core"):
        bind([])
    assert os.sched_getaffinity(0) == before


class Board:
    """Cools by one degree a second."""

    def __init__(self, celsius: float | None, coolest: float = 20) -> None:
        self.now, self._start, self._coolest = 0.0, celsius, coolest

    def temperature(self) -> float | None:
        return None if self._start is None else max(self._start - self.now, self._coolest)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wait(board: Board, target: float) -> list[str]:
    lines: list[str] = []
    cool_down(
        target,
        lines.append,
        temperature=board.temperature,
        clock=board.clock,
        sleep=board.sleep,
    )
    return lines


def test_waits_until_the_board_is_cool_enough_and_logs_it() -> None:
    board = Board(70)
    lines = wait(board, 50)
    assert board.temperature() == 50
    assert lines[0] == "cooling down: 70.0 C, target 50 C"


def test_a_cool_board_is_not_waited_for() -> None:
    board = Board(45)
    assert wait(board, 50) == []
    assert board.now == 0


def test_a_board_that_stays_hot_ends_the_wait() -> None:
    board = Board(70, coolest=60)
    with pytest.raises(UserError, match=r"still 60\.0 C after 15 minutes") as error:
        wait(board, 50)
    assert error.value.exit_code == THRESHOLD_FAILED
    assert board.now >= COOLDOWN_LIMIT


def test_a_machine_without_a_sensor_is_refused() -> None:
    with pytest.raises(UserError, match="no temperature sensor"):
        wait(Board(None), 50)

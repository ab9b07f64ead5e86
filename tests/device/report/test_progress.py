from __future__ import annotations

import io

from bench_depth.report.progress import ProgressScreen


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def half() -> float:
    return 0.5


def test_without_a_terminal_only_lines_are_written() -> None:
    stream = io.StringIO()
    screen = ProgressScreen(stream, False, Clock(), 80)
    screen.tick("model", half, [1_000_000])
    screen.log("a line")
    screen.clear()
    assert stream.getvalue() == "a line\n"


def test_the_moving_line_tells_progress_median_and_time_left() -> None:
    stream, clock = io.StringIO(), Clock()
    screen = ProgressScreen(stream, True, clock, 80)
    screen.tick("m.tflite", lambda: 0.0, [9_000_000])
    clock.now = 4.0
    screen.tick("m.tflite", half, [1_000_000, 46_200_000, 99_000_000])
    last = stream.getvalue().split("\r\033[K")[-1]
    assert last == "[##########..........]  50 % 46.20 ms 4 s left m.tflite"


def test_it_is_drawn_a_few_times_a_second_only() -> None:
    stream, clock = io.StringIO(), Clock()
    screen, asked = ProgressScreen(stream, True, clock, 80), []

    def fraction() -> float:
        asked.append(1)
        return 0.1

    for _ in range(1000):
        clock.now += 0.001
        screen.tick("m", fraction, [1_000_000])
    assert len(asked) in (4, 5)


def test_it_never_fills_the_terminals_width() -> None:
    stream = io.StringIO()
    ProgressScreen(stream, True, Clock(), 40).tick("a" * 100, half, [1_000_000])
    assert len(stream.getvalue().split("\r\033[K")[-1]) == 39


def test_a_line_that_stays_takes_the_moving_one_away_first() -> None:
    stream = io.StringIO()
    screen = ProgressScreen(stream, True, Clock(), 80)
    screen.tick("m", half, [1_000_000])
    screen.log("done")
    assert stream.getvalue().endswith("\r\033[Kdone\n")


def test_a_closed_standard_error_does_not_end_the_measuring() -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    ProgressScreen(Broken(), True, Clock(), 80).log("a line")

from __future__ import annotations

import pytest
from bench_depth.machine.board import Health
from bench_depth.timing.sustained import sustain


class HotBoard:
    """40 C, 10 ms a run; one degree a second up to 80 C, where it slows to 15 ms."""

    def __init__(self) -> None:
        self.now = 0

    def clock(self) -> int:
        return self.now

    def temperature(self) -> float:
        return min(40 + self.now / 1e9, 80)

    def run(self) -> None:
        self.now += 15_000_000 if self.temperature() >= 80 else 10_000_000

    def health(self) -> Health:
        return Health(1500, self.temperature(), 0)


def test_the_last_minute_is_compared_with_the_first() -> None:
    board, seen = HotBoard(), []
    found = sustain(
        board.run,
        3,
        clock=board.clock,
        health=board.health,
        watch=lambda seconds, median_ms: seen.append((seconds, median_ms)),
    )
    assert found.minutes == 3
    # 40 of the first 60 seconds are cool.
    assert (found.first_ms, found.last_ms) == (10, 15)
    assert found.slowdown == 1.5
    assert found.runs == pytest.approx(40 / 0.010 + 140 / 0.015, abs=2)
    assert len(found.curve) == 60 == len(seen)
    assert found.curve[-1].seconds == pytest.approx(180, abs=0.02)
    assert [p.temperature_c for p in found.curve[:2]] == pytest.approx([43, 46], abs=0.02)
    assert found.curve[-1].temperature_c == 80
    assert (found.curve[0].median_ms, found.curve[-1].median_ms) == (10, 15)


def test_a_run_longer_than_a_part_is_a_part_of_its_own() -> None:
    now = [0]

    def run() -> None:
        now[0] += 5_000_000_000

    found = sustain(run, 0.5, clock=lambda: now[0], health=lambda: Health(None, None, None))
    assert found.runs == 6
    assert found.first_ms == found.last_ms == 5000

"""Warnings as codes, and what to do about each."""

from __future__ import annotations

from typing import Optional

from bench_depth.board import Board, Health, was_throttled
from bench_depth.contract import ModelContract
from bench_depth.measure import Statistics

ADVICE = {
    "no-contract": "the file does not say what it takes and gives; "
    "raw RGB 0..255 in and metres out were assumed",
    "noisy": "the slowest runs took over 1.5 times the median; end other programs, measure longer",
    "throttled": "the board was slowed by heat or low voltage; cool it, or use a stronger supply",
    "emulated": "this is an emulator; its times say nothing about a real board",
    "first-slow": "the first run took over 3 times the median; warm up before the first frame",
}
_NOISY = 1.5
_FIRST_SLOW = 3.0


def warnings_for(
    contract: Optional[ModelContract],
    board: Board,
    *,
    before: Health,
    after: Health,
    first_ms: float,
    invoke: Statistics,
) -> list[str]:
    """The codes (keys of `ADVICE`) that hold for one model's measurement."""
    holds = {
        "no-contract": contract is None,
        "noisy": invoke.p99 > _NOISY * invoke.median,
        "throttled": was_throttled(before, after),
        "emulated": board.emulated,
        "first-slow": first_ms > _FIRST_SLOW * invoke.median,
    }
    return [code for code in ADVICE if holds[code]]

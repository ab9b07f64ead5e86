"""Warnings as codes, and what to do about each."""

from __future__ import annotations

from collections.abc import Sequence

from bench_depth.machine.board import SLOWED, UNDERVOLTAGE, Board, Health, flagged
from bench_depth.model.signature import Signature
from bench_depth.timing.measure import Timing, percentile

ADVICE = {
    "no-contract": "the file does not say what it takes and gives; "
    "raw RGB 0..255 in and metres out were assumed",
    "unknown-output": "no output could be told to be a depth map, so the model was only timed; "
    "name it with --output",
    "relative-depth": "the model's depth has no unit; it is aligned to the truth of each image, "
    "and its numbers do not compare with unaligned ones",
    "emulated": "this is an emulator; its times say nothing about a real board",
    "interrupted": "Ctrl-C ended the measuring early; there are fewer runs than asked for",
    "throttled": "the board lowered its clock (heat or power); cool it, or wait with --cooldown-to",
    "undervoltage": "the supply's voltage is too low; use a stronger supply and a short cable",
    "governor": "the governor changes the clock; "
    "run: echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    "load": "other programs were busy before measuring began; end them",
    "swap": "memory was read back from swap meanwhile; end other programs, or use a smaller model",
    "noisy": "the slowest runs took over 1.5 times the median; end other programs, measure longer",
    "drift": "the last runs took over 5 % more or less than the first ones; measure longer, "
    "or see where it settles with --sustain",
    "no-profile": "the ops could not be timed; the reason was told while measuring",
    "first-slow": "the first run took over 3 times the median; warm up before the first frame",
}
_NOISY = 1.5
_FIRST_SLOW = 3.0
_DRIFT = 0.05
# The first and last third of fewer runs than this differ by chance.
_DRIFT_RUNS = 30
# A machine at rest has next to nothing; one busy program makes 1.
_LOAD = 0.7


def warnings_for(
    described: bool,
    board: Board,
    *,
    signature: Signature,
    idle: Health,
    before: Health,
    after: Health,
    first_ms: float,
    invoke: Timing,
) -> list[str]:
    """The codes (keys of `ADVICE`) that hold for one model's measurement.

    Args:
        described: Whether the file says what it takes and gives, or somebody did.
        board: The machine.
        signature: What the model takes and gives.
        idle: Before anything was run.
        before: Before this model was timed.
        after: After it.
        first_ms: The first run.
        invoke: The counted runs.
    """
    statistics = invoke.statistics
    holds = {
        "no-contract": not described,
        "unknown-output": signature.output is None,
        "relative-depth": signature.relative,
        "emulated": board.emulated,
        "throttled": flagged(before, after, SLOWED),
        "undervoltage": flagged(before, after, UNDERVOLTAGE),
        "governor": board.governor not in (None, "performance"),
        "load": idle.load is not None and idle.load > _LOAD,
        "swap": (after.swapped_in or 0) > (before.swapped_in or 0),
        "noisy": statistics.p99 > _NOISY * statistics.median,
        "drift": abs(drift(invoke.times_ns)) > _DRIFT,
        "first-slow": first_ms > _FIRST_SLOW * statistics.median,
    }
    return [code for code in ADVICE if holds.get(code)]


def drift(times_ns: Sequence[int]) -> float:
    """How much slower the last third of the runs is than the first, by medians; 0 for few runs."""
    if len(times_ns) < _DRIFT_RUNS:
        return 0.0
    third = len(times_ns) // 3
    first, last = (percentile(sorted(part), 50) for part in (times_ns[:third], times_ns[-third:]))
    return last / max(first, 1) - 1

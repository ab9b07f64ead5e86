"""Warnings as codes, with advice for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from bench_depth.machine.board import (
    SLOWED,
    UNDERVOLTAGE,
    Board,
    Health,
    flagged,
    throttling_unknown,
)
from bench_depth.model.contract import ModelContract
from bench_depth.model.description import Description, says_something
from bench_depth.model.signature import Signature
from bench_depth.plausibility.advice import DATA_ADVICE, OUTPUT_ADVICE, warning_line
from bench_depth.timing.comparison import Comparison
from bench_depth.timing.measure import Timing, percentile

ADVICE = {
    "no-contract": "the file does not describe its input and output; "
    "raw RGB 0..255 in and metres out were assumed; describe it (--preset, --quantity, --unit)",
    "unknown-output": "no output could be identified as the depth map, so the model was only "
    "timed; name it with --output",
    "relative-depth": "the model's depth has no unit; it is aligned to the ground truth of each "
    "image, so its metrics are not comparable with unaligned ones",
    "runtime-passed-over": "an installed runtime does not work here, so the next one was used; "
    "repair or remove it (its fault was logged), or choose with --runtime",
    "emulated": "this is an emulator; its times do not transfer to a real board",
    "interrupted": "Ctrl-C ended the measurement early; there are fewer runs than requested",
    "throttled": "the board lowered its clock (heat or power); cool it, or wait with --cooldown-to",
    "undervoltage": "the supply voltage is too low; use a stronger supply and a short cable",
    "throttling-unknown": "whether the board lowered its clock could not be read; run as a user of "
    "the group video, with vcgencmd installed",
    "governor": "the governor changes the clock; "
    "run: echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    "load": "other programs were busy before the measurement; close them",
    "ratio-unclear": "the ratio of the medians lies outside the interval of the ratio, so that the "
    "ratio is uncertain: times changed while they were measured; close other programs, "
    "or measure longer (--min-time)",
    "swap": "memory was read back from swap; close other programs, or use a smaller model",
    "noisy": "the slowest runs took over 1.5 times the median; close other programs, "
    "or measure longer (--min-time)",
    "drift": "the last runs took over 5 % more or less than the first ones; measure longer "
    "(--min-time), or measure the steady state with --sustain",
    "xnnpack-in-part": "XNNPACK runs less than three quarters of the ops, the others run in slower "
    "kernels; use a newer LiteRT, export the file as float32 or int8, or replace those ops "
    "(--profile names them)",
    "no-profile": "the ops could not be timed; the reason was logged during the measurement",
    "first-slow": "the first run took over 3 times the median; warm up before the first frame",
    **OUTPUT_ADVICE,
    **DATA_ADVICE,
}
_NOISY = 1.5
_FIRST_SLOW = 3.0
_DRIFT = 0.05
# With fewer runs the first and last third differ by chance.
_DRIFT_RUNS = 30
# The fraction of the ops that XNNPACK runs where it runs enough of them.
_ENOUGH_OPS = 0.75
# An idle machine has a load of nearly 0, one busy program adds 1.
_LOAD = 0.7


def assumptions(
    file: str, contract: Optional[ModelContract], description: Optional[Description]
) -> dict[str, str]:
    """The warning about a model whose input and output nothing describes, so that they are assumed.

    Args:
        file: Name of the model file.
        contract: Contract of the file; None for none.
        description: Description of the model besides its file; None for none.

    Returns:
        The line of the warning by its code; empty where the model is described.
    """
    if contract is not None or says_something(description):
        return {}
    return {"no-contract": warning_line("no-contract", f"{file}: {ADVICE['no-contract']}")}


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
    passed_over: bool = False,
    xnnpack_ops: Optional[tuple[int, int]] = None,
) -> list[str]:
    """Returns the codes (keys of `ADVICE`) of the warnings about one model's measurement.

    Args:
        described: Whether the model's input and output are described by its file or by the user.
        board: The machine.
        signature: Input and output of the model.
        idle: State of the machine before any model ran.
        before: State of the machine before this model was timed.
        after: State of the machine after that.
        first_ms: Time of the first run, milliseconds.
        invoke: Times of the counted runs.
        passed_over: Whether an installed runtime was passed over because it does not work.
        xnnpack_ops: Number of ops that XNNPACK runs, and of all ops; None where that is unknown.
    """
    statistics = invoke.statistics
    holds = {
        "no-contract": not described,
        "unknown-output": signature.output is None,
        "relative-depth": signature.relative,
        "runtime-passed-over": passed_over,
        "emulated": board.emulated,
        # Where it runs none, it is off.
        "xnnpack-in-part": xnnpack_ops is not None
        and 0 < xnnpack_ops[0] < _ENOUGH_OPS * xnnpack_ops[1],
        "throttled": flagged(before, after, SLOWED),
        "undervoltage": flagged(before, after, UNDERVOLTAGE),
        "throttling-unknown": throttling_unknown(board, before, after),
        "governor": board.governor not in (None, "performance"),
        "load": idle.load is not None and idle.load > _LOAD,
        "swap": (after.swapped_in or 0) > (before.swapped_in or 0),
        "noisy": statistics.p99 > _NOISY * statistics.median,
        "drift": abs(drift(invoke.times_ns)) > _DRIFT,
        "first-slow": first_ms > _FIRST_SLOW * statistics.median,
    }
    return [code for code in ADVICE if holds.get(code)]


def ratio_unclear(compared: Comparison, invoke: Timing, reference: Timing) -> bool:
    """Whether the ratio of two models' medians lies outside the interval of their ratio.

    Args:
        compared: The comparison of a model with the reference.
        invoke: Times of the model.
        reference: Times of the reference.
    """
    if compared.low is None or compared.high is None:
        return False
    medians = invoke.statistics.median / max(reference.statistics.median, 1e-6)
    return not compared.low <= medians <= compared.high


def drift(times_ns: Sequence[int]) -> float:
    """Returns the relative change of the median from the first to the last third of the runs.

    Args:
        times_ns: Times of the runs, nanoseconds.

    Returns:
        Positive where the last third is slower; 0 for fewer than 30 runs.
    """
    if len(times_ns) < _DRIFT_RUNS:
        return 0.0
    third = len(times_ns) // 3
    first, last = (percentile(sorted(part), 50) for part in (times_ns[:third], times_ns[-third:]))
    return last / max(first, 1) - 1

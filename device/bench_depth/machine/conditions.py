"""The conditions of a measurement: the cores of the process and the temperature of the board."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Optional

from bench_depth.core.errors import THRESHOLD_FAILED, UserError
from bench_depth.machine.board import read_temperature

COOLDOWN_LIMIT = 900.0
_STEP = 2.0


def parse_cores(text: str) -> list[int]:
    """Parses core numbers from text like `0-2,5`.

    Raises:
        UserError: The text is not such a list, or a range in it ends before it begins.
    """
    cores: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not all(re.fullmatch("[0-9]{1,4}", number) for number in (first, last)):
            raise UserError(f"--affinity {text!r} is not a list of cores; write it as 0-2 or 0,3")
        if int(last) < int(first):
            raise UserError(
                f"--affinity {text!r}: the range {first}-{last} ends before it begins; write it as "
                f"{last}-{first}"
            )
        cores.update(range(int(first), int(last) + 1))
    return sorted(cores)


def bind(cores: list[int]) -> None:
    """Restricts this process, and the threads it starts from now on, to some cores.

    Raises:
        UserError: A core does not exist or is not allowed, or the system cannot bind.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise UserError("--affinity: this system cannot bind a process to cores")
    allowed = os.sched_getaffinity(0)
    missing = sorted(set(cores) - allowed)
    if missing or not cores:
        raise UserError(
            f"--affinity: no core {', '.join(map(str, missing))} here; there are "
            f"{', '.join(map(str, sorted(allowed)))}"
        )
    os.sched_setaffinity(0, cores)


def cool_down(
    target: float,
    log: Callable[[str], None],
    *,
    temperature: Callable[[], Optional[float]] = read_temperature,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Waits until the board has cooled to a temperature.

    Args:
        target: Temperature to wait for, degrees Celsius.
        log: Called with one line of progress text.
        temperature: Returns the temperature of the board in degrees Celsius, None without a sensor.
        clock: Returns a monotonic time in seconds.
        sleep: Waits for a number of seconds.

    Raises:
        UserError: There is no sensor (exit code 2), or the temperature is not reached within 15
            minutes (1).
    """
    now = temperature()
    if now is None:
        raise UserError("--cooldown-to: this machine has no temperature sensor that can be read")
    end = clock() + COOLDOWN_LIMIT
    while now is not None and now > target:
        if clock() >= end:
            raise UserError(
                f"--cooldown-to {target:g}: still {now:.1f} C after {COOLDOWN_LIMIT / 60:.0f} "
                "minutes; choose a higher target, or cool the board",
                THRESHOLD_FAILED,
            )
        log(f"cooling down: {now:.1f} C, target {target:g} C")
        sleep(_STEP)
        now = temperature()

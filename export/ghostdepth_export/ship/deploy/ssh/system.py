"""Facts about the system of a Pi, and whether a bundle can run there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench_depth.core.errors import UserError
from ghostdepth_export.ship.bundle import Target
from ghostdepth_export.ship.deploy.ssh.answers import whole_number


@dataclass(frozen=True)
class SystemFacts:
    """The system of a Pi, as `hold` of remote.sh prints it.

    Attributes:
        machine: Like `aarch64`.
        python: Like `3.9`; `none` where there is no Python.
        bits: 64 or 32, of its Python: Raspberry Pi OS comes with either, on the same kernel.
        rsync: Whether it is installed.
        prefix: Absolute folder that is installed to.
        current: Id of the version that runs; empty where there is none.
        free: Bytes that can be written below `prefix`.
    """

    machine: str
    python: str
    bits: int
    rsync: bool
    prefix: str
    current: str
    free: int


def parse_system_facts(lines: Iterable[str]) -> SystemFacts:
    """Reads `KEY VALUE` lines up to `ready`.

    Raises:
        UserError: A line is missing or not understood.
    """
    values = dict(line.rstrip("\n").partition(" ")[::2] for line in lines)
    try:
        python, bits = values["python"].split()
        return SystemFacts(
            machine=values["machine"],
            python=python,
            bits=whole_number(bits),
            rsync=bool(values["rsync"]),
            prefix=values["prefix"],
            current=values["current"],
            free=whole_number(values["free"]) * 1024,
        )
    except (KeyError, ValueError) as error:
        raise UserError(f"the Pi's answer is not understood ({error!r})") from error


def check_fit(facts: SystemFacts, name: str, target: Target) -> None:
    """Refuses a Pi that a bundle cannot run on.

    Args:
        facts: System of the Pi.
        name: Name of the target.
        target: Target of the bundle.

    Raises:
        UserError: The line says what differs and what to do.
    """
    if facts.machine != target.machine:
        old = facts.machine.startswith("arm")
        todo = "; flash Raspberry Pi OS Lite (64-bit)" if old else ""
        raise UserError(f"it is {facts.machine}, and {name} is for {target.machine}{todo}")
    if facts.python == "none":
        raise UserError("it has no python3; install it there: sudo apt install python3")
    if facts.bits != 64:
        raise UserError(
            "its Raspberry Pi OS is the 32-bit one; flash Raspberry Pi OS Lite (64-bit)"
        )
    if facts.python != target.system.python:
        raise UserError(
            f"it has Python {facts.python}, and {name} is for {target.system.python}; "
            "leave --target out to have it chosen"
        )

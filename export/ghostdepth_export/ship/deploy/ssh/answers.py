"""Reads the answers of a Pi within limits of time and size: one may never come, or never end."""

from __future__ import annotations

import re
import selectors
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bench_depth.core.errors import UserError
from ghostdepth_export.ship.deploy.ssh.processes import Process

_BLOCK = 4096
# Bytes after which a line is cut, and the number of lines that are kept for an error.
_LONGEST_LINE = 8192
_KEPT_LINES = 50


@dataclass(frozen=True)
class Limits:
    """The limits of one answer.

    Attributes:
        silence: Seconds within which something more must come.
        total: Seconds from the beginning to the end.
        bytes: Size.
    """

    silence: float
    total: float
    bytes: int


# Facts about a Pi; the other side waits for the lock before the last of them.
FACTS = Limits(silence=120, total=180, bytes=1 << 16)
# A list of checksums, for which the Pi reads all its files; a file of results.
SHORT = Limits(silence=300, total=1800, bytes=1 << 26)
# The progress of a copy, an installation, a measurement, of which a long one may say nothing for
# hours. Each line of it is shown: 64 MiB of short ones would take many minutes.
LONG = Limits(silence=4 * 3600, total=24 * 3600, bytes=1 << 22)


def answer(process: Process, limits: Limits) -> Iterator[bytes]:
    """Yields the standard output of a process as it comes.

    Raises:
        UserError: The answer exceeds a limit; the process has been killed.
    """
    try:
        yield from _blocks(process, limits)
    except UserError:
        process.kill()
        raise


def _blocks(process: Process, limits: Limits) -> Iterator[bytes]:
    assert process.stdout is not None
    end = time.monotonic() + limits.total
    left = limits.bytes
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left_s = end - time.monotonic()
            if left_s <= 0 or not selector.select(min(limits.silence, left_s)):
                what = (
                    f"its answer did not end within {limits.total:g} s"
                    if left_s <= limits.silence
                    else f"it has not answered for {limits.silence:g} s"
                )
                raise UserError(f"{what}; see what it is busy with, and try again")
            block = process.stdout.read(_BLOCK)
            if not block:
                return
            left -= len(block)
            if left < 0:
                raise UserError(
                    f"its answer is longer than {limits.bytes} bytes; is it the Pi that you meant?"
                )
            yield block


def lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yields each line as it comes, also one that ends in a carriage return; none is empty.

    A line of more than `_LONGEST_LINE` bytes comes in pieces.
    """
    rest = b""
    for block in blocks:
        *whole, rest = re.split(rb"[\r\n]+", rest + block)
        if len(rest) > _LONGEST_LINE:
            whole, rest = [*whole, rest], b""
        for part in filter(None, whole):
            yield part.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


def whole_number(text: str) -> int:
    """Reads a size or a count; a Pi may answer anything.

    Raises:
        ValueError: It is not an integer from 0 to 10^15.
    """
    if not re.fullmatch("[0-9]{1,15}", text):
        raise ValueError(f"{text[:40]!r} is no size")
    return int(text)


def each_line(blocks: Iterable[bytes], take: Callable[[str], object]) -> list[str]:
    """Hands on each line, see `lines`.

    Returns:
        The last lines.
    """
    kept: deque[str] = deque(maxlen=_KEPT_LINES)
    for text in lines(blocks):
        kept.append(text)
        take(text)
    return list(kept)

"""Progress while measuring: log lines, and on a terminal one line that is redrawn."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from typing import Optional, TextIO

from bench_depth.core.screen import printable
from bench_depth.timing.measure import percentile

_BAR = 20
# Seconds between two updates: drawing must not heat or disturb what is measured.
_INTERVAL = 0.25
# The median of the last so many runs is shown.
_RECENT = 101
_CLEAR = "\r\033[K"


class ProgressScreen:
    """Writes progress to a stream; an error of the stream is ignored.

    Args:
        stream: The stream, usually standard error.
        terminal: Whether the stream is a terminal, on which a line can be redrawn.
        clock: Monotonic time source, seconds.
        width: Columns of the terminal; found out unless given.
    """

    def __init__(
        self,
        stream: TextIO,
        terminal: bool,
        clock: Callable[[], float] = time.monotonic,
        width: Optional[int] = None,
    ) -> None:
        self._stream, self._terminal, self._clock = stream, terminal, clock
        self._width = width or shutil.get_terminal_size().columns
        self._next = 0.0
        self._begin: dict[str, float] = {}
        self._drawn = False

    def log(self, line: str) -> None:
        """Writes one line of progress text."""
        self.clear()
        self._write(f"{printable(line)}\n")

    def tick(self, label: str, fraction: Callable[[], float], times_ns: Sequence[int]) -> None:
        """Redraws the progress line, unless it was drawn just before.

        Args:
            label: Name of what is measured.
            fraction: Gives the fraction that is done, 0 to 1; called only when the line is drawn.
            times_ns: Times of the runs so far, nanoseconds.
        """
        if not self._terminal:
            return
        now = self._clock()
        begin = self._begin.setdefault(label, now)
        if now < self._next:
            return
        self._next = now + _INTERVAL
        done = min(max(fraction(), 0.0), 1.0)
        bar = ("#" * round(_BAR * done)).ljust(_BAR, ".")
        median = percentile(sorted(times_ns[-_RECENT:]), 50) / 1e6
        parts = [f"[{bar}]", f"{100 * done:3.0f} %", f"{median:.2f} ms"]
        if done > 0:
            parts.append(f"{(now - begin) * (1 - done) / done:.0f} s left")
        self._write(_CLEAR + " ".join([*parts, printable(label)])[: self._width - 1])
        self._drawn = True

    def clear(self) -> None:
        """Removes the progress line."""
        if self._drawn:
            self._write(_CLEAR)
            self._drawn = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            # A full disk or a closed pipe behind standard error must not end the measuring.
            pass

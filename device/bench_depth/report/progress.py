"""What is shown while measuring: lines, and on a terminal one line that moves."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from typing import Optional, TextIO

from bench_depth.timing.measure import percentile

_BAR = 20
# Seconds between two updates: drawing must not heat or disturb what is measured.
_INTERVAL = 0.25
# The median of the last so many runs is shown.
_RECENT = 101
_CLEAR = "\r\033[K"


class Screen:
    """Writes to standard error, as long as there is one.

    Args:
        stream: Where to.
        terminal: Whether a line can be written over.
        clock: Seconds, monotonic.
        width: Columns; asked from the terminal unless given.
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

    def say(self, line: str) -> None:
        """A line that stays."""
        self.clear()
        self._write(line + "\n")

    def tick(self, label: str, fraction: Callable[[], float], times_ns: Sequence[int]) -> None:
        """Draws the line that moves, if the last time is long enough ago.

        Args:
            label: What is measured.
            fraction: How much of it is done, 0 to 1; asked only when it is drawn.
            times_ns: The runs so far.
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
        self._write(_CLEAR + " ".join([*parts, label])[: self._width - 1])
        self._drawn = True

    def clear(self) -> None:
        """Takes the line that moves away."""
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

"""Frame rate and stage times as medians over the last seconds."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Optional

STAGES = ("capture", "preprocess", "invoke", "postprocess")
WINDOW_SECONDS = 3.0
# Bounds the memory; covers the window up to 333 frames per second.
_MAX_FRAMES = 1000


class Meter:
    """Counts frames and keeps the most recent times.

    Args:
        clock: Monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._recent: deque[tuple[float, Sequence[float]]] = deque(maxlen=_MAX_FRAMES)
        self._first: Optional[float] = None
        self._last = 0.0
        self.frames = 0
        self.dropped = 0

    def add(self, times_ms: Sequence[float], latency_ms: float, dropped: int) -> None:
        """Adds one frame.

        Args:
            times_ms: Milliseconds of each stage, in the order of `STAGES`.
            latency_ms: Milliseconds from the capture of the image to its depth map.
            dropped: Number of images dropped since the previous frame.
        """
        self._last = self._clock()
        if self._first is None:
            self._first = self._last
        self.frames += 1
        self.dropped += dropped
        self._recent.append((self._last, [*times_ms, latency_ms]))

    def now(self) -> dict[str, Any]:
        """Frames per second and median milliseconds over the last 3 s; None without frames.

        `fps` is the rate of the frames that came, `possible` the rate that the stages' times allow:
        a source that gives fewer leaves the board idle.
        """
        recent = [entry for entry in self._recent if entry[0] > self._last - WINDOW_SECONDS]
        span = recent[-1][0] - recent[0][0] if len(recent) > 1 else 0.0
        medians = _medians([times for _, times in recent])
        busy_ms = sum(filter(None, medians["stages"].values()))
        return {
            "fps": (len(recent) - 1) / span if span > 0 else None,
            "possible": 1000 / busy_ms if busy_ms else None,
            **medians,
            "frames": self.frames,
            "dropped": self.dropped,
        }

    def summary(self) -> str:
        """One line about the whole run; medians are over at most the last 1000 frames."""
        if self._first is None:
            return "no frames"
        span = self._last - self._first
        rate = f", {(self.frames - 1) / span:.1f} per second" if span > 0 else ""
        medians = _medians([times for _, times in self._recent])
        stages = ", ".join(f"{stage} {medians['stages'][stage]:.1f}" for stage in STAGES)
        return (
            f"{self.frames} frames{rate}, {self.dropped} dropped; median ms: {stages}; "
            f"photo to depth {medians['latency']:.1f}"
        )


def _medians(series: Sequence[Sequence[float]]) -> dict[str, Any]:
    columns = [round(statistics.median(column), 2) for column in zip(*series)]
    if not columns:
        return {"stages": dict.fromkeys(STAGES), "latency": None}
    return {"stages": dict(zip(STAGES, columns)), "latency": columns[-1]}

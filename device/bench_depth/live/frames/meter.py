"""Frame rate and stage times as medians over the last seconds."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Optional

from bench_depth.core.screen import counted

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
        self._recent: deque[tuple[float, Sequence[float], int]] = deque(maxlen=_MAX_FRAMES)
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
        self._recent.append((self._last, [*times_ms, latency_ms], dropped))

    def now(self) -> dict[str, Any]:
        """Frames per second and median milliseconds over the last 3 s; None without frames.

        `fps` is the rate of the frames that were run, `given` that of the images of the source, the
        dropped ones too, and `possible` the rate that the stages' times allow: a source that gives
        fewer leaves the board idle.
        """
        recent = [entry for entry in self._recent if entry[0] > self._last - WINDOW_SECONDS]
        span = recent[-1][0] - recent[0][0] if len(recent) > 1 else 0.0
        images = sum(1 + dropped for _, _, dropped in recent[1:])
        medians = _medians([times for _, times, _ in recent])
        fps = (len(recent) - 1) / span if span > 0 else None
        return {
            "fps": fps,
            "given": images / span if span > 0 else None,
            "possible": _possible(medians, fps),
            **medians,
            "frames": self.frames,
            "dropped": self.dropped,
        }

    def summary(self) -> str:
        """One line about the whole run; medians are over at most the last 1000 frames."""
        if self._first is None:
            return "no frames"
        span = self._last - self._first
        medians = _medians([times for _, times, _ in self._recent])
        fps = (self.frames - 1) / span if span > 0 else None
        possible = _possible(medians, fps)
        rate = f", {fps:.1f} per second" if fps else ""
        could = f" (could do {possible:.1f})" if fps and possible and possible > fps else ""
        stages = ", ".join(f"{stage} {medians['stages'][stage]:.1f}" for stage in STAGES)
        return (
            f"{counted(self.frames, 'frame')}{rate}{could}, {self.dropped} dropped; "
            f"median ms: {stages}; photo to depth {medians['latency']:.1f}"
        )


def _possible(medians: dict[str, Any], fps: Optional[float]) -> Optional[float]:
    """Frames per second if the source gave as many; at least those that were run.

    A thread decodes the next image while the model runs, so that their times overlap.
    """
    busy_ms = sum(filter(None, medians["stages"].values()))
    return max(1000 / busy_ms, fps or 0.0) if busy_ms else None


def _medians(series: Sequence[Sequence[float]]) -> dict[str, Any]:
    columns = [round(statistics.median(column), 2) for column in zip(*series)]
    if not columns:
        return {"stages": dict.fromkeys(STAGES), "latency": None}
    return {"stages": dict(zip(STAGES, columns)), "latency": columns[-1]}

"""Reads a source: every image in order (files), or only the newest one (live)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import UserError
from bench_depth.live.frames.latest import EndedError, Latest
from bench_depth.live.source.sources import ImageSource

# Seconds without an image after which a camera is considered disconnected.
SILENCE_SECONDS = 10.0
# Seconds between two checks of the stop event, which Ctrl-C sets.
_TICK_SECONDS = 0.1


@dataclass(frozen=True)
class Shot:
    """One image as the source delivered it.

    Attributes:
        name: Name of the image, unique within the source.
        photo: HxWx3 uint8 RGB.
        captured_ns: Time of capture by `time.perf_counter_ns`, in nanoseconds.
        take_ns: Nanoseconds of decoding and colour conversion.
        dropped: Number of images dropped since the previous shot.
    """

    name: str
    photo: NDArray[np.uint8]
    captured_ns: int
    take_ns: int
    dropped: int = 0


class Pace:
    """Schedules the images of a recording, so that it plays in real time.

    Args:
        interval: Seconds between two images; None for a camera, whose images are due at once.
        clock: Monotonic clock in seconds.
    """

    def __init__(
        self, interval: Optional[float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = interval
        self._clock = clock
        self._start: Optional[float] = None
        self._count = 0

    def wait(self) -> float:
        """Seconds until the next image is due, negative when it is late; advances by one image."""
        if self._interval is None:
            return 0.0
        now = self._clock()
        if self._start is None:
            self._start = now
        due = self._start + self._count * self._interval
        self._count += 1
        return due - now


def in_order(source: ImageSource, stop: threading.Event) -> Generator[Shot, None, None]:
    """Yields every image in order until `stop` is set, then closes the source."""
    try:
        while not stop.is_set():
            shot = _next_shot(source)
            if shot is None:
                return
            yield shot
    finally:
        source.close()


def newest(source: ImageSource, stop: threading.Event) -> Generator[Shot, None, None]:
    """Yields the newest image whenever one is requested; a thread reads the source.

    Closing the iterator or setting `stop` closes the source and ends the thread.

    Raises:
        UserError: The source failed, or a camera delivered no image for 10 s.
    """
    slot: Latest[Shot] = Latest()
    ended = threading.Event()
    # A daemon, because a camera may block forever inside its driver.
    thread = threading.Thread(
        target=_read_on, args=(source, slot, ended), name="capture", daemon=True
    )
    thread.start()
    seen = 0
    silent_since = time.monotonic()
    try:
        while not stop.is_set():
            try:
                found = slot.newer(seen, _TICK_SECONDS)
            except EndedError as end:
                if end.error is not None:
                    raise end.error from None
                return
            if found is None:
                if source.interval is None and time.monotonic() - silent_since > SILENCE_SECONDS:
                    raise UserError(
                        f"{source.name} gave no photo for {SILENCE_SECONDS:g} s; check its cable "
                        "and start again"
                    )
                continue
            number, shot = found
            dropped, seen = number - seen - 1, number
            yield Shot(shot.name, shot.photo, shot.captured_ns, shot.take_ns, dropped)
            silent_since = time.monotonic()
    finally:
        ended.set()
        thread.join(timeout=2)


def _read_on(source: ImageSource, slot: Latest[Shot], ended: threading.Event) -> None:
    """Puts every image into the slot when it is due; skips images late by a whole interval."""
    pace = Pace(source.interval)
    error: Optional[Exception] = None
    try:
        while not ended.is_set():
            name = source.grab()
            if name is None:
                break
            due_in = pace.wait()
            if source.interval is not None and due_in < -source.interval:
                continue
            start = time.perf_counter_ns()
            photo = source.take()
            take_ns = time.perf_counter_ns() - start
            # The capture time of a recorded image is the time at which it is due.
            if due_in > take_ns / 1e9:
                ended.wait(due_in - take_ns / 1e9)
            slot.put(Shot(name, photo, time.perf_counter_ns() - take_ns, take_ns))
    except Exception as failure:  # Any failure is raised in the reading thread.
        error = failure
    finally:
        source.close()
        slot.close(error)


def _next_shot(source: ImageSource) -> Optional[Shot]:
    name = source.grab()
    if name is None:
        return None
    grabbed = time.perf_counter_ns()
    photo = source.take()
    return Shot(name, photo, grabbed, time.perf_counter_ns() - grabbed)

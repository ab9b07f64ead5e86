"""Photos in the order they come (files) or only the newest (live)."""

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
from bench_depth.live.source.sources import Source

# A camera that is silent for so long is taken for dead.
SILENCE_SECONDS = 10.0
# Ctrl-C is noticed so fast.
_TICK_SECONDS = 0.1


@dataclass(frozen=True)
class Shot:
    """One photo as it came from the source.

    Attributes:
        name: What the source calls it.
        photo: HxWx3 uint8 RGB.
        there_ns: When it was there, by `time.perf_counter_ns`.
        take_ns: How long decoding and converting it took.
        missed: Photos that were dropped since the shot before.
    """

    name: str
    photo: NDArray[np.uint8]
    there_ns: int
    take_ns: int
    missed: int = 0


class Pace:
    """Says when the photos of a recording are due, so that it plays at its own speed.

    Args:
        interval: Seconds between two photos; None for a camera: each is due when it is there.
        clock: Monotonic, seconds.
    """

    def __init__(
        self, interval: Optional[float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = interval
        self._clock = clock
        self._start: Optional[float] = None
        self._count = 0

    def wait(self) -> float:
        """Seconds until the next photo is due; negative when it is late. Counts it as played."""
        if self._interval is None:
            return 0.0
        now = self._clock()
        if self._start is None:
            self._start = now
        due = self._start + self._count * self._interval
        self._count += 1
        return due - now


def in_order(source: Source, stop: threading.Event) -> Generator[Shot, None, None]:
    """Every photo, each when it is asked for; ends when `stop` is set. Closes the source."""
    try:
        while not stop.is_set():
            shot = _next_shot(source)
            if shot is None:
                return
            yield shot
    finally:
        source.close()


def newest(source: Source, stop: threading.Event) -> Generator[Shot, None, None]:
    """The newest photo whenever one is asked for; a thread reads the source meanwhile.

    Closes the source and ends the thread when the iterator is closed or `stop` is set.

    Raises:
        UserError: The source failed, or a camera gave nothing for 10 s.
    """
    slot: Latest[Shot] = Latest()
    ended = threading.Event()
    # A camera may block for ever inside its driver: that must not keep the process alive.
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
            missed, seen = number - seen - 1, number
            yield Shot(shot.name, shot.photo, shot.there_ns, shot.take_ns, missed)
            silent_since = time.monotonic()
    finally:
        ended.set()
        thread.join(timeout=2)


def _read_on(source: Source, slot: Latest[Shot], ended: threading.Event) -> None:
    """Puts every photo into the slot when it is due; what is late by a whole photo is skipped."""
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
            # A recorded photo counts as there when it is due.
            if due_in > take_ns / 1e9:
                ended.wait(due_in - take_ns / 1e9)
            slot.put(Shot(name, photo, time.perf_counter_ns() - take_ns, take_ns))
    except Exception as failure:  # Whatever it is, the other thread is the one to raise it.
        error = failure
    finally:
        source.close()
        slot.close(error)


def _next_shot(source: Source) -> Optional[Shot]:
    name = source.grab()
    if name is None:
        return None
    grabbed = time.perf_counter_ns()
    photo = source.take()
    return Shot(name, photo, grabbed, time.perf_counter_ns() - grabbed)

"""What viewers see: the newest frame, and information that does not change."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Callable
from typing import Any, Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.depth import colours
from bench_depth.depth.outputs import encode as encode_image
from bench_depth.depth.scale import Scale, to_millimetres
from bench_depth.live.frames.latest import Latest
from bench_depth.live.web.message import encode
from bench_depth.machine.board import Health, read_health

HEALTH_SECONDS = 2.0
# Bits of `vcgencmd get_throttled` and their meaning while they are set.
_THROTTLE_BITS = (
    (0x1, "low voltage"),
    (0x2, "clock capped"),
    (0x4, "throttled"),
    (0x8, "too warm"),
)
_SINCE_BOOT = 0xF0000


class ViewFrame:
    """One frame, encoded once a viewer requests it, in each form; without viewers it costs nothing.

    Args:
        photo: HxWx3 uint8 RGB.
        depth: HxW float32 depth map.
        scale: Scale of `depth`.
        figures: Further JSON values, see `bench_depth.live.web.message.encode`.
    """

    def __init__(
        self,
        photo: NDArray[np.uint8],
        depth: NDArray[np.float32],
        scale: Scale,
        figures: dict[str, Any],
    ) -> None:
        self._parts = (photo, depth, scale, figures)
        self._packing = threading.Lock()
        self._packed: dict[str, bytes] = {}

    def message(self) -> bytes:
        """The frame as the page takes it, see `bench_depth.live.web.message`; thread-safe."""
        return self._once("message", lambda: encode(*self._parts))

    def distances(self) -> bytes:
        """The frame in numbers, as JSON; thread-safe.

        `time` of capture (ISO 8601, UTC), `name` of the image, `nearest`, `median` and `farthest`
        depth (null if no pixel has depth), their `unit` (`m`, or `relative` for none), `rate`, the
        frames per second (null for the first frame), and `possible_rate`, those that the board
        could do if the source gave as many.
        """
        return self._once("distances", self._distances)

    def millimetres(self) -> Optional[bytes]:
        """The depth map as a 16-bit PNG in millimetres, 0 = unknown; None if it has no unit."""
        _, depth, scale, _ = self._parts
        if scale.relative:
            return None
        fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
        return self._once("png", lambda: encode_image(".png", to_millimetres(depth), fast))

    def _distances(self) -> bytes:
        _, depth, scale, figures = self._parts
        nearest, median, farthest = scale.distances([depth])
        fps, possible = figures.get("fps"), figures.get("possible")
        value = {
            "time": figures.get("time"),
            "name": figures.get("name"),
            "nearest": nearest,
            "median": median,
            "farthest": farthest,
            "unit": "relative" if scale.relative else "m",
            "rate": None if fps is None else round(fps, 2),
            "possible_rate": None if possible is None else round(possible, 2),
        }
        return json.dumps(value, allow_nan=False).encode()

    def _once(self, what: str, make: Callable[[], bytes]) -> bytes:
        with self._packing:
            if what not in self._packed:
                self._packed[what] = make()
            return self._packed[what]


class View:
    """The state that the server serves.

    Attributes:
        run: Random identifier of this run, because the frame numbers of each run start at 1.
        frames: Slot with the newest frame.
        info: Information that does not change during the run, as JSON values.
    """

    def __init__(self) -> None:
        self.run = secrets.token_hex(4)
        self.frames: Latest[ViewFrame] = Latest()
        self.info: dict[str, Any] = {}

    def describe(self, info: dict[str, Any]) -> None:
        """Sets `info` and adds the colour map."""
        table = base64.b64encode(colours.table().tobytes()).decode()
        self.info = {**info, "colours": {"name": colours.NAME, "table": table}}


class HealthWatch:
    """Reads the temperature and throttling state of the board in a thread: it takes milliseconds.

    Args:
        read: Function that reads the board; tests replace it.
    """

    def __init__(self, read: Callable[[], Health] = read_health) -> None:
        self._read = read
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="health", daemon=True)
        self.now: dict[str, Any] = words(read())
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(HEALTH_SECONDS):
            self.now = words(self._read())


def words(health: Health) -> dict[str, Any]:
    """A reading as JSON values for the page; None where the system reports nothing."""
    flags = health.throttled
    troubles = None
    if flags is not None:
        troubles = [word for bit, word in _THROTTLE_BITS if flags & bit]
        if not troubles and flags & _SINCE_BOOT:
            troubles = ["was slowed since boot"]
    return {
        "temperature": health.temperature_c,
        "clock": health.clock_mhz,
        "troubles": troubles,
    }

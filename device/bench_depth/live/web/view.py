"""What viewers get to see: the newest frame, and what does not change."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Callable
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.live.frames import colours
from bench_depth.live.frames.latest import Latest
from bench_depth.live.frames.scale import Scale
from bench_depth.live.web.message import encode
from bench_depth.machine.board import Health, read_health

HEALTH_SECONDS = 2.0
# Bits of `vcgencmd get_throttled`, and what they mean while they are set.
_TROUBLES = (
    (0x1, "low voltage"),
    (0x2, "clock capped"),
    (0x4, "throttled"),
    (0x8, "too warm"),
)
_SINCE_BOOT = 0xF0000


class ViewFrame:
    """One frame, packed when the first viewer asks for it: without viewers it costs nothing.

    Args:
        photo: HxWx3 uint8 RGB.
        depth: HxW float32.
        scale: Of `depth`.
        figures: See `bench_depth.live.web.message.encode`.
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
        self._packed: Optional[bytes] = None

    def message(self) -> bytes:
        """The frame as bytes; any thread may ask."""
        with self._packing:
            if self._packed is None:
                self._packed = encode(*self._parts)
            return self._packed


class View:
    """What the server shows.

    Attributes:
        run: Tells this run from others, whose numbers start at 1 as well.
        frames: The newest frame.
        info: What does not change, as JSON.
    """

    def __init__(self) -> None:
        self.run = secrets.token_hex(4)
        self.frames: Latest[ViewFrame] = Latest()
        self.info: dict[str, Any] = {}

    def describe(self, info: dict[str, Any]) -> None:
        """Sets `info`, with the colours added."""
        table = base64.b64encode(colours.table().tobytes()).decode()
        self.info = {**info, "colours": {"name": colours.NAME, "table": table}}


class HealthWatch:
    """Reads the board's temperature and throttling in a thread: asking the firmware takes time.

    Args:
        read: Gives the readings; another in tests.
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
    """A reading as the page shows it; None where the system does not tell."""
    flags = health.throttled
    troubles = None
    if flags is not None:
        troubles = [word for bit, word in _TROUBLES if flags & bit]
        if not troubles and flags & _SINCE_BOOT:
            troubles = ["was slowed since boot"]
    return {
        "temperature": health.temperature_c,
        "clock": health.clock_mhz,
        "troubles": troubles,
    }

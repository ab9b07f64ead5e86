"""What viewers see: the newest frame, frames that were paused, and what does not change."""

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
from bench_depth.depth.cloud import NYU_HFOV, ply_bytes, point_cloud
from bench_depth.depth.outputs import OutputOptions, draw
from bench_depth.depth.outputs import encode as encode_image
from bench_depth.depth.scale import Scale, to_millimetres
from bench_depth.live.frames.latest import Latest
from bench_depth.live.web.message import encode, shrunk
from bench_depth.live.zones import Watch
from bench_depth.machine.board import Health, read_health
from bench_depth.model.postprocess import resize_depth

HEALTH_SECONDS = 2.0
# Bits of `vcgencmd get_throttled` and their meaning while they are set.
_THROTTLE_BITS = (
    (0x1, "low voltage"),
    (0x2, "clock capped"),
    (0x4, "throttled"),
    (0x8, "too warm"),
)
_SINCE_BOOT = 0xF0000
# Frames that are kept for viewers that paused: about 2 MB each at 640x480.
MAX_HELD = 4
_NOTHING = Watch()
_SAVED_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 92)


class ViewFrame:
    """One frame, encoded once a viewer requests it, in each form; without viewers it costs nothing.

    Args:
        photo: HxWx3 uint8 RGB.
        depth: HxW float32 depth map.
        scale: Scale of `depth`.
        figures: Further JSON values, see `bench_depth.live.web.message.encode`.
        watch: The zones that are measured, and the alarm.
        edition: Number of `watch`, so that a page can tell an earlier one.
    """

    def __init__(
        self,
        photo: NDArray[np.uint8],
        depth: NDArray[np.float32],
        scale: Scale,
        figures: dict[str, Any],
        watch: Watch = _NOTHING,
        edition: int = 0,
    ) -> None:
        self._parts = (photo, depth, scale, figures)
        self._watch, self.edition = watch, edition
        self._packing = threading.Lock()
        self._packed: dict[str, bytes] = {}

    def message(self) -> bytes:
        """The frame as the page takes it, see `bench_depth.live.web.message`; thread-safe."""
        return self._once("message", self._message)

    def watched(self, watch: Watch, edition: int) -> ViewFrame:
        """The same frame with other zones."""
        return ViewFrame(*self._parts, watch, edition)

    def distances(self) -> bytes:
        """The frame in numbers, as JSON; thread-safe.

        `time` of capture (ISO 8601, UTC), `name` of the image, `nearest`, `median` and `farthest`
        depth (null if no pixel has depth), their `unit` (`m`, or `relative` for none), `rate`, the
        frames per second (null for the first frame), `possible_rate`, those that the board could do
        if the source gave as many, and `zones` and `alarm`, see
        `bench_depth.live.zones.Watch.measure`.
        """
        return self._once("distances", self._distances)

    def millimetres(self) -> Optional[bytes]:
        """The depth map as a 16-bit PNG in millimetres, 0 = unknown; None if it has no unit."""
        _, depth, scale, _ = self._parts
        if scale.relative:
            return None
        fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
        return self._once("png", lambda: encode_image(".png", to_millimetres(depth), fast))

    def photo(self) -> bytes:
        """The photo as JPEG, at its own size."""
        return encode_image(".jpg", self._parts[0], _SAVED_JPEG)

    def still(self) -> bytes:
        """Photo and coloured depth with its scale, side by side, as JPEG."""
        photo, depth, scale, _ = self._parts
        depth = resize_depth(depth, *photo.shape[:2])
        sides = draw(photo, depth, scale, scale.ends(depth), OutputOptions(side_by_side=True))
        return encode_image(".jpg", sides, _SAVED_JPEG)

    def cloud(self, hfov: float) -> Optional[bytes]:
        """The coloured points as PLY, of the photo at most 640 pixels wide; None without metres.

        Args:
            hfov: Horizontal field of view of the camera, degrees.
        """
        photo, depth, scale, _ = self._parts
        if scale.relative:
            return None
        photo = shrunk(photo)
        return ply_bytes(point_cloud(resize_depth(depth, *photo.shape[:2]), hfov), photo)

    def _message(self) -> bytes:
        photo, depth, scale, figures = self._parts
        zones = self._watch.measure(depth, scale)
        below = {"alarm_below": self._watch.alarm, "edition": self.edition}
        return encode(photo, depth, scale, {**figures, **zones, **below})

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
            **self._watch.measure(depth, scale),
        }
        return json.dumps(value, allow_nan=False).encode()

    def _once(self, what: str, make: Callable[[], bytes]) -> bytes:
        with self._packing:
            if what not in self._packed:
                self._packed[what] = make()
            return self._packed[what]


class View:
    """The state that the server serves; thread-safe.

    Args:
        watch: The zones at the start.

    Attributes:
        run: Random identifier of this run, because the frame numbers of each run start at 1.
        frames: Slot with the newest frame.
        info: Information that does not change during the run, as JSON values.
        hfov: Horizontal field of view of the camera in degrees, for point clouds.
        watch: The zones and the alarm of the next frames.
        edition: Number of times that they were replaced.
    """

    def __init__(self, watch: Watch = _NOTHING) -> None:
        self.run = secrets.token_hex(4)
        self.frames: Latest[ViewFrame] = Latest()
        self.info: dict[str, Any] = {}
        self.hfov = NYU_HFOV
        self.watch, self.edition = watch, 0
        self._changing = threading.Lock()
        self._held: dict[str, ViewFrame] = {}

    def describe(self, info: dict[str, Any]) -> None:
        """Sets `info` and adds the colour map."""
        table = base64.b64encode(colours.table().tobytes()).decode()
        self.info = {**info, "colours": {"name": colours.NAME, "table": table}}

    def put(
        self,
        photo: NDArray[np.uint8],
        depth: NDArray[np.float32],
        scale: Scale,
        figures: dict[str, Any],
    ) -> None:
        """Makes a frame with the present zones the newest, see `ViewFrame`."""
        with self._changing:
            watch, edition = self.watch, self.edition
        self.frames.put(ViewFrame(photo, depth, scale, figures, watch, edition))

    def replace_watch(self, watch: Watch) -> int:
        """Sets the zones of the next frames; returns their edition."""
        with self._changing:
            self.watch, self.edition = watch, self.edition + 1
            return self.edition

    def hold(self, tag: str, frame: ViewFrame) -> None:
        """Keeps a frame for viewers that pause, the last `MAX_HELD` of them."""
        with self._changing:
            self._held[tag] = frame
            while len(self._held) > MAX_HELD:
                del self._held[next(iter(self._held))]

    def held(self, tag: str) -> Optional[ViewFrame]:
        """The frame that was held under `tag`, with the present zones; None if it is not there."""
        with self._changing:
            frame = self._held.get(tag)
            if frame is None or frame.edition == self.edition:
                return frame
            self._held[tag] = frame.watched(self.watch, self.edition)
            return self._held[tag]


class HealthWatch:
    """Reads temperature and throttling state of the board in a thread, as it takes milliseconds."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="health", daemon=True)
        self.now: dict[str, Any] = words(read_health())
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(HEALTH_SECONDS):
            self.now = words(read_health())


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

"""Zones of the picture with their distances, and the distance below which they raise an alarm."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import UserError
from bench_depth.core.json_text import loads
from bench_depth.core.jsonable import build
from bench_depth.core.screen import printable
from bench_depth.depth.scale import Scale

MAX_ZONES = 16
MAX_NAME = 40
# Bytes of a posted list of zones: 16 of them take about 5 kB.
MAX_BYTES = 16384
# The fractions of a rectangle up to an edge may add up to a little more than 1.
_SLACK = 1e-6


@dataclass(frozen=True)
class Zone:
    """A named rectangle of the picture.

    Attributes:
        name: Unique name, 1 to 40 printable characters.
        x: Left edge, as a fraction of the picture's width.
        y: Upper edge, as a fraction of its height.
        width: Width, as a fraction of the picture's width.
        height: Height, as a fraction of its height.
    """

    name: str
    x: float
    y: float
    width: float
    height: float

    def of(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """The part of an HxW depth map that the zone covers, at least one pixel; a view."""
        rows = _span(self.y, self.height, depth.shape[0])
        return depth[rows, _span(self.x, self.width, depth.shape[1])]


@dataclass(frozen=True)
class Watch:
    """What is measured in each frame.

    Attributes:
        zones: At most `MAX_ZONES` zones with different names.
        alarm: Distance in metres; nearer depth raises an alarm. None for no alarm.
    """

    zones: tuple[Zone, ...] = ()
    alarm: Optional[float] = None

    def measure(self, depth: NDArray[np.float32], scale: Scale) -> dict[str, Any]:
        """The state of the zones in one depth map, as JSON values.

        Args:
            depth: HxW float32 depth map.
            scale: Scale of `depth`.

        Returns:
            `zones`: of each its fields, `nearest` and `median` depth (null if no pixel of it has
            depth), and `alarm`: whether something is nearer than the threshold. `alarm`: whether
            any zone raises it; without zones, whether the picture does.
        """
        zones = []
        for zone in self.zones:
            nearest, median, _ = scale.distances([zone.of(depth)])
            found = {"nearest": nearest, "median": median, "alarm": self._alarms(nearest)}
            zones.append({**asdict(zone), **found})
        whole = not zones and self.alarm is not None
        alarm = whole and self._alarms(scale.distances([depth])[0])
        return {"zones": zones, "alarm": alarm or any(zone["alarm"] for zone in zones)}

    def _alarms(self, nearest: Optional[float]) -> bool:
        return nearest is not None and self.alarm is not None and nearest < self.alarm


def make_watch(zones: Iterable[Zone], alarm: Optional[float], relative: bool = False) -> Watch:
    """Checks zones and threshold.

    Args:
        zones: The zones.
        alarm: Distance in metres; None for no alarm.
        relative: Whether the depth has no unit.

    Raises:
        UserError: A zone is outside the picture, a name is used twice or not printable, there are
            too many zones, or the threshold is no distance.
    """
    watch = Watch(tuple(zones), alarm)
    if len(watch.zones) > MAX_ZONES:
        raise UserError(f"there are {len(watch.zones)} zones; the most is {MAX_ZONES}")
    names = set()
    for zone in watch.zones:
        _check_zone(zone)
        if zone.name in names:
            raise UserError(f"two zones are named {zone.name}; give each a name of its own")
        names.add(zone.name)
    if alarm is not None and not 0 < alarm < math.inf:
        raise UserError(f"an alarm at {alarm:g} m is impossible; give a distance above 0")
    if alarm is not None and relative:
        raise UserError(
            "an alarm needs metres, and the model gives relative depth; leave the alarm out, or "
            "describe the model with --unit"
        )
    return watch


def parse_zone(text: str) -> Zone:
    """Parses a zone as `--zone` takes it, `NAME=x,y,w,h`.

    Raises:
        UserError: The text is of another form.
    """
    name, _, numbers = text.rpartition("=")
    try:
        x, y, width, height = map(float, numbers.split(","))
    except ValueError as error:
        raise UserError(
            f"--zone {text!r} is not NAME=x,y,w,h with fractions of the picture's width and "
            "height, like door=0.1,0.2,0.3,0.5"
        ) from error
    return Zone(name.strip(), x, y, width, height)


def parse_posted(body: bytes, relative: bool) -> Watch:
    """Parses zones and threshold as the page posts them.

    Args:
        body: JSON: `zones`, a list of objects with the fields of `Zone`, and `alarm`, metres or
            null.
        relative: Whether the depth has no unit.

    Raises:
        UserError: The text is not that, or `make_watch` refuses it.
    """
    try:
        posted = build(_Posted, loads(body, MAX_BYTES))
    except ValueError as error:
        raise UserError(f"these are no zones: {error}") from error
    return make_watch(posted.zones, posted.alarm, relative)


@dataclass(frozen=True)
class _Posted:
    zones: list[Zone]
    alarm: Optional[float] = None


def _check_zone(zone: Zone) -> None:
    name = zone.name
    if not 0 < len(name) <= MAX_NAME or not name.strip() or printable(name) != name:
        raise UserError(
            f"a zone needs a name of 1 to {MAX_NAME} printable characters, not {name!r}"
        )
    for start, size in ((zone.x, zone.width), (zone.y, zone.height)):
        # Not a number fails every comparison.
        if not (start >= 0 and size > 0 and start + size <= 1 + _SLACK):
            edges = ",".join(f"{v:g}" for v in (zone.x, zone.y, zone.width, zone.height))
            raise UserError(
                f"the zone {name}={edges} is not inside the picture; x, y, width and height are "
                "fractions of it, with x + width and y + height at most 1"
            )


def _span(start: float, size: float, pixels: int) -> slice:
    first = min(int(start * pixels), pixels - 1)
    # Rounded, because 0.1 + 0.2 is a little more than 0.3.
    return slice(first, max(first + 1, math.ceil(round((start + size) * pixels, 6))))

"""The shell of a room, what hangs on its walls, and where furniture fits."""

# Builders all take their place, draw, look and measures in this order.

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from mathutils import Matrix

from scene.objects import walls
from scene.objects.lamps import DAY, light
from scene.primitives.geometry import Frame, Size
from scene.primitives.look import Look

THICK = 0.14
Rect = tuple[float, float, float, float]
Builder = Callable[[Frame, random.Random, Look, Size], None]


@dataclass
class Opening:
    """A hole in a wall, in the wall's own frame: x0..x1 along it, z0..z1 up."""

    x0: float
    x1: float
    z0: float
    z1: float


@dataclass
class Wall:
    """One wall: its frame (x along, y into the room), length, and what is taken.

    `taken` holds intervals along the wall with the height from which on the wall is free.
    """

    frame: Frame
    length: float
    openings: list[Opening] = field(default_factory=list)
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def free(self, x0: float, x1: float, z0: float, z1: float) -> bool:
        """Whether the rectangle lies on the wall and meets nothing."""
        if x0 < 0.03 or x1 > self.length - 0.03:
            return False
        return not any(x0 < b and a < x1 and z0 < d and c < z1 for a, b, c, d in self.taken)


class Room:
    """A box-shaped room, x in 0..w, y in 0..d, z in 0..h metres, floor at z = 0."""

    def __init__(self, rng: random.Random, look: Look, size: Size) -> None:
        self.rng, self.look = rng, look
        self.w, self.d, self.h = size
        self.footprints: list[Rect] = []
        self.daylight = True
        self.brightness = (0.4, 0.5)
        turns = (
            (0.0, 0.0, 0.0, self.w),
            (self.w, self.d, math.pi, self.w),
            (0.0, self.d, -math.pi / 2, self.d),
            (self.w, 0.0, math.pi / 2, self.d),
        )
        base = Frame(Matrix.Identity(4), "shell")
        self.walls = [Wall(base.at(x, y, 0, yaw), length) for x, y, yaw, length in turns]
        self.base = base

    def build_shell(self, feature: set[int], dado: bool) -> None:
        """Adds floor, ceiling, walls around their openings, and skirting boards."""
        look = self.look
        self.base.box(
            (-THICK, -THICK, -THICK),
            (self.w + 2 * THICK, self.d + 2 * THICK, THICK),
            look.floor,
            0,
            "x" if self.w > self.d else "y",
        )
        self.base.box(
            (-THICK, -THICK, self.h),
            (self.w + 2 * THICK, self.d + 2 * THICK, THICK),
            look.ceiling,
            0,
            "x",
        )
        for index, wall in enumerate(self.walls):
            surface = look.feature if index in feature else look.wall
            for x0, x1, z0, z1 in _around(wall, self.h):
                wall.frame.box((x0, -THICK, z0), (x1 - x0, THICK, z1 - z0), surface, 0, "x")
            for x0, x1 in _gaps(wall):
                wall.frame.box((x0, 0, 0), (x1 - x0, 0.014, 0.09), look.trim, 0.004, "x")
                if dado:
                    wall.frame.box(
                        (x0, 0, self.h - 0.06), (x1 - x0, 0.03, 0.06), look.white, 0.012, "x"
                    )

    def place(
        self,
        name: str,
        builder: Builder,
        size: Size,
        on: list[int] | None = None,
        clear: float = 0.0,
        gap: float = 0.02,
        corner: bool = False,
    ) -> Frame | None:
        """Puts a piece with its back to a wall, where it fits, and builds it.

        Args:
            name: Owner of the parts.
            builder: Builds the piece in the frame it is given.
            size: Width, depth, height it takes.
            on: Indices of the walls to try; all four if not given.
            clear: Room to leave free in front of it.
            gap: Distance from the wall.
            corner: Whether to try the wall's ends first.

        Returns:
            The frame used, None when there is no room for it.
        """
        w, d, h = size
        order = list(on if on is not None else range(4))
        self.rng.shuffle(order)
        for index in order:
            wall = self.walls[index]
            tries = [
                self.rng.uniform(w / 2 + 0.04, max(w / 2 + 0.04, wall.length - w / 2 - 0.04))
                for _ in range(14)
            ]
            if corner:
                tries = [w / 2 + 0.05, wall.length - w / 2 - 0.05, *tries]
            for x in tries:
                frame = wall.frame.at(x, gap)
                if wall.free(x - w / 2, x + w / 2, 0, h) and self.fits(frame, w, d + clear):
                    self.take(frame, w, d)
                    wall.taken.append((x - w / 2, x + w / 2, 0, h))
                    named = Frame(frame.matrix, name)
                    builder(named, self.rng, self.look, size)
                    return named
        return None

    def place_free(
        self,
        name: str,
        builder: Builder,
        size: Size,
        spot: tuple[float, float] | None = None,
        spread: float = 0.15,
        yaw: float | None = None,
        margin: float = 0.25,
    ) -> bool:
        """Puts a piece on open floor (centre near `spot`, room's middle if None) and builds it."""
        w, d, _ = size
        rng = self.rng
        for attempt in range(24):
            cx, cy = spot or (self.w / 2, self.d / 2)
            reach = spread * (1 + attempt / 6)
            cx += rng.uniform(-reach, reach)
            cy += rng.uniform(-reach, reach)
            turn = rng.choice([0, math.pi / 2, math.pi, -math.pi / 2]) if yaw is None else yaw
            centre = self.base.at(cx, cy, 0, turn)
            frame = Frame(centre.at(0, -d / 2).matrix, name)
            if self.fits(frame, w + 2 * margin, d + margin):
                self.take(frame, w, d)
                builder(frame, rng, self.look, size)
                return True
        return False

    def hang(
        self, name: str, builder: Builder, size: Size, low: float, on: list[int] | None = None
    ) -> Frame | None:
        """Hangs a piece on a wall, its lower edge at height `low`."""
        w, _, h = size
        order = list(on if on is not None else range(4))
        self.rng.shuffle(order)
        for index in order:
            wall = self.walls[index]
            for _ in range(12):
                x = self.rng.uniform(w / 2 + 0.1, max(w / 2 + 0.1, wall.length - w / 2 - 0.1))
                if wall.free(x - w / 2 - 0.08, x + w / 2 + 0.08, low - 0.05, low + h + 0.03):
                    wall.taken.append((x - w / 2, x + w / 2, low, low + h))
                    frame = Frame(wall.frame.at(x, 0, low).matrix, name)
                    builder(frame, self.rng, self.look, size)
                    return frame
        return None

    def window(
        self, index: int, width: float, height: float, sill: float, sky: float, curtains: str
    ) -> bool:
        """Cuts a window in wall `index` with daylight of power `sky` per square metre."""
        wall = self.walls[index]
        for _ in range(20):
            x0 = self.rng.uniform(0.35, max(0.35, wall.length - width - 0.35))
            x1 = x0 + width
            if x1 < wall.length - 0.2 and wall.free(x0 - 0.25, x1 + 0.25, sill, sill + height):
                break
        else:
            return False
        wall.openings.append(Opening(x0, x1, sill, sill + height))
        wall.taken.append((x0 - 0.22, x1 + 0.22, sill - 0.1, sill + height + 0.2))
        frame = Frame(wall.frame.at((x0 + x1) / 2, 0, sill).matrix, "window")
        walls.window_frame(frame, self.rng, self.look, width, height)
        if sky > 0:
            out = frame.at(0, -THICK - 0.05, height / 2).tilt(math.pi / 2)
            lamp = light(out, "AREA", sky * width * height, DAY, size=width, size_y=height)
            lamp.visible_camera = False
            lamp.visible_glossy = False
        if curtains != "none":
            walls.curtain(
                Frame(frame.matrix, "curtain"), self.rng, self.look, width, height, sill, curtains
            )
        return True

    def door(self, index: int) -> bool:
        """Puts a door in wall `index`."""
        wall = self.walls[index]
        width, height = 0.86, 2.03
        for _ in range(20):
            x = self.rng.uniform(
                width / 2 + 0.15, max(width / 2 + 0.15, wall.length - width / 2 - 0.15)
            )
            frame = wall.frame.at(x, 0)
            if wall.free(x - 0.55, x + 0.55, 0, height + 0.1) and self.fits(frame, 0.9, 0.7):
                break
        else:
            return False
        wall.taken.append((x - 0.5, x + 0.5, 0, height + 0.1))
        self.footprints.append(_rect(frame, 0.9, 0.65))
        walls.door(Frame(frame.matrix, "door"), self.rng, self.look, width, height)
        return True

    def fits(self, frame: Frame, w: float, d: float) -> bool:
        """Whether -w/2..w/2 x 0..d of the frame is inside the room and free."""
        x0, y0, x1, y1 = _rect(frame, w, d)
        if x0 < -0.03 or y0 < -0.03 or x1 > self.w + 0.03 or y1 > self.d + 0.03:
            return False
        return not any(x0 < c and a < x1 and y0 < e and b < y1 for a, b, c, e in self.footprints)

    def take(self, frame: Frame, w: float, d: float) -> None:
        """Marks -w/2..w/2 x 0..d of the frame as taken."""
        self.footprints.append(_rect(frame, w, d))


def _rect(frame: Frame, w: float, d: float) -> Rect:
    """World x0, y0, x1, y1 of the local rectangle -w/2..w/2, 0..d."""
    corners = [frame.at(x, y).matrix.translation for x in (-w / 2, w / 2) for y in (0, d)]
    xs, ys = [c.x for c in corners], [c.y for c in corners]
    return min(xs) + 1e-4, min(ys) + 1e-4, max(xs) - 1e-4, max(ys) - 1e-4


def _around(wall: Wall, height: float) -> list[Rect]:
    """Cuts the wall into rectangles (x0, x1, z0, z1) that leave its openings free."""
    pieces, x = [], -THICK
    for hole in sorted(wall.openings, key=lambda o: o.x0):
        pieces.append((x, hole.x0, 0.0, height))
        pieces.append((hole.x0, hole.x1, 0.0, hole.z0))
        pieces.append((hole.x0, hole.x1, hole.z1, height))
        x = hole.x1
    pieces.append((x, wall.length + THICK, 0.0, height))
    return [p for p in pieces if p[1] - p[0] > 1e-6 and p[3] - p[2] > 1e-6]


def _gaps(wall: Wall) -> list[tuple[float, float]]:
    """Intervals of the wall's foot that are free of doors."""
    doors = sorted(
        (a, b) for a, b, low, high in wall.taken if low == 0 and 2.0 < high < 2.2 and b - a == 1.0
    )
    edges = [0.0, *[v for a, b in doors for v in (a + 0.02, b - 0.02)], wall.length]
    return list(zip(edges[::2], edges[1::2], strict=True))

"""The last touches: loose things, rugs, what hangs on the walls that are left, ceiling lamps."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from mathutils import Matrix

from scene.objects import clutter, lamps
from scene.objects import walls as on_wall
from scene.primitives.geometry import Frame, Size
from scene.primitives.look import Look
from scene.room import Builder, Room


def loose(
    room: Room, count: int, kinds: tuple[str, ...] = ("plant", "plant", "carton", "bin", "suitcase")
) -> None:
    """Plants, cartons, bins and suitcases where there is room."""

    def pot(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
        clutter.plant(frame.at(0, 0.22), rng, look, size[2])

    def small(make: Callable[[Frame, random.Random, Look], None]) -> Builder:
        return lambda frame, rng, look, size: make(frame, rng, look)

    for _ in range(count):
        kind = room.rng.choice(kinds)
        if kind == "plant":
            room.place(kind, pot, (0.45, 0.45, room.rng.uniform(0.5, 1.4)), corner=True)
        else:
            make = {"carton": clutter.carton, "bin": clutter.bin_, "suitcase": clutter.suitcase}[
                kind
            ]
            room.place(kind, small(make), (0.5, 0.46, 0.5), corner=room.rng.random() < 0.5)


def rug(room: Room, frame: Frame, w: float, d: float) -> None:
    """A rug 8 mm thick, inside the room."""
    x, y, _ = frame.matrix.translation
    turned = abs(math.sin(frame.matrix.to_euler().z)) > 0.5
    half_x, half_y = (d / 2, w / 2) if turned else (w / 2, d / 2)
    x0, x1 = max(0.1, x - half_x), min(room.w - 0.1, x + half_x)
    y0, y1 = max(0.1, y - half_y), min(room.d - 0.1, y + half_y)
    if room.rng.random() < 0.8 and x1 > x0 and y1 > y0:
        rug = Frame(Matrix.Identity(4), "rug")
        rug.box((x0, y0, 0), (x1 - x0, y1 - y0, 0.008), room.look.rug(), 0.003)


def walls(room: Room, kind: str) -> None:
    """Pictures, shelves, mirrors, radiators on the walls that are left."""
    rng = room.rng
    room.place("radiator", on_wall.radiator, (rng.uniform(0.7, 1.3), 0.11, 0.62))
    if kind == "bathroom":
        room.hang("picture", on_wall.painting, (0.3, 0.03, 0.4), 1.4)
        return
    if kind != "corridor":
        room.hang(
            "shelf", on_wall.wall_shelf, (rng.uniform(0.7, 1.1), 0.22, 0.35), rng.uniform(1.35, 1.6)
        )
    for _ in range(rng.randint(3, 6)):
        w = rng.uniform(0.3, 0.95)
        room.hang(
            "picture",
            on_wall.painting,
            (w, 0.03, w * rng.choice([0.7, 1.0, 1.35])),
            rng.uniform(1.2, 1.45),
        )
    if rng.random() < 0.4:
        room.hang("clock", on_wall.clock, (rng.uniform(0.25, 0.36), 0.04, 0.36), 1.75)
    if rng.random() < 0.4:
        room.hang(
            "mirror", on_wall.mirror, (rng.uniform(0.45, 0.7), 0.03, rng.uniform(0.7, 1.1)), 0.95
        )


def ceiling(room: Room, kind: str, lighting: str) -> None:
    """Ceiling lamps, lit as `lighting` says."""
    rng, look = room.rng, room.look
    lit = {"day": 0.0, "mixed": 40.0, "ceiling": 90.0, "evening": 0.0}[lighting]
    middle = Frame(room.base.at(room.w / 2, room.d / 2, room.h).matrix, "ceiling lamp")
    if kind in ("office", "corridor", "bathroom") or (kind == "kitchen" and rng.random() < 0.5):
        across = 1 if room.w < 3.2 else 2
        along = max(1, round(room.d / 2.4))
        size = rng.choice([(0.6, 0.6), (0.3, 1.2), (0.4, 0.4)])
        for i in range(across):
            for j in range(along):
                place = room.base.at(
                    (i + 0.5) * room.w / across, (j + 0.5) * room.d / along, room.h
                )
                lamps.panel(
                    Frame(place.matrix, "ceiling lamp"),
                    look,
                    size,
                    lit * 1.6 / (across * along) ** 0.5,
                )
    else:
        lamps.pendant(middle, rng, look, lit, min(0.9, room.h - 1.95))

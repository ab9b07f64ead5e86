"""What belongs to a wall: windows, curtains, doors, pictures, mirrors, shelves, radiators, coats.

Frames as in furniture; hanging pieces have z = 0 at their lower edge.
"""

# Builders all take their place, draw, look and measures in this order.

from __future__ import annotations

import math
import random

from scene.objects import clutter
from scene.primitives import cloth as soft
from scene.primitives.geometry import Frame, Size
from scene.primitives.look import Look
from scene.primitives.materials import srgb


def window_frame(frame: Frame, rng: random.Random, look: Look, w: float, h: float) -> None:
    """Frame, bars and sill of a window; without a pane, so that one measures through."""
    bar = 0.055
    y, deep = -0.09, 0.05
    for x in (-w / 2, w / 2 - bar):
        frame.box((x, y, 0), (bar, deep, h), look.white)
    for z in (0, h - bar):
        frame.box((-w / 2 + bar, y + 0.002, z), (w - 2 * bar, deep - 0.004, bar), look.white)
    for i in range(1, max(2, round(w / 0.6))):
        frame.box(
            (-w / 2 + i * w / max(2, round(w / 0.6)) - bar / 2, y + 0.004, bar),
            (bar, deep - 0.008, h - 2 * bar),
            look.white,
        )
    if rng.random() < 0.4:
        frame.box(
            (-w / 2 + bar, y + 0.006, h * 0.62), (w - 2 * bar, deep - 0.012, bar * 0.7), look.white
        )
    frame.box((-w / 2 - 0.05, -0.06, -0.03), (w + 0.1, 0.2, 0.03), look.white, 0.006)


def curtain(
    frame: Frame, rng: random.Random, look: Look, w: float, h: float, sill: float, kind: str
) -> None:
    """Curtains at both sides, or a half-closed blind."""
    if kind == "blind":
        drop = h * rng.uniform(0.15, 0.6)
        for i in range(int(drop / 0.045)):
            slat = frame.at(0, -0.02, h - 0.03 - i * 0.045).tilt(rng.uniform(0.5, 0.6))
            slat.box((-w / 2 + 0.02, -0.02, 0), (w - 0.04, 0.04, 0.002), look.white, 0)
        return
    top, foot = h + 0.12, (-sill + 0.03 if rng.random() < 0.6 else -0.15)
    frame.rod((-w / 2 - 0.3, 0.09, top), (w / 2 + 0.3, 0.09, top), 0.012, look.brass)
    for side in (-1, 1):
        wide = rng.uniform(0.25, 0.45)
        phase = rng.uniform(0, 6)

        def fall(
            u: float, v: float, side: int = side, wide: float = wide, phase: float = phase
        ) -> tuple[float, float, float]:
            folds = 0.03 * math.sin(v * wide * 70 + phase + 0.6 * math.sin(3 * u))
            x = side * (w / 2 + 0.2 - wide * v * (1 - 0.15 * math.sin(math.pi * u)))
            return (x, 0.09 + folds, top - (top - foot) * u)

        frame.sheet(fall, 12, 60, look.curtain)


def door(frame: Frame, rng: random.Random, look: Look, w: float, h: float) -> None:
    """A closed panelled door with its architrave, 2 cm in front of the wall."""
    leaf = rng.choice([look.white, look.wood, look.body])
    for x in (-w / 2 - 0.07, w / 2):
        frame.box((x, 0, 0), (0.07, 0.03, h), look.trim)
    frame.box((-w / 2 - 0.08, 0, h), (w + 0.16, 0.035, 0.07), look.trim)
    frame.box((-w / 2, 0, 0.005), (w, 0.012, h - 0.005), leaf, 0.002)
    for z, tall in ((0.15, 0.7), (1.02, 0.85)):
        for x in (-w / 2 + 0.11, 0.05):
            frame.box((x, 0.012, z), (w / 2 - 0.16, 0.008, tall), leaf, 0.006)
    frame.rod((w / 2 - 0.07, 0.01, 1.02), (w / 2 - 0.07, 0.06, 1.02), 0.011, look.steel)
    frame.rod((w / 2 - 0.07, 0.055, 1.02), (w / 2 - 0.19, 0.055, 1.02), 0.01, look.steel)


def painting(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """A framed picture, with or without a mount."""
    w, _, h = size
    rim = rng.uniform(0.015, 0.04)
    frame.box(
        (-w / 2, 0, 0),
        (w, 0.025, h),
        rng.choice([look.black, look.wood, look.brass, look.white]),
        0.004,
    )
    frame.box((-w / 2 + rim, 0.0245, rim), (w - 2 * rim, 0.001, h - 2 * rim), look.linen, 0)
    mount = rng.choice([0.0, 0.06]) + rim
    frame.box(
        (-w / 2 + mount, 0.0252, mount), (w - 2 * mount, 0.001, h - 2 * mount), look.picture(), 0
    )


def clock(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """A round wall clock."""
    r = size[0] / 2
    face = frame.at(0, 0, r).tilt(-math.pi / 2)
    face.lathe(
        [(r, 0), (r, 0.035), (r * 0.93, 0.035), (r * 0.92, 0.02), (0, 0.02)],
        look.white,
        segments=48,
    )
    face.lathe(
        [(r * 1.02, 0), (r * 1.02, 0.04), (r * 0.93, 0.041), (r * 0.93, 0.036)],
        look.accent(),
        segments=48,
    )
    for length, angle in ((0.5, rng.uniform(0, 6)), (0.75, rng.uniform(0, 6))):
        face.rod(
            (0, 0, 0.025),
            (length * r * math.cos(angle), length * r * math.sin(angle), 0.025),
            0.006,
            look.black,
        )


def mirror(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """A framed mirror."""
    w, _, h = size
    frame.box((-w / 2, 0, 0), (w, 0.02, h), rng.choice([look.wood, look.black, look.brass]))
    frame.box((-w / 2 + 0.03, 0.0195, 0.03), (w - 0.06, 0.001, h - 0.06), look.mirror, 0)


def wall_shelf(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """A board with things on it; the board is at the frame's z = 0."""
    w, d, _ = size
    frame.box((-w / 2, 0, 0), (w, d, 0.025), look.wood_2)
    if rng.random() < 0.5:
        clutter.book_row(frame.at(-w / 2 + 0.03, 0.01, 0.025), rng, look, w * 0.55, 0.28, d)
        clutter.scatter(frame.at(w * 0.3, 0, 0.025), rng, look, w * 0.35, d, 1)
    else:
        clutter.scatter(frame.at(0, 0, 0.025), rng, look, w, d, 3)


def radiator(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """A ribbed radiator 0.12 m above the floor."""
    w, d, h = size
    count = max(4, int(w / 0.06))
    for i in range(count):
        frame.box(
            (-w / 2 + i * w / count, 0.03, 0.12),
            (w / count * 0.8, d - 0.03, h - 0.12),
            look.white,
            0.012,
        )
    for z in (0.16, h - 0.05):
        frame.box((-w / 2, d * 0.5, z), (w, 0.02, 0.03), look.white)


def coats(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """A rail with coats; the frame is the rail's height minus the coats' length."""
    w, _, h = size
    frame.box((-w / 2, 0, h - 0.12), (w, 0.02, 0.1), look.wood)
    for i in range(4):
        x = -w / 2 + (i + 0.5) * w / 4
        frame.rod((x, 0.02, h - 0.07), (x, 0.09, h - 0.05), 0.01, look.steel)
        if rng.random() < 0.75:
            tall = rng.uniform(0.6, h - 0.1)
            frame.cushion(
                (x - 0.15, 0.03, h - 0.08 - tall), (0.3, 0.17, tall), look.cloth(0.8), 3.2, 0, 0.0
            )


def whiteboard(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """A whiteboard or pin board with notes."""
    w, _, h = size
    board = look.white if rng.random() < 0.6 else soft.cloth(srgb("b08a5c"), srgb("8f6b42"))
    frame.box((-w / 2, 0, 0), (w, 0.02, h), look.steel)
    frame.box((-w / 2 + 0.02, 0.0195, 0.02), (w - 0.04, 0.002, h - 0.04), board, 0)
    for _ in range(rng.randint(4, 9)):
        place = frame.at(
            rng.uniform(-w / 2 + 0.08, w / 2 - 0.3), 0.022, rng.uniform(0.06, h - 0.3)
        ).tilt(rng.uniform(-0.08, 0.08), "Y")
        place.box(
            (0, 0, 0),
            (rng.uniform(0.08, 0.21), 0.001, rng.uniform(0.08, 0.26)),
            rng.choice([look.linen, look.accent(), look.picture()]),
            0,
        )

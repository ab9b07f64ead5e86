"""Beds, seats and tables. Frames: x to the right, y from the wall (0) into the room, z up.

Every builder fills width w (centred on x = 0), depth d and height h, in metres.
"""

from __future__ import annotations

import math
import random

from scene.objects import clutter
from scene.primitives.geometry import Frame, Size
from scene.primitives.look import Look


def bed(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Bed with headboard, mattress, duvet and pillows; `h` is the headboard's height."""
    w, d, h = size
    rim = rng.uniform(0.25, 0.32)
    if rng.random() < 0.5:
        frame.cushion((-w / 2, 0, 0.1), (w, 0.12, h - 0.1), look.sofa, 9)
    else:
        frame.box((-w / 2, 0, 0), (w, 0.05, h), look.wood, 0.012)
    frame.box((-w / 2, 0.05, rim - 0.16), (w, d - 0.05, 0.16), look.wood, 0.01)
    for x in (-w / 2 + 0.06, w / 2 - 0.12):
        frame.box((x, d - 0.12, 0), (0.06, 0.06, rim - 0.16), look.wood)
    frame.cushion((-w / 2 + 0.02, 0.1, rim - 0.02), (w - 0.04, d - 0.13, 0.22), look.linen, 12)
    top = rim + 0.14
    fold = rng.uniform(0.55, 0.8)
    frame.cushion(
        (-w / 2 - 0.03, fold, rim - 0.03),
        (w + 0.06, d - fold + 0.02, 0.33),
        look.bedding,
        7,
        0.0,
        0.022,
        rng.uniform(0, 9),
    )
    frame.cushion(
        (-w / 2 - 0.025, fold - 0.12, top),
        (w + 0.05, 0.4, 0.18),
        look.linen,
        5,
        0.0,
        0.01,
        rng.uniform(0, 9),
    )
    count = 2 if w > 1.2 else 1
    for i in range(count):
        x = -w / 2 + (i + 0.5) * w / count
        place = frame.at(x, 0.3, top + 0.04, rng.uniform(-0.15, 0.15)).tilt(rng.uniform(0.15, 0.45))
        place.cushion(
            (-0.32, -0.2, -0.02), (0.64, 0.44, 0.17), look.linen, 4, 0.75, 0.01, rng.uniform(0, 9)
        )
    if rng.random() < 0.6:
        place = frame.at(rng.uniform(-0.2, 0.2), 0.55, top + 0.12, rng.uniform(-0.4, 0.4)).tilt(0.6)
        place.cushion((-0.2, -0.2, -0.05), (0.4, 0.4, 0.15), look.cloth(0.2), 4, 0.75)


def sofa(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Sofa or armchair by its width; `h` is the back's height."""
    w, d, h = size
    arm = rng.uniform(0.14, 0.24)
    seat = rng.uniform(0.4, 0.46)
    for x in (-w / 2 + 0.06, w / 2 - 0.06):
        for y in (0.06, d - 0.08):
            frame.rod((x, y, 0), (x, y, 0.13), 0.018, look.wood, 0.026)
    frame.box((-w / 2 + 0.02, 0.02, 0.12), (w - 0.04, d - 0.05, seat - 0.28), look.sofa, 0.03)
    for x in (-w / 2, w / 2 - arm):
        frame.cushion((x, 0, 0.12), (arm, d - 0.02, seat + 0.05), look.sofa, 8)
    frame.cushion((-w / 2 + arm * 0.5, 0, 0.12), (w - arm, 0.24, h - 0.12), look.sofa, 8)
    inner = w - 2 * arm
    count = max(1, round(inner / 0.72))
    for i in range(count):
        x = -inner / 2 + i * inner / count
        frame.cushion(
            (x, 0.16, seat - 0.17),
            (inner / count, d - 0.16, 0.2),
            look.sofa,
            7,
            0.12,
            0.006,
            rng.uniform(0, 9),
        )
        place = frame.at(x + inner / count / 2, 0.3, seat + 0.02).tilt(0.2)
        place.cushion(
            (-inner / count / 2, -0.1, 0),
            (inner / count, 0.2, h - seat - 0.02),
            look.sofa,
            5,
            0.1,
            0.008,
            rng.uniform(0, 9),
        )
    for _ in range(rng.randint(1, 2 + count)):
        x = rng.uniform(-inner / 2 + 0.2, inner / 2 - 0.2) if inner > 0.8 else 0.0
        place = frame.at(x, 0.5, seat + 0.03, rng.uniform(-0.5, 0.5)).tilt(1.15)
        place.cushion((-0.21, 0, -0.07), (0.42, 0.4, 0.15), look.cloth(0.3), 4, 0.8)
    if rng.random() < 0.35 and w > 1.2:
        throw(frame.at(rng.choice([-1, 1]) * inner * 0.3, 0), rng, look, d, seat)


def throw(frame: Frame, rng: random.Random, look: Look, d: float, seat: float) -> None:
    """A blanket over the front edge of a seat."""
    phase = rng.uniform(0, 9)
    path = [
        (d * 0.45, seat + 0.045),
        (d * 0.75, seat + 0.055),
        (d - 0.03, seat + 0.045),
        (d + 0.02, seat - 0.03),
        (d + 0.025, 0.2),
    ]

    def cover(u: float, v: float) -> tuple[float, float, float]:
        place = u * (len(path) - 1)
        i = min(int(place), len(path) - 2)
        part = place - i
        y = path[i][0] * (1 - part) + path[i + 1][0] * part
        z = path[i][1] * (1 - part) + path[i + 1][1] * part
        ripple = 0.012 * (1 + math.sin(28 * v + phase))
        return (
            (v - 0.5) * 0.55,
            y + (ripple if u > 0.6 else 0),
            z + (ripple * 0.5 if u <= 0.6 else 0),
        )

    frame.sheet(cover, 16, 24, look.cloth(0.2))


def table(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Table with four legs, or round on a foot, with things on it."""
    w, d, h = size
    metal = rng.random() < 0.3
    top = 0.03
    if rng.random() < 0.25 and abs(w - d) < 0.3:
        r = min(w, d) / 2
        place = frame.at(0, d / 2)
        place.lathe(
            [(0, h - top), (r - 0.01, h - top), (r, h - top / 2), (r - 0.01, h), (0, h)],
            look.wood,
            segments=48,
        )
        place.rod((0, 0, 0.02), (0, 0, h - top), 0.05, look.wood, 0.035)
        place.lathe([(0, 0), (r * 0.6, 0), (r * 0.6, 0.02), (0.06, 0.05), (0, 0.05)], look.wood)
    else:
        frame.box((-w / 2, 0, h - top), (w, d, top), look.wood, 0.006)
        leg = 0.035 if metal else 0.055
        for x in (-w / 2 + 0.04, w / 2 - 0.04 - leg):
            for y in (0.04, d - 0.04 - leg):
                frame.box((x, y, 0), (leg, leg, h - top), look.black if metal else look.wood)
        for y in (0.05, d - 0.07):
            frame.box(
                (-w / 2 + 0.08, y, h - top - 0.07),
                (w - 0.16, 0.02, 0.07),
                look.black if metal else look.wood,
            )
    clutter.scatter(frame.at(0, 0, h), rng, look, w * 0.75, d, rng.randint(2, 4))


def chair(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Dining chair that looks to -y (towards a table in front of it)."""
    w, d, _ = size
    seat, back = 0.45, 0.88
    wood = look.wood_2
    hw = w / 2 - 0.03
    for x in (-hw, hw):
        frame.rod((x, 0.03, 0), (x * 0.96, 0.05, seat), 0.014, wood, 0.02)
        frame.rod((x, d, 0), (x * 0.95, d - 0.05, seat), 0.014, wood, 0.02)
        frame.rod((x * 0.95, d - 0.05, seat), (x * 0.95, d + 0.03, back), 0.02, wood, 0.014)
    if look.rng.random() < 0.5:
        frame.cushion((-w / 2, 0, seat - 0.02), (w, d - 0.02, 0.07), look.sofa, 6)
    else:
        frame.box((-w / 2, 0, seat - 0.01), (w, d - 0.02, 0.025), wood, 0.01)
    for z in (0.62, 0.72, 0.82):
        y = d - 0.05 + 0.08 * (z - seat) / (back - seat)
        frame.box((-hw, y - 0.008, z), (2 * hw, 0.016, 0.05), wood, 0.005, "x")


def dining(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Table with chairs around it, inside w x d."""
    w, d, h = size
    tw, td = w - 0.5, d - 1.0
    table(frame.at(0, 0.5), rng, look, (tw, td, h))
    per_side = max(1, int(tw / 0.65))
    for i in range(per_side):
        x = -tw / 2 + (i + 0.5) * tw / per_side
        gap = rng.uniform(-0.12, 0.18)
        chair(
            frame.at(x, 0.5 + td - 0.05 + gap, 0, rng.uniform(-0.2, 0.2)),
            rng,
            look,
            (0.43, 0.42, 0.9),
        )
        gap = rng.uniform(-0.12, 0.18)
        chair(
            frame.at(x, 0.55 - gap, 0, math.pi + rng.uniform(-0.2, 0.2)),
            rng,
            look,
            (0.43, 0.42, 0.9),
        )


def coffee_table(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Low table with a shelf."""
    w, d, h = size
    table(frame, rng, look, size)
    if rng.random() < 0.5:
        frame.box((-w / 2 + 0.06, 0.06, h * 0.35), (w - 0.12, d - 0.12, 0.015), look.wood)
        clutter.book_pile(frame.at(0.1, d / 2, h * 0.35 + 0.015), rng, look)

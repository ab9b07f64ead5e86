"""Kitchen and bathroom: counters, cooker, fridge, bath, basin, toilet. Frames as in furniture."""

# Builders all take their place, draw, look and measures in this order.

from __future__ import annotations

import itertools
import math
import random

from scene.objects import clutter
from scene.objects.storage import fronts
from scene.primitives.geometry import Frame, Size
from scene.primitives.look import Look


def counter(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """A run of kitchen units: base, worktop, tiles, sink, hob with hood, wall units."""
    w, d, h = size
    frame.box((-w / 2, 0, 0), (w, d - 0.07, 0.1), look.black)
    frame.box((-w / 2, 0, 0.1), (w, d - 0.04, h - 0.14), look.coat)
    units = max(2, round(w / 0.6))
    wide = w / units
    oven = rng.randrange(units)
    for i in range(units):
        place = frame.at(-w / 2 + (i + 0.5) * wide, d - 0.04, 0.1)
        if i == oven:
            _oven(place, look, wide, h - 0.15)
        elif rng.random() < 0.4:
            fronts(place, look, (wide, h - 0.15), 3, 1, "bar")
        else:
            fronts(place, look, (wide, h - 0.15), 1, 1, "bar", doors=True)
    frame.box((-w / 2 - 0.01, 0, h - 0.04), (w + 0.02, d + 0.01, 0.04), look.top, 0.005)
    frame.box((-w / 2, 0, h), (w, 0.008, 0.55), look.splashback(), 0)
    _hob(frame.at(-w / 2 + (oven + 0.5) * wide, 0, h), rng, look, d)
    sink_at = (oven + units // 2) % units
    if sink_at != oven:
        _sink(frame.at(-w / 2 + (sink_at + 0.5) * wide, 0, h), look, d)
    _wall_units(frame, rng, look, w, units, oven)
    for i in range(units):
        if i not in (oven, sink_at):
            place = frame.at(-w / 2 + (i + 0.5) * wide, 0.05, h)
            rng.choice([_kettle, _board, _jars])(place, rng, look)


def _oven(frame: Frame, look: Look, w: float, h: float) -> None:
    frame.box((-w / 2 + 0.003, 0, 0.003), (w - 0.006, 0.022, h - 0.006), look.steel)
    frame.box((-w / 2 + 0.05, 0.0215, 0.12), (w - 0.1, 0.003, h - 0.32), look.dark_glass, 0.001)
    frame.rod((-w / 2 + 0.07, 0.055, h - 0.16), (w / 2 - 0.07, 0.055, h - 0.16), 0.01, look.steel)
    for i in range(4):
        x = -w / 2 + (i + 1) * w / 5
        frame.rod((x, 0.02, h - 0.06), (x, 0.05, h - 0.06), 0.02, look.black)


def _hob(frame: Frame, rng: random.Random, look: Look, d: float) -> None:
    frame.box((-0.27, 0.06, 0), (0.54, d - 0.12, 0.008), look.dark_glass, 0.002)
    for x in (-0.13, 0.13):
        for y in (0.18, d - 0.18):
            frame.lathe(
                [(0.09, 0.0085), (0.085, 0.0095), (0.07, 0.0095), (0.065, 0.0085)],
                look.steel,
                (x, y, 0),
            )
    if rng.random() < 0.8:
        r = rng.uniform(0.085, 0.11)
        pot = frame.at(-0.13, 0.2, 0.009)
        metal = rng.choice([look.steel, look.accent()])
        pot.lathe([(0, 0), (r, 0), (r, 0.13), (r + 0.006, 0.13), (0.02, 0.155), (0, 0.155)], metal)
        clutter.ball(pot.at(0, 0, 0.15), 0.016, look.black)
        pot.rod((r, 0, 0.1), (r + 0.14, 0.03, 0.11), 0.01, look.black)


def _sink(frame: Frame, look: Look, d: float) -> None:
    frame.box((-0.24, 0.09, 0.0), (0.48, d - 0.17, 0.006), look.steel, 0.002)
    frame.box((-0.2, 0.13, 0.0062), (0.4, d - 0.25, 0.001), look.dark_glass, 0)
    frame.rod((0, 0.06, 0), (0, 0.06, 0.28), 0.014, look.steel)
    points = [
        (0.06 + 0.09 * (1 - math.cos(a)), 0.28 + 0.09 * math.sin(a))
        for a in (0, 0.8, 1.57, 2.35, 3.1)
    ]
    for (y0, z0), (y1, z1) in itertools.pairwise(points):
        frame.rod((0, y0, z0), (0, y1, z1), 0.012, look.steel)
    clutter.vase(frame.at(0.3, 0.09), look.rng, look)


def _wall_units(
    frame: Frame, rng: random.Random, look: Look, w: float, units: int, oven: int
) -> None:
    wide = w / units
    base = 1.42
    for i in range(units):
        x = -w / 2 + (i + 0.5) * wide
        place = frame.at(x, 0, base)
        if i == oven:
            place.box((-wide / 2 + 0.01, 0, 0.15), (wide - 0.02, 0.45, 0.06), look.steel)
            place.box((-0.13, 0, 0.21), (0.26, 0.28, 0.6), look.steel)
        elif rng.random() < 0.75:
            place.box((-wide / 2, 0, 0), (wide, 0.32, 0.7), look.coat)
            fronts(place.at(0, 0.32), look, (wide, 0.7), 1, 1, "bar", doors=True)
        else:
            for z in (0.05, 0.38):
                place.box((-wide / 2, 0, z), (wide, 0.25, 0.025), look.wood_2)
                clutter.scatter(place.at(0, 0, z + 0.025), rng, look, wide, 0.25, 2)


def _kettle(frame: Frame, rng: random.Random, look: Look) -> None:
    place = frame.at(0, 0.2)
    metal = rng.choice([look.steel, look.accent()])
    place.lathe([(0, 0), (0.085, 0), (0.085, 0.03), (0.06, 0.2), (0.02, 0.23), (0, 0.23)], metal)
    place.rod((0.06, 0, 0.2), (0.12, 0, 0.19), 0.01, look.black)
    place.rod((0.12, 0, 0.19), (0.1, 0, 0.05), 0.01, look.black)


def _board(frame: Frame, rng: random.Random, look: Look) -> None:
    frame.tilt(-0.15).box((-0.14, 0.02, 0.02), (0.28, 0.02, 0.36), look.wood_2, 0.008)
    clutter.bowl(frame.at(0.05, 0.3), rng, look)


def _jars(frame: Frame, rng: random.Random, look: Look) -> None:
    for i in range(3):
        r, h = 0.045, 0.12 + 0.03 * i
        place = frame.at(-0.13 + i * 0.11, 0.12)
        place.lathe([(0, 0), (r, 0), (r, h), (0, h)], look.accent())
        place.lathe([(r, h), (r, h + 0.02), (0, h + 0.02)], look.wood_2)
    clutter.mug(frame.at(0.1, 0.35), rng, look)


def fridge(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Fridge with two doors and notes on it."""
    w, d, h = size
    skin = rng.choice([look.steel, look.white, look.white, look.accent()])
    frame.box((-w / 2, 0, 0.03), (w, d - 0.06, h - 0.03), skin, 0.01)
    for z, tall in ((0.04, h * 0.4 - 0.05), (h * 0.4, h * 0.6)):
        frame.box((-w / 2, d - 0.055, z), (w, 0.055, tall), skin, 0.015)
        frame.rod(
            (-w / 2 + 0.05, d + 0.035, z + tall * 0.3),
            (-w / 2 + 0.05, d + 0.035, z + tall * 0.7),
            0.01,
            look.steel,
        )
    for _ in range(4):
        place = frame.at(
            rng.uniform(-0.05, w / 2 - 0.15), d + 0.001, rng.uniform(1.1, h - 0.3)
        ).tilt(rng.uniform(-0.1, 0.1), "Y")
        place.box(
            (0, 0, 0), (rng.uniform(0.06, 0.12), 0.001, rng.uniform(0.06, 0.15)), look.accent(), 0
        )


def bath(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Bath tub with a tiled front and taps."""
    w, d, h = size
    frame.box((-w / 2, d - 0.05, 0), (w, 0.05, h - 0.02), look.feature)
    frame.box((-w / 2, 0, 0), (0.05, d - 0.05, h - 0.02), look.feature)
    frame.box((w / 2 - 0.05, 0, 0), (0.05, d - 0.05, h - 0.02), look.feature)

    def tub(u: float, v: float) -> tuple[float, float, float]:
        angle = 2 * math.pi * v
        profile = [
            (1.0, 0.0),
            (0.995, 0.02),
            (0.88, 0.02),
            (0.82, -0.05),
            (0.7, -0.4),
            (0.0, -0.42),
        ]
        place = u * 5
        i = min(int(place), 4)
        part = place - i
        r, z = (profile[i][k] * (1 - part) + profile[i + 1][k] * part for k in (0, 1))
        power = 0.25 if r > 0.9 else 0.55
        c, s = math.cos(angle), math.sin(angle)
        return (
            w / 2 * r * math.copysign(abs(c) ** power, c),
            d / 2 + d / 2 * r * math.copysign(abs(s) ** power, s),
            h + z,
        )

    frame.sheet(tub, 20, 64, look.ceramic)
    frame.box((-w / 2, 0, h - 0.04), (w, d * 0.09, 0.05), look.ceramic, 0.015)
    frame.rod((w / 2 - 0.3, 0.02, h + 0.12), (w / 2 - 0.3, 0.16, h + 0.1), 0.018, look.steel)
    frame.rod((w / 2 - 0.3, 0.05, h + 0.1), (w / 2 - 0.3, 0.03, h + 1.2), 0.009, look.steel)
    frame.rod((w / 2 - 0.3, 0.03, h + 1.2), (w / 2 - 0.3, 0.2, h + 1.15), 0.02, look.steel, 0.05)
    for i in range(3):
        clutter.ball(
            frame.at(-w / 2 + 0.12 + i * 0.09, 0.04, h + 0.01),
            rng.uniform(0.025, 0.035),
            look.accent(),
        )


def basin(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Washbasin on a cabinet with a mirror above."""
    w, d, h = size
    frame.box((-w / 2, 0, 0.2), (w, d - 0.02, h - 0.24), look.body)
    fronts(frame.at(0, d - 0.02, 0.2), look, (w, h - 0.25), 1, 2, "bar", doors=True)
    frame.box((-w / 2 - 0.01, 0, h - 0.04), (w + 0.02, d + 0.01, 0.035), look.top)
    r = min(0.2, d * 0.42)
    frame.lathe(
        [(0, 0), (r * 0.6, 0), (r, 0.12), (r * 0.95, 0.125), (r * 0.6, 0.03), (0, 0.025)],
        look.ceramic,
        (0, d / 2 + 0.02, h - 0.005),
        40,
    )
    frame.rod((0, 0.05, h), (0, 0.05, h + 0.2), 0.014, look.steel)
    frame.rod((0, 0.05, h + 0.19), (0, 0.18, h + 0.17), 0.012, look.steel)
    frame.lathe(
        [(0, 0), (0.03, 0), (0.03, 0.12), (0.01, 0.13), (0.01, 0.17)],
        look.accent(),
        (w / 2 - 0.1, d / 2, h),
    )
    clutter.mug(frame.at(-w / 2 + 0.1, d / 2, h), rng, look)
    frame.box((-w / 2, 0, 1.15), (w, 0.12, 0.7), look.white)
    frame.box((-w / 2 + 0.02, 0.12, 1.17), (w - 0.04, 0.004, 0.66), look.mirror, 0)


def toilet(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Toilet with cistern and seat."""
    _, d, _ = size
    frame.box((-0.19, 0, 0.4), (0.38, 0.18, 0.4), look.ceramic, 0.03)
    frame.rod((0, 0.09, 0.8), (0, 0.09, 0.81), 0.03, look.steel)
    centre = (0.0, d * 0.58, 0.0)
    frame.lathe(
        [
            (0, 0),
            (0.13, 0),
            (0.12, 0.1),
            (0.15, 0.25),
            (0.19, 0.39),
            (0.18, 0.4),
            (0.14, 0.36),
            (0, 0.25),
        ],
        look.ceramic,
        centre,
        40,
        1.25,
    )
    frame.lathe([(0.195, 0.4), (0.2, 0.41), (0.19, 0.43), (0, 0.435)], look.white, centre, 40, 1.25)
    frame.box((-0.15, 0.15, 0.05), (0.3, 0.2, 0.34), look.ceramic, 0.03)


def towels(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Towel radiator with towels; hangs 0.5 m above the floor."""
    w, _, h = size
    for x in (-w / 2, w / 2):
        frame.rod((x, 0.06, 0.4), (x, 0.06, h), 0.018, look.white)
    for i in range(12):
        z = 0.45 + i * (h - 0.5) / 11
        frame.rod((-w / 2, 0.06, z), (w / 2, 0.06, z), 0.011, look.white)
    frame.cushion(
        (-w / 2 + 0.05, 0.04, h * 0.55), (w - 0.1, 0.08, h * 0.35), look.cloth(), 9, 0, 0.0
    )

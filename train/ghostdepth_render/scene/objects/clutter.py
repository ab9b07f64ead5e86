"""Small things: books, mugs, vases, plants, lamps, boxes. Each stands on its frame's z = 0."""

# Builders all take their place, draw, look and measures in this order.

from __future__ import annotations

import math
import random

import bpy

from scene.primitives import cloth as soft
from scene.primitives.geometry import Frame
from scene.primitives.look import Look
from scene.primitives.materials import srgb


def mug(frame: Frame, rng: random.Random, look: Look) -> None:
    """A mug with a handle."""
    material = look.accent()
    radius, height = rng.uniform(0.035, 0.045), rng.uniform(0.08, 0.11)
    wall = 0.005
    frame.lathe(
        [
            (0, 0),
            (radius, 0),
            (radius, height),
            (radius - wall, height),
            (radius - wall, 0.01),
            (0, 0.01),
        ],
        material,
    )

    def handle(u: float, v: float) -> tuple[float, float, float]:
        along, around = math.pi * (u - 0.5), 2 * math.pi * v
        reach = 0.028 + 0.006 * math.cos(around)
        return (
            radius + reach * math.cos(along),
            0.006 * math.sin(around),
            height / 2 + reach * math.sin(along),
        )

    frame.sheet(handle, 8, 8, material)


def vase(frame: Frame, rng: random.Random, look: Look) -> None:
    """A turned vase or bottle."""
    height, belly = rng.uniform(0.14, 0.36), rng.uniform(0.05, 0.09)
    neck = belly * rng.uniform(0.3, 0.7)
    profile = []
    for i in range(13):
        t = i / 12
        radius = neck + (belly - neck) * math.sin(math.pi * min(1.0, 0.25 + t)) ** 2
        profile.append((radius, height * t))
    frame.lathe([(0, 0), *profile, (neck * 0.7, height), (neck * 0.7, height * 0.6)], look.accent())


def bowl(frame: Frame, rng: random.Random, look: Look) -> None:
    """A bowl with fruit."""
    radius = rng.uniform(0.11, 0.16)
    curve = [
        (radius * math.sin(a * math.pi / 16), radius * 0.6 * (1 - math.cos(a * math.pi / 16)))
        for a in range(9)
    ]
    frame.lathe(
        [*curve, (radius * 0.94, radius * 0.6), *[(r * 0.92, z + 0.006) for r, z in curve[::-1]]],
        look.accent(),
    )
    for i in range(5):
        angle = i * 1.26
        size = rng.uniform(0.03, 0.04)
        ball(
            frame.at(radius * 0.5 * math.cos(angle), radius * 0.5 * math.sin(angle), radius * 0.2),
            size,
            look.accent(),
        )


def ball(frame: Frame, radius: float, material: bpy.types.Material) -> None:
    """A sphere that rests on z = 0."""
    arc = [
        (radius * math.sin(math.pi * i / 14), radius * (1 - math.cos(math.pi * i / 14)))
        for i in range(15)
    ]
    frame.lathe(arc, material, segments=24)


def book_pile(frame: Frame, rng: random.Random, look: Look) -> None:
    """A few books lying on each other."""
    z = 0.0
    for _ in range(rng.randint(2, 5)):
        thick, width, length = (
            rng.uniform(0.015, 0.04),
            rng.uniform(0.14, 0.2),
            rng.uniform(0.2, 0.28),
        )
        turned = frame.at(rng.uniform(-0.01, 0.01), 0, z, rng.uniform(-0.35, 0.35))
        turned.box((-width / 2, -length / 2, 0), (width, length, thick), look.accent(), 0.003)
        turned.box(
            (-width / 2 + 0.004, -length / 2 - 0.001, 0.003),
            (width, length + 0.002, thick - 0.006),
            look.linen,
            0.001,
        )
        z += thick


def book_row(
    frame: Frame, rng: random.Random, look: Look, width: float, height: float, depth: float
) -> None:
    """Books upright from x = 0 to `width`; the last ones lean."""
    x = 0.0
    covers = [look.accent() for _ in range(6)]
    while x < width - 0.05:
        thick = rng.uniform(0.015, 0.05)
        tall = height * rng.uniform(0.6, 0.93)
        deep = depth * rng.uniform(0.6, 0.85)
        if x + thick > width:
            break
        place = frame.at(x, 0)
        if rng.random() < 0.08 and x + thick + 0.08 < width:
            place, thick_used = place.at(0.06, 0).tilt(-0.2, "Y"), thick + 0.07
        else:
            thick_used = thick
        place.box((0, 0, 0), (thick - 0.001, deep, tall), rng.choice(covers), 0.003)
        place.box(
            (0.0005, deep * 0.9, tall * 0.7),
            (thick - 0.002, deep * 0.1 + 0.0008, tall * 0.1),
            look.linen,
            0,
        )
        x += thick_used


def plant(frame: Frame, rng: random.Random, look: Look, height: float) -> None:
    """A pot plant with arching leaves, `height` metres tall with its pot."""
    pot = min(0.2, 0.22 * height)
    rim = pot * 0.75
    frame.lathe(
        [(0, 0), (rim * 0.7, 0), (rim, pot * 1.6), (rim * 0.9, pot * 1.6), (rim * 0.9, pot * 1.4)],
        rng.choice([look.accent(), look.white, look.coat]),
    )
    frame.lathe([(rim * 0.93, pot * 1.42), (0, pot * 1.45)], look.soil)
    base = pot * 1.4
    count = rng.randint(14, 26)
    slender = rng.uniform(0.06, 0.2)
    for i in range(count):
        yaw = i * 2.4 + rng.uniform(-0.3, 0.3)
        length = (height - base) * rng.uniform(0.6, 1.05)
        reach = length * rng.uniform(0.25, 0.75)
        droop = rng.uniform(0.0, 0.5) * length

        def blade(
            u: float, v: float, length: float = length, reach: float = reach, droop: float = droop
        ) -> tuple[float, float, float]:
            wide = slender * length * math.sin(math.pi * min(1.0, 0.08 + 0.92 * u)) ** 0.8
            side = (v - 0.5) * wide
            return (reach * u, side, length * u - droop * u**3 + abs(side) * 0.35)

        frame.at(0, 0, base, yaw).sheet(blade, 8, 4, look.leaf)


def carton(frame: Frame, rng: random.Random, look: Look) -> None:
    """A cardboard box, a basket or a crate."""
    w, d, h = rng.uniform(0.25, 0.5), rng.uniform(0.25, 0.4), rng.uniform(0.18, 0.4)
    place = frame.at(0, d / 2 + 0.05, 0, rng.uniform(-0.3, 0.3))
    kind = rng.choice(["carton", "basket", "crate"])
    if kind == "carton":
        card = soft.cloth(srgb("b08a5c"), srgb("8f6b42"))
        place.box((-w / 2, -d / 2, 0), (w, d, h), card, 0.003)
        place.box((-0.03, -d / 2 - 0.001, 0), (0.06, d + 0.002, h + 0.001), look.linen, 0)
    elif kind == "basket":
        weave = soft.cloth(srgb("a9865a"), srgb("6f5232"), "check")
        r = w / 2
        place.lathe(
            [
                (0, 0),
                (r * 0.8, 0),
                (r, h * 0.6),
                (r * 0.95, h),
                (r * 0.9, h),
                (r * 0.8, 0.05),
                (0, 0.05),
            ],
            weave,
        )
        place.cushion(
            (-r * 0.75, -r * 0.75, h * 0.55),
            (r * 1.5, r * 1.5, h * 0.6),
            look.cloth(),
            3,
            0.4,
            0.02,
        )
    else:
        slat = h / 4
        for i in range(3):
            for y in (-d / 2, d / 2 - 0.012):
                place.box((-w / 2, y, i * slat * 1.35), (w, 0.012, slat), look.wood_2)
            for x in (-w / 2, w / 2 - 0.012):
                place.box((x, -d / 2, i * slat * 1.35), (0.012, d, slat), look.wood_2)
        place.box((-w / 2, -d / 2, 0.0), (w, d, 0.012), look.wood_2)
        for _ in range(4):
            ball(
                place.at(rng.uniform(-w / 4, w / 4), rng.uniform(-d / 4, d / 4), 0.02),
                rng.uniform(0.04, 0.07),
                look.accent(),
            )


def bin_(frame: Frame, rng: random.Random, look: Look) -> None:
    """A waste-paper bin."""
    r, h = rng.uniform(0.11, 0.15), rng.uniform(0.26, 0.36)
    frame.at(0, r + 0.05).lathe(
        [(0, 0), (r * 0.8, 0), (r, h), (r * 0.96, h), (r * 0.77, 0.02), (0, 0.02)], look.accent()
    )


def suitcase(frame: Frame, rng: random.Random, look: Look) -> None:
    """An upright suitcase on wheels."""
    w, d, h = rng.uniform(0.36, 0.48), 0.24, rng.uniform(0.5, 0.7)
    place = frame.at(0, 0.06, 0.04, rng.uniform(-0.2, 0.2))
    place.box((-w / 2, 0, 0), (w, d, h), look.accent(), 0.04)
    for i in range(4):
        place.box(
            (-w / 2 + (i + 0.6) * w / 4.4, -0.004, 0.06),
            (0.02, d + 0.008, h - 0.12),
            look.black,
            0.004,
        )
    for x in (-w / 2 + 0.05, w / 2 - 0.05):
        place.rod((x, 0.05, -0.04), (x, 0.05, 0.02), 0.02, look.black)
        place.rod((x, d - 0.05, -0.04), (x, d - 0.05, 0.02), 0.02, look.black)
    place.rod((-0.1, d / 2, h), (-0.1, d / 2, h + 0.1), 0.008, look.steel)
    place.rod((0.1, d / 2, h), (0.1, d / 2, h + 0.1), 0.008, look.steel)
    place.box((-0.12, d / 2 - 0.014, h + 0.1), (0.24, 0.028, 0.025), look.black, 0.008)


def scatter(
    frame: Frame, rng: random.Random, look: Look, width: float, depth: float, count: int
) -> None:
    """Small things on a top `width` x `depth` whose back edge is y = 0."""
    slots = list(range(max(1, int(width / 0.24))))
    rng.shuffle(slots)
    for slot in slots[:count]:
        x = -width / 2 + (slot + 0.5) * width / max(1, int(width / 0.24))
        y = depth * rng.uniform(0.35, 0.65)
        place = frame.at(x, y, 0, rng.uniform(-3, 3))
        kind = rng.choice(["mug", "vase", "bowl", "books", "plant", "photo"])
        if kind == "mug":
            mug(place, rng, look)
        elif kind == "vase":
            vase(place, rng, look)
        elif kind == "bowl" and depth > 0.34:
            bowl(place, rng, look)
        elif kind == "books" and depth > 0.3:
            book_pile(place, rng, look)
        elif kind == "plant":
            plant(place, rng, look, rng.uniform(0.2, 0.4))
        else:
            photo = frame.at(x, y, 0, rng.uniform(-0.4, 0.4)).tilt(0.2)
            photo.box((-0.07, 0, 0), (0.14, 0.015, 0.19), look.wood_2)
            photo.box((-0.055, 0.0155, 0.015), (0.11, 0.001, 0.16), look.picture(), 0)

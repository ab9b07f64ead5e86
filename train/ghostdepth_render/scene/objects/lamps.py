"""Lamps: the fitting one sees and the light it gives. Powers in watts of Cycles' radiometry."""

from __future__ import annotations

import random

import bpy

from scene.objects import clutter
from scene.primitives import cloth as soft
from scene.primitives.geometry import Frame
from scene.primitives.look import Look
from scene.primitives.materials import Colour, srgb

WARM: Colour = (1.0, 0.66, 0.38)
NEUTRAL: Colour = (1.0, 0.86, 0.7)
DAY: Colour = (0.82, 0.9, 1.0)


def light(
    frame: Frame, kind: str, power: float, colour: Colour, **settings: float
) -> bpy.types.Object:
    """Adds a lamp object of `kind` (POINT, AREA, SUN) at the frame; it shines along -z."""
    data = bpy.data.lights.new("light", kind)
    data.energy = power
    data.color = colour
    if kind == "AREA":
        data.shape = "RECTANGLE"
    for name, value in settings.items():
        setattr(data, name, value)
    thing = bpy.data.objects.new("light", data)
    thing.matrix_world = frame.matrix
    bpy.context.scene.collection.objects.link(thing)
    return thing


def table_lamp(frame: Frame, rng: random.Random, look: Look, lit: float) -> None:
    """A lamp with a shade, about 0.45 m; `lit` is its power, 0 when off."""
    tall = rng.uniform(0.25, 0.35)
    body = rng.choice([look.accent(), look.brass, look.ceramic])
    belly = rng.uniform(0.03, 0.08)
    frame.lathe(
        [
            (0, 0),
            (0.07, 0),
            (0.07, 0.015),
            (0.02, 0.03),
            (belly, tall * 0.4),
            (0.015, tall * 0.8),
            (0.01, tall),
        ],
        body,
    )
    _shade(frame.at(0, 0, tall - 0.04), rng.uniform(0.11, 0.15), rng.uniform(0.07, 0.11), 0.2, lit)


def floor_lamp(frame: Frame, rng: random.Random, look: Look, lit: float) -> None:
    """A standing lamp, about 1.6 m."""
    place = frame.at(0, 0.2)
    metal = rng.choice([look.brass, look.black, look.steel])
    tall = rng.uniform(1.3, 1.5)
    place.lathe([(0, 0), (0.15, 0), (0.15, 0.02), (0.02, 0.03), (0, 0.03)], metal)
    place.rod((0, 0, 0.02), (0, 0, tall + 0.1), 0.011, metal)
    _shade(place.at(0, 0, tall - 0.05), rng.uniform(0.18, 0.23), rng.uniform(0.12, 0.18), 0.28, lit)


def _shade(frame: Frame, low: float, high: float, tall: float, lit: float) -> None:
    linen = soft.lampshade(srgb("e8dcc4"))
    frame.lathe([(low, 0), (high, tall)], linen, segments=40)
    if lit > 0:
        light(frame.at(0, 0, tall * 0.45), "POINT", lit, WARM, shadow_soft_size=0.04)


def pendant(frame: Frame, rng: random.Random, look: Look, lit: float, drop: float) -> None:
    """A lamp that hangs `drop` metres below the frame (the ceiling)."""
    metal = rng.choice([look.accent(), look.black, look.brass])
    frame.rod((0, 0, -drop + 0.15), (0, 0, 0), 0.004, look.black)
    frame.lathe([(0.05, -0.03), (0.05, 0)], look.white)
    kind = rng.choice(["bell", "globe", "drum"])
    if kind == "bell":
        r = rng.uniform(0.14, 0.22)
        frame.lathe(
            [(0, -drop + 0.2), (0.03, -drop + 0.19), (r * 0.6, -drop + 0.12), (r, -drop)],
            metal,
            segments=40,
        )
        globe(frame.at(0, 0, -drop + 0.02), 0.05, lit)
    elif kind == "globe":
        globe(frame.at(0, 0, -drop), rng.uniform(0.11, 0.17), lit)
    else:
        _shade(frame.at(0, 0, -drop), 0.22, 0.22, 0.22, lit)


def globe(frame: Frame, radius: float, lit: float) -> None:
    """An opal ball of light resting on the frame's z = 0."""
    clutter.ball(frame, radius, soft.glow((0.9, 0.88, 0.84), 3.0 if lit > 0 else 0.0))
    thing = bpy.context.scene.collection.objects[-1]
    thing.visible_shadow = False
    if lit > 0:
        light(frame.at(0, 0, radius), "POINT", lit, NEUTRAL, shadow_soft_size=radius)


def panel(frame: Frame, look: Look, size: tuple[float, float], lit: float) -> None:
    """A flat ceiling panel; the frame is on the ceiling."""
    w, d = size
    frame.box((-w / 2 - 0.02, -d / 2 - 0.02, -0.03), (w + 0.04, d + 0.04, 0.03), look.white)
    frame.box(
        (-w / 2, -d / 2, -0.032),
        (w, d, 0.004),
        soft.glow((0.9, 0.9, 0.88), 4.0 if lit > 0 else 0.0),
        0,
    )
    if lit > 0:
        light(frame.at(0, 0, -0.036), "AREA", lit, NEUTRAL, size=w, size_y=d)

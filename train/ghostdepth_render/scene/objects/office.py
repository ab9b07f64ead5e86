"""Desk and swivel chair. Frames and sizes as in furniture."""

from __future__ import annotations

import math
import random

from scene.objects import clutter
from scene.objects.storage import drawers
from scene.primitives import cloth as soft
from scene.primitives.geometry import Frame, Size
from scene.primitives.look import Look


def desk(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Desk with monitor, keyboard, papers and mug."""
    w, d, h = size
    frame.box((-w / 2, 0, h - 0.028), (w, d, 0.028), look.wood, 0.005)
    for x in (-w / 2 + 0.03, w / 2 - 0.07):
        frame.box((x, 0.05, 0), (0.04, d - 0.1, 0.02), look.black)
        frame.box((x, d * 0.4, 0.02), (0.04, 0.06, h - 0.05), look.black)
    if w > 1.15:
        drawers(
            frame.at(w / 2 - 0.3, 0.05), rng, look, (0.4, d - 0.12, h - 0.06), rows=3, columns=1
        )
    screens = 2 if w > 1.5 and rng.random() < 0.5 else 1
    for i in range(screens):
        x = (i - (screens - 1) / 2) * 0.58 - 0.08
        place = frame.at(x, 0.22, h, rng.uniform(-0.12, 0.12) - (i - (screens - 1) / 2) * -0.25)
        place.box((-0.12, -0.09, 0), (0.24, 0.18, 0.012), look.black)
        place.box((-0.02, -0.02, 0), (0.04, 0.03, 0.2), look.black)
        place.box((-0.27, 0.0, 0.12), (0.54, 0.035, 0.33), look.black, 0.006)
        image = (
            soft.screen(rng.random(), rng.uniform(0.8, 1.8))
            if rng.random() < 0.7
            else look.dark_glass
        )
        place.box((-0.258, 0.034, 0.135), (0.516, 0.002, 0.305), image, 0)
    frame.box((-0.3, d - 0.22, h), (0.43, 0.14, 0.018), look.black, 0.006)
    frame.box((-0.29, d - 0.21, h + 0.018), (0.41, 0.12, 0.004), look.coat, 0.002)
    frame.cushion((0.2, d - 0.2, h), (0.06, 0.1, 0.035), look.black, 2.5)
    clutter.mug(frame.at(-w / 2 + 0.12, d * 0.6, h), rng, look)
    for i in range(3):
        frame.at(-w / 2 + 0.3, d * 0.35, h + i * 0.004, rng.uniform(-0.5, 0.5)).box(
            (-0.1, -0.14, 0), (0.21, 0.29, 0.003), look.linen, 0
        )
    if rng.random() < 0.6:
        clutter.book_pile(frame.at(w / 2 - 0.18, 0.25, h), rng, look)


def office_chair(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Swivel chair."""
    place = frame.at(0, size[1] / 2, 0, rng.uniform(-0.8, 0.8) + math.pi)
    for i in range(5):
        a = i * 2 * math.pi / 5
        place.rod(
            (0, 0, 0.12), (0.28 * math.cos(a), 0.28 * math.sin(a), 0.075), 0.024, look.black, 0.016
        )
        clutter.ball(place.at(0.28 * math.cos(a), 0.28 * math.sin(a)), 0.03, look.black)
    place.rod((0, 0, 0.1), (0, 0, 0.46), 0.026, look.steel)
    place.cushion((-0.25, -0.24, 0.44), (0.5, 0.48, 0.1), look.sofa, 5)
    place.box((-0.03, -0.27, 0.44), (0.06, 0.03, 0.3), look.black)
    back = place.at(0, -0.24, 0.58).tilt(0.12)
    back.cushion((-0.22, -0.05, 0), (0.44, 0.09, rng.uniform(0.45, 0.65)), look.sofa, 5)
    for x in (-0.27, 0.27):
        place.rod((x, -0.1, 0.48), (x, -0.1, 0.68), 0.014, look.black)
        place.box((x - 0.03, -0.16, 0.68), (0.06, 0.26, 0.03), look.black, 0.01)

"""Drawers, cupboards, wardrobes, shelves. Frames and sizes as in furniture."""

# Builders all take their place, draw, look and measures in this order.

from __future__ import annotations

import random

from scene.objects import clutter
from scene.objects.lamps import table_lamp
from scene.primitives import cloth as soft
from scene.primitives.geometry import Frame, Size
from scene.primitives.look import Look


def nightstand(frame: Frame, rng: random.Random, look: Look, size: Size, lit: float = 0.0) -> None:
    """Bedside cabinet with a lamp."""
    w, d, h = size
    drawers(frame, rng, look, size, rows=2, columns=1)
    table_lamp(frame.at(rng.uniform(-0.05, 0.05), d * 0.45, h), rng, look, lit)
    if rng.random() < 0.6:
        clutter.mug(frame.at(w / 2 - 0.08, d - 0.1, h), rng, look)


def drawers(
    frame: Frame, rng: random.Random, look: Look, size: Size, rows: int = 0, columns: int = 0
) -> None:
    """Chest of drawers."""
    w, d, h = size
    rows = rows or max(2, round(h / 0.24))
    columns = columns or (2 if w > 0.95 else 1)
    leg = rng.choice([0.05, 0.14])
    for x in (-w / 2 + 0.02, w / 2 - 0.06):
        for y in (0.02, d - 0.07):
            frame.box((x, y, 0), (0.04, 0.04, leg), look.wood)
    frame.box((-w / 2, 0, leg), (w, d - 0.02, h - leg - 0.025), look.body)
    frame.box((-w / 2 - 0.01, 0, h - 0.025), (w + 0.02, d + 0.005, 0.025), look.wood)
    fronts(
        frame.at(0, d - 0.02, leg),
        look,
        (w, h - leg - 0.03),
        rows,
        columns,
        rng.choice(["bar", "knob"]),
    )


def fronts(
    frame: Frame,
    look: Look,
    size: tuple[float, float],
    rows: int,
    columns: int,
    grip: str,
    doors: bool = False,
) -> None:
    """Drawer or door fronts on the plane y = 0, size (w, h), with handles."""
    w, h = size
    wide, tall = w / columns, h / rows
    for i in range(columns):
        for j in range(rows):
            x, z = -w / 2 + i * wide, j * tall
            frame.box(
                (x + 0.003, 0, z + 0.003), (wide - 0.006, 0.02, tall - 0.006), look.body, 0.003
            )
            middle = x + wide / 2
            if doors:
                edge = x + (0.05 if i % 2 else wide - 0.05)
                at = z + (tall * 0.5 if tall > 1.2 else tall - 0.12)
                frame.rod((edge, 0.045, at - 0.08), (edge, 0.045, at + 0.08), 0.006, look.steel)
                for side in (-0.07, 0.07):
                    frame.rod((edge, 0.018, at + side), (edge, 0.045, at + side), 0.005, look.steel)
            elif grip == "bar":
                half = min(0.1, wide / 4)
                frame.rod(
                    (middle - half, 0.042, z + tall / 2),
                    (middle + half, 0.042, z + tall / 2),
                    0.006,
                    look.steel,
                )
                for side in (-half * 0.9, half * 0.9):
                    frame.rod(
                        (middle + side, 0.018, z + tall / 2),
                        (middle + side, 0.042, z + tall / 2),
                        0.005,
                        look.steel,
                    )
            else:
                clutter.ball(frame.at(middle, 0.03, z + tall / 2 - 0.016), 0.016, look.brass)


def dresser(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Chest of drawers with things on it."""
    drawers(frame, rng, look, size)
    clutter.scatter(frame.at(0, 0, size[2]), rng, look, size[0], size[1], rng.randint(2, 4))


def wardrobe(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Wardrobe with doors; boxes on top at times."""
    w, d, h = size
    frame.box((-w / 2, 0, 0), (w, d - 0.02, h), look.body)
    frame.box((-w / 2 + 0.01, 0, 0), (w - 0.02, d - 0.04, 0.07), look.black)
    fronts(
        frame.at(0, d - 0.02, 0.08),
        look,
        (w, h - 0.1),
        1,
        max(2, round(w / 0.5)),
        "bar",
        doors=True,
    )
    frame.box((-w / 2 - 0.015, 0, h - 0.02), (w + 0.03, d + 0.015, 0.03), look.body)


def bookshelf(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Open shelf with books and things."""
    w, d, h = size
    board = 0.022
    columns = max(1, round(w / 0.8))
    rows = max(2, round(h / rng.uniform(0.33, 0.42)))
    wood = rng.choice([look.wood, look.white, look.wood_2])
    frame.box((-w / 2 + 0.002, 0, 0.002), (w - 0.004, 0.008, h - 0.004), wood)
    for i in range(columns + 1):
        frame.box((-w / 2 + i * (w - board) / columns, 0, 0), (board, d, h), wood, 0.002)
    pitch = (h - board) / rows
    for j in range(rows + 1):
        frame.box(
            (-w / 2 + 0.001, 0.001, j * pitch - 0.001), (w - 0.002, d - 0.004, board), wood, 0.002
        )
    for i in range(columns):
        for j in range(rows):
            inner = (w - board) / columns - board
            left = -w / 2 + board + i * (w - board) / columns
            spot = frame.at(left, 0.02, j * pitch + board)
            clear = pitch - board - 0.01
            draw = rng.random()
            if draw < 0.62:
                share = inner * rng.uniform(0.5, 1.0)
                clutter.book_row(spot, rng, look, share, clear, d - 0.02)
                if share < inner - 0.2 and clear > 0.26:
                    clutter.vase(
                        spot.at(share + (inner - share) / 2, d / 2), rng, look
                    ) if clear > 0.37 else clutter.mug(spot.at(share + 0.1, d / 2), rng, look)
            elif draw < 0.8:
                half = inner / 2
                spot.box((0.02, 0, 0), (half - 0.03, d - 0.03, clear * 0.75), look.cloth(0.7), 0.01)
                spot.box(
                    (half + 0.02, 0, 0),
                    (half - 0.03, d - 0.03, clear * 0.75),
                    look.cloth(0.7),
                    0.01,
                )
            elif draw < 0.93:
                clutter.book_pile(spot.at(inner * 0.35, d / 2, 0, 1.57), rng, look)
                clutter.mug(spot.at(inner * 0.8, d / 2), rng, look)


def tv_stand(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Low sideboard with a television."""
    w, d, h = size
    drawers(frame, rng, look, (w, d, h), rows=1, columns=3)
    tw = min(w * 0.8, rng.uniform(0.9, 1.3))
    th = tw * 0.57
    frame.box((-0.2, 0.12, h), (0.4, 0.2, 0.012), look.black)
    frame.box((-0.04, 0.18, h), (0.08, 0.03, 0.12), look.black)
    frame.box((-tw / 2, 0.17, h + 0.07), (tw, 0.05, th), look.black, 0.008)
    lit = rng.random() < 0.35
    image = soft.screen(rng.random(), 1.5) if lit else look.dark_glass
    frame.box((-tw / 2 + 0.015, 0.2195, h + 0.085), (tw - 0.03, 0.002, th - 0.03), image, 0)
    if w > tw + 0.4:
        clutter.vase(frame.at(w / 2 - 0.12, d / 2, h), rng, look)


def cabinet(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
    """Filing cabinet or sideboard with doors, things on top."""
    w, d, h = size
    frame.box((-w / 2, 0, 0.05), (w, d - 0.02, h - 0.05), look.body)
    frame.box((-w / 2 + 0.02, 0, 0), (w - 0.04, d - 0.05, 0.05), look.black)
    fronts(
        frame.at(0, d - 0.02, 0.06),
        look,
        (w, h - 0.08),
        1,
        max(1, round(w / 0.45)),
        "bar",
        doors=True,
    )
    clutter.scatter(frame.at(0, 0, h), rng, look, w, d, 3)

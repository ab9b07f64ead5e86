"""Which pieces stand in which kind of room, how large it is, and how it is lit."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from scene import dressing
from scene.objects import fixtures, lamps, office, storage, walls
from scene.objects import furniture as f
from scene.primitives.geometry import Frame, Size
from scene.primitives.look import Look
from scene.room import Room

SIZES = {
    "bedroom": ((3.0, 4.6), (3.0, 5.0), (2.4, 2.8)),
    "living": ((4.0, 7.0), (4.2, 7.5), (2.5, 3.1)),
    "kitchen": ((2.6, 4.8), (3.2, 5.5), (2.4, 2.8)),
    "office": ((3.0, 6.0), (3.4, 7.0), (2.5, 3.0)),
    "corridor": ((1.5, 2.2), (5.0, 8.0), (2.4, 2.9)),
    "bathroom": ((2.0, 3.0), (2.5, 3.8), (2.3, 2.6)),
}
# Share of the rooms lit by day, by ceiling lamps, and by small lamps only.
LIGHTING = ("day", "day", "day", "ceiling", "ceiling", "mixed", "evening")


def build(kind: str, rng: random.Random) -> Room:
    """Builds a room of `kind` into the current scene; everything follows from `rng`."""
    size = tuple(rng.uniform(*span) for span in SIZES[kind])
    look = Look(rng, kind)
    room = Room(rng, look, (size[0], size[1], size[2]))
    lighting = rng.choice(LIGHTING)
    if kind in ("corridor", "bathroom") and lighting == "evening":
        lighting = "ceiling"
    room.daylight = lighting in ("day", "mixed")
    room.brightness = {"day": (0.43, 0.56), "evening": (0.28, 0.36)}.get(lighting, (0.4, 0.5))
    _openings(room, kind, lighting)
    lamp = 14.0 if lighting == "evening" else (8.0 if lighting == "mixed" else 0.0)
    _FURNISH[kind](room, rng, look, lamp)
    dressing.walls(room, kind)
    dressing.ceiling(room, kind, lighting)
    feature = (
        set(range(4)) if kind == "bathroom" else set(rng.sample(range(4), rng.choice([1, 1, 2])))
    )
    room.build_shell(feature, dado=rng.random() < 0.3)
    return room


def _openings(room: Room, kind: str, lighting: str) -> None:
    rng = room.rng
    room.door(rng.randrange(4) if kind != "corridor" else 0)
    if kind == "corridor":
        for wall in (2, 3, 2, 3)[: rng.randint(2, 4)]:
            room.door(wall)
    sky = {"day": 110.0, "mixed": 35.0, "ceiling": 8.0, "evening": 0.6}[lighting]
    count = {"bathroom": 1, "corridor": 1, "bedroom": 2, "kitchen": 2, "living": 3, "office": 2}[
        kind
    ]
    placed: list[int] = []
    order = [1] if kind == "corridor" else rng.sample(range(4), 4)
    for index in order:
        if len(placed) == count:
            break
        longest = room.walls[index].length - 0.9
        small = kind == "bathroom"
        width = min(longest, rng.uniform(0.6, 0.9) if small else rng.uniform(1.0, 2.2))
        sill = 1.2 if small else rng.choice([0.85, 0.95, 0.4])
        top = min(room.h - 0.25, rng.uniform(2.0, 2.3))
        curtains = "blind" if small else rng.choice(["sides", "sides", "blind", "none"])
        if width > 0.5 and room.window(index, width, top - sill, sill, sky, curtains):
            placed.append(index)
    if lighting == "day" and placed and rng.random() < 0.65:
        _sun(room, placed[0])


def _sun(room: Room, index: int) -> None:
    """Sunlight through the window of wall `index`, slanting down into the room."""
    wall = room.walls[index].frame
    sun = wall.at(0, 0, 0, room.rng.uniform(-0.7, 0.7)).tilt(math.radians(room.rng.uniform(40, 62)))
    lamps.light(sun, "SUN", room.rng.uniform(6, 14), (1.0, 0.86, 0.68), angle=0.02)


def _bedroom(room: Room, rng: random.Random, look: Look, lamp: float) -> None:
    wide = rng.choice([0.95, 1.45, 1.65])
    frame = room.place("bed", f.bed, (wide, 2.08, rng.uniform(0.85, 1.15)), clear=0.5)
    if frame:
        dressing.rug(room, frame.at(0, 1.5), wide + rng.uniform(0.3, 0.8), rng.uniform(1.3, 1.8))
        for side in (-1, 1):
            _beside(room, frame, side * (wide / 2 + 0.27), lamp)
    room.place(
        "wardrobe",
        storage.wardrobe,
        (rng.uniform(0.9, 1.9), 0.6, rng.uniform(1.9, 2.2)),
        clear=0.5,
        corner=True,
    )
    room.place(
        "dresser", storage.dresser, (rng.uniform(0.7, 1.2), 0.45, rng.uniform(0.7, 1.0)), clear=0.5
    )
    rng.choice([_desk_corner, _reading_corner])(room, rng, look, lamp)
    dressing.loose(room, 3)


def _living(room: Room, rng: random.Random, look: Look, lamp: float) -> None:
    sofa = room.place(
        "sofa",
        f.sofa,
        (rng.uniform(1.7, 2.4), rng.uniform(0.85, 1.0), rng.uniform(0.75, 0.9)),
        clear=1.2,
        gap=0.12,
    )
    if sofa:
        dressing.rug(room, sofa.at(0, 1.45), rng.uniform(2.0, 2.8), rng.uniform(1.4, 2.0))
        x, y, _ = sofa.at(0, 1.5).matrix.translation
        yaw = sofa.matrix.to_euler().z
        room.place_free(
            "coffee table",
            f.coffee_table,
            (rng.uniform(0.9, 1.2), 0.6, rng.uniform(0.38, 0.46)),
            (x, y),
            0.08,
            yaw,
            0.0,
        )
    room.place(
        "tv", storage.tv_stand, (rng.uniform(1.4, 1.9), 0.42, rng.uniform(0.42, 0.6)), clear=0.7
    )
    room.place(
        "bookshelf",
        storage.bookshelf,
        (rng.choice([0.8, 1.2, 1.6]), 0.3, rng.uniform(1.6, 2.1)),
        clear=0.5,
    )
    for _ in range(2):
        room.place("armchair", f.sofa, (rng.uniform(0.8, 0.95), 0.85, 0.85), clear=0.4, gap=0.2)
    _reading_corner(room, rng, look, lamp)
    room.place(
        "sideboard",
        storage.cabinet,
        (rng.uniform(1.0, 1.6), 0.42, rng.uniform(0.7, 0.9)),
        clear=0.5,
    )
    if room.w * room.d > 24:
        room.place_free("dining", f.dining, (rng.uniform(1.7, 2.3), 1.85, 0.75), None, 1.2)
    dressing.loose(room, 3)


def _kitchen(room: Room, rng: random.Random, look: Look, lamp: float) -> None:
    longest = max(range(4), key=lambda i: room.walls[i].length)
    for index in (longest, longest ^ 1, (longest + 2) % 4, (longest + 3) % 4):
        length = room.walls[index].length
        if room.place(
            "counter",
            fixtures.counter,
            (rng.uniform(1.9, min(3.4, length - 0.4)), 0.62, 0.91),
            [index],
            0.8,
            0.0,
        ):
            room.walls[index].taken.append((0, 0, 0, 0))
            break
    room.place(
        "fridge", fixtures.fridge, (0.62, 0.66, rng.uniform(1.6, 1.9)), clear=0.5, corner=True
    )
    if room.w > 3.4 and room.d > 3.6:
        room.place_free(
            "dining", f.dining, (rng.uniform(1.5, 2.0), 1.75, 0.75), None, 0.5, None, 0.1
        )
    else:
        room.place("table", f.table, (rng.uniform(0.8, 1.1), 0.65, 0.75), clear=0.6)
    room.place("sideboard", storage.cabinet, (rng.uniform(0.8, 1.2), 0.42, 0.9), clear=0.5)
    room.place("bookshelf", storage.bookshelf, (0.6, 0.28, 1.7), clear=0.5)
    dressing.loose(room, 3)


def _office(room: Room, rng: random.Random, look: Look, lamp: float) -> None:
    for _ in range(2 if room.w * room.d < 18 else 4):
        _desk_corner(room, rng, look, lamp)
    for _ in range(2):
        room.place(
            "bookshelf",
            storage.bookshelf,
            (rng.choice([0.8, 1.2, 1.6]), 0.32, rng.uniform(1.5, 2.1)),
            clear=0.5,
        )
    room.place(
        "cabinet", storage.cabinet, (rng.uniform(0.8, 1.3), 0.45, rng.uniform(0.7, 1.3)), clear=0.5
    )
    if room.w * room.d > 20:
        room.place_free("meeting", f.dining, (rng.uniform(1.9, 2.5), 1.9, 0.74), None, 0.8)
    room.hang("board", walls.whiteboard, (rng.uniform(1.0, 1.8), 0.03, rng.uniform(0.8, 1.1)), 0.95)
    dressing.loose(room, 4)


def _corridor(room: Room, rng: random.Random, look: Look, lamp: float) -> None:
    dressing.rug(room, room.base.at(room.w / 2, room.d * 0.5), 0.8, room.d * 0.6)
    room.place("console", storage.dresser, (rng.uniform(0.8, 1.2), 0.3, 0.85), [2, 3], 0.5)
    room.place("shoes", storage.bookshelf, (0.8, 0.3, rng.choice([0.5, 1.0])), [2, 3], 0.4)
    room.place("shelf", storage.bookshelf, (0.8, 0.28, 2.0), [2, 3], 0.5)
    room.hang("coats", walls.coats, (rng.uniform(0.8, 1.2), 0.1, 1.2), 0.7, [2, 3])
    room.place("bench", f.table, (1.0, 0.36, 0.45), [2, 3], 0.5)
    room.place("end", storage.dresser, (0.7, 0.35, 0.8), [1], 0.4)
    dressing.loose(room, 4)


def _bathroom(room: Room, rng: random.Random, look: Look, lamp: float) -> None:
    room.place(
        "bath", fixtures.bath, (rng.uniform(1.5, 1.75), 0.74, 0.56), clear=0.4, gap=0.0, corner=True
    )
    room.place("basin", fixtures.basin, (rng.uniform(0.7, 1.1), 0.48, 0.86), clear=0.5)
    room.place("toilet", fixtures.toilet, (0.45, 0.68, 0.85), clear=0.35)
    room.place("towels", fixtures.towels, (0.5, 0.12, 1.6), clear=0.3)
    room.place("cupboard", storage.wardrobe, (0.5, 0.32, rng.uniform(0.9, 1.8)), clear=0.3)
    dressing.rug(room, room.base.at(room.w / 2, room.d / 2), 0.9, 0.6)
    dressing.loose(room, 2, ("plant", "carton", "bin"))


_FURNISH: dict[str, Callable[[Room, random.Random, Look, float], None]] = {
    "bedroom": _bedroom,
    "living": _living,
    "kitchen": _kitchen,
    "office": _office,
    "corridor": _corridor,
    "bathroom": _bathroom,
}


def _beside(room: Room, bed: Frame, x: float, lamp: float) -> None:
    """A bedside cabinet at `x` from the bed's middle, if it fits."""
    size = (0.44, 0.38, room.rng.uniform(0.45, 0.55))
    frame = Frame(bed.at(x, 0).matrix, "nightstand")
    if room.fits(frame, *size[:2]):
        room.take(frame, *size[:2])
        storage.nightstand(frame, room.rng, room.look, size, lamp)


def _desk_corner(room: Room, rng: random.Random, look: Look, lamp: float) -> None:
    size = (rng.uniform(1.1, 1.8), rng.uniform(0.6, 0.75), 0.74)
    desk = room.place("desk", office.desk, size, clear=0.6)
    if desk:
        x, y, _ = desk.at(-0.1, size[1] + 0.25).matrix.translation
        room.place_free(
            "office chair",
            office.office_chair,
            (0.6, 0.6, 1.0),
            (x, y),
            0.1,
            desk.matrix.to_euler().z,
            0.0,
        )
        if lamp or rng.random() < 0.4:
            spot = Frame(desk.at(size[0] / 2 - 0.15, 0.15, 0.74).matrix, "lamp")
            lamps.table_lamp(spot, rng, look, lamp)


def _reading_corner(room: Room, rng: random.Random, look: Look, lamp: float) -> None:
    room.place(
        "armchair", f.sofa, (rng.uniform(0.75, 0.9), 0.8, 0.85), clear=0.3, gap=0.15, corner=True
    )
    lit = lamp * 2.2

    def standing(frame: Frame, rng: random.Random, look: Look, size: Size) -> None:
        lamps.floor_lamp(frame, rng, look, lit)

    room.place("floor lamp", standing, (0.42, 0.42, 1.75), corner=True)

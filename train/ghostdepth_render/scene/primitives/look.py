"""The look of one room: its colours and surfaces, drawn from lists that go together."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import bpy

from scene.primitives import cloth as soft
from scene.primitives import materials as hard
from scene.primitives.materials import Colour, shade, srgb

WALLS = [
    "e9e4d8",
    "efeae0",
    "dcd3c0",
    "c9d2c4",
    "b9c7cf",
    "d9c7b8",
    "d8cfe0",
    "c8b48a",
    "a9b8a6",
    "8fa3b0",
    "d9a98c",
    "b8b0a4",
]
WOODS = ["b5834f", "8a5a33", "5e3d26", "c99f6b", "d8b98a", "74492e", "a87a4c"]
FABRICS = [
    "7d8b94",
    "3f5466",
    "8c5a4a",
    "b89a6a",
    "5c6e58",
    "a3473d",
    "c9bfae",
    "4a4450",
    "2f4f6b",
    "d1a153",
    "6f7f86",
    "93776a",
]
ACCENTS = [
    "b8453a",
    "d99a3c",
    "3c6e8f",
    "5f8a5a",
    "c76b8a",
    "7a5aa0",
    "e0c04a",
    "2d3f4f",
    "d9d2c4",
    "4fa3a0",
]
COATS = ["f2efe8", "e8e3d8", "c7cec9", "6f7f78", "44525c", "3c4a44", "d9c9a8", "8f4a3c"]
LEAVES = ["4f7a3a", "3f6b45", "6a8f4a", "5a7a2f"]


@dataclass
class Look:
    """Surfaces of a room; one draw per room, so that its pieces belong together."""

    rng: random.Random
    kind: str
    wall: bpy.types.Material = field(init=False)
    feature: bpy.types.Material = field(init=False)
    floor: bpy.types.Material = field(init=False)
    ceiling: bpy.types.Material = field(init=False)
    trim: bpy.types.Material = field(init=False)

    def __post_init__(self) -> None:
        rng = self.rng
        self.wall_colour = srgb(rng.choice(WALLS))
        self.white = hard.plain(srgb("ecebe6"), 0.35)
        self.black = hard.plain(srgb("222326"), 0.4)
        self.steel = hard.plain(srgb("b9bcc0"), 0.28, 1.0)
        self.brass = hard.plain(srgb("c09a58"), 0.3, 1.0)
        self.mirror = hard.plain((0.9, 0.9, 0.9), 0.02, 1.0)
        self.dark_glass = hard.plain(srgb("0c0e12"), 0.1)
        self.ceramic = hard.plain(srgb("f1efea"), 0.12)
        self.wood = hard.wood(srgb(rng.choice(WOODS)))
        self.wood_2 = hard.wood(srgb(rng.choice(WOODS)), 0.5)
        self.coat = hard.plain(srgb(rng.choice(COATS)), 0.35)
        self.body = rng.choice([self.wood, self.wood_2, self.coat, self.white])
        self.sofa = self.cloth(plain=0.8)
        self.bedding = self.cloth(plain=0.3)
        self.linen = soft.cloth(srgb("e6e2d8"), srgb("c9c0b0"))
        self.curtain = self.cloth(plain=0.5)
        self.top = rng.choice(
            [
                self.wood_2,
                soft.stone(srgb("d8d4cc"), srgb("8f8a84"), 3.0),
                soft.stone(srgb("4a4a4c"), srgb("2a2a2c"), 40.0, 0.3),
                soft.stone(srgb("b8ada0"), srgb("857a6e"), 60.0, 0.35),
            ]
        )
        self.ceiling = hard.paint(srgb("f3f1ec"))
        self.trim = rng.choice([self.white, self.white, self.wood])
        self.wall = hard.paint(self.wall_colour)
        self.feature = self._feature()
        self.floor = self._floor()
        self.leaf = soft.leaf(srgb(rng.choice(LEAVES)))
        self.soil = hard.paint(srgb("3a2a20"), 1.0)

    def accent(self) -> bpy.types.Material:
        """A small thing's plastic, lacquer or ceramic."""
        return hard.plain(srgb(self.rng.choice(ACCENTS)), self.rng.uniform(0.15, 0.6))

    def cloth(self, plain: float = 0.5) -> bpy.types.Material:
        """A cloth; patterned with probability 1 - `plain`."""
        rng = self.rng
        kind = "plain" if rng.random() < plain else rng.choice(["stripes", "check", "blots"])
        return soft.cloth(srgb(rng.choice(FABRICS)), srgb(rng.choice(FABRICS + ACCENTS)), kind)

    def rug(self) -> bpy.types.Material:
        """A carpet."""
        rng = self.rng
        kind = rng.choice(["plain", "bands", "cells", "diamonds"])
        return soft.carpet(srgb(rng.choice(FABRICS)), srgb(rng.choice(FABRICS)), kind)

    def picture(self) -> bpy.types.Material:
        """A painting in four colours."""
        rng = self.rng
        colours: list[Colour] = [srgb(c) for c in rng.sample(ACCENTS + FABRICS, 4)]
        return soft.picture(colours, rng.choice(["cells", "hills", "swirls"]), rng.uniform(0, 40))

    def _feature(self) -> bpy.types.Material:
        """The wall that differs from the others."""
        rng = self.rng
        if self.kind == "bathroom":
            return self._wall_tiles()
        draw = rng.random()
        if draw < 0.45:
            figure = shade(self.wall_colour, rng.choice([0.45, 0.6, 0.75]))
            kind = rng.choice(["stripes", "dots", "leaves", "chevrons"])
            return hard.wallpaper(self.wall_colour, figure, kind, rng.uniform(0.08, 0.25))
        if draw < 0.6:
            return hard.brick(srgb(rng.choice(["a4614a", "8f5a44", "cfc8bd"])))
        if draw < 0.7 and self.kind != "kitchen":
            return hard.planks(srgb(rng.choice(WOODS)), 0.14, 2.4, 0.5)
        return hard.paint(srgb(rng.choice(FABRICS + WALLS)))

    def _wall_tiles(self) -> bpy.types.Material:
        rng = self.rng
        base = srgb(rng.choice(["e8e6e0", "cfdad8", "b9cdd3", "d8cbb4", "9fb8a8"]))
        size = rng.choice([(0.2, 0.2), (0.3, 0.15), (0.3, 0.6), (0.1, 0.1), (0.2, 0.075)])
        return hard.tiles(shade(base, 0.85), base, shade(base, 0.55), size, 0.15)

    def splashback(self) -> bpy.types.Material:
        """Tiles behind a worktop."""
        return self._wall_tiles()

    def _floor(self) -> bpy.types.Material:
        rng = self.rng
        wet = self.kind in ("bathroom", "kitchen")
        if wet and rng.random() < 0.75:
            base = srgb(rng.choice(["b8aa98", "8f8a84", "d8d2c6", "6f6a66", "a4785c"]))
            if rng.random() < 0.25:
                return hard.checker(srgb("d9d6cf"), srgb(rng.choice(["3a3c40", "6b4a3c"])), 0.3)
            edge = rng.choice([0.2, 0.3, 0.45, 0.6])
            return hard.tiles(shade(base, 0.8), shade(base, 1.1), shade(base, 0.45), (edge, edge))
        if self.kind == "office" and rng.random() < 0.6:
            return soft.carpet(srgb(rng.choice(["5c6670", "6f6a60", "3f4a58"])), (0, 0, 0), "plain")
        if rng.random() < 0.15:
            return soft.carpet(srgb(rng.choice(["b8a894", "8f8578", "a89a90"])), (0, 0, 0), "plain")
        width = rng.choice([0.07, 0.12, 0.19])
        return hard.planks(
            srgb(rng.choice(WOODS)), width, rng.uniform(0.6, 1.8), rng.uniform(0.2, 0.45)
        )

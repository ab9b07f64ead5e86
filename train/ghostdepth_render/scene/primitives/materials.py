"""Procedural surfaces: paint, wallpaper, wood, planks, tiles, brick, cloth, carpet, stone, metal.

Colours are linear RGB. Texture coordinates are UVs in metres, so a tile of 0.3 is 0.3 m wide.
"""

from __future__ import annotations

from typing import Any

import bpy

Colour = tuple[float, float, float]


def srgb(text: str) -> Colour:
    """Turns "c8b090" (sRGB) into linear RGB."""
    values = [int(text[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    """Returns the colour times `factor`, clipped to 0.9 (no surface is whiter)."""
    red, green, blue = (min(0.9, c * factor) for c in colour)
    return red, green, blue


class Graph:
    """A few lines of sugar over Blender's shader nodes."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.bsdf = self.tree.nodes["Principled BSDF"]

    def node(self, kind: str, inputs: dict[Any, Any] | None = None, **settings: Any) -> Any:
        """Adds a ShaderNode `kind`, connects or sets its inputs, sets its attributes."""
        made = self.tree.nodes.new("ShaderNode" + kind)
        for key, value in settings.items():
            setattr(made, key, value)
        for key, value in (inputs or {}).items():
            self.put(made.inputs[key], value)
        return made

    def put(self, socket: Any, value: Any) -> None:
        """Connects a socket, or sets an input to a value."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        elif isinstance(value, tuple) and socket.type == "RGBA":
            socket.default_value = (*value, 1.0)
        else:
            socket.default_value = value

    def uv(self, scale: tuple[float, float] = (1, 1), turn: float = 0.0, vary: bool = False) -> Any:
        """UV in metres times `scale`; with `vary` each object gets its own offset."""
        inputs: dict[Any, Any] = {
            "Vector": self.node("TexCoord").outputs["UV"],
            "Scale": (*scale, 1.0),
            "Rotation": (0.0, 0.0, turn),
        }
        if vary:
            spread = self.node(
                "Math",
                {0: self.node("ObjectInfo").outputs["Random"], 1: 37.0},
                operation="MULTIPLY",
            )
            inputs["Location"] = spread.outputs[0]
        return self.node("Mapping", inputs).outputs[0]

    def noise(self, vector: Any, scale: float, detail: float = 3.0, distort: float = 0.0) -> Any:
        """A noise texture: 0..1."""
        return self.node(
            "TexNoise",
            {"Vector": vector, "Scale": scale, "Detail": detail, "Distortion": distort},
        ).outputs[0]

    def ramp(self, factor: Any, *stops: tuple[float, Colour]) -> Any:
        """A colour for a factor, from (place, colour) stops."""
        made = self.node("ValToRGB", {0: factor})
        elements = made.color_ramp.elements
        while len(elements) < len(stops):
            elements.new(0.5)
        for element, (place, colour) in zip(elements, stops, strict=True):
            element.position = place
            element.color = (*colour, 1.0)
        return made.outputs[0]

    def mix(self, factor: Any, first: Any, second: Any, blend: str = "MIX") -> Any:
        """Blends two colours."""
        made = self.node("Mix", data_type="RGBA", blend_type=blend)
        for index, value in ((0, factor), (6, first), (7, second)):
            self.put(made.inputs[index], value)
        return made.outputs[2]

    def finish(
        self,
        colour: Any,
        roughness: Any = 0.6,
        bump: Any = None,
        strength: float = 0.2,
        depth: float = 0.004,
        **extra: Any,
    ) -> bpy.types.Material:
        """Sets the surface up and returns the material; `extra` names more inputs of the BSDF."""
        self.put(self.bsdf.inputs["Base Color"], colour)
        self.put(self.bsdf.inputs["Roughness"], roughness)
        if bump is not None:
            made = self.node("Bump", {"Strength": strength, "Distance": depth, "Height": bump})
            self.put(self.bsdf.inputs["Normal"], made.outputs[0])
        for key, value in extra.items():
            self.put(self.bsdf.inputs[key.replace("_", " ")], value)
        return self.material


def plain(colour: Colour, roughness: float = 0.5, metallic: float = 0.0) -> bpy.types.Material:
    """Plastic, lacquer, ceramic or metal of one colour, with faint smears in the gloss."""
    graph = Graph("plain")
    smear = graph.noise(graph.uv(), 14.0)
    low, high = max(0.05, roughness * 0.75), min(1.0, roughness * 1.25)
    rough = graph.ramp(smear, (0.3, (low,) * 3), (0.7, (high,) * 3))
    return graph.finish(colour, rough, Metallic=metallic)


def paint(colour: Colour, roughness: float = 0.75) -> bpy.types.Material:
    """Painted plaster: roller texture, faint stains."""
    graph = Graph("paint")
    stain = graph.noise(graph.uv(), 1.1, 3.0)
    tone = graph.ramp(stain, (0.3, shade(colour, 0.9)), (0.7, shade(colour, 1.04)))
    return graph.finish(tone, roughness, graph.noise(graph.uv(), 160.0, 2.0), 0.25, 0.002)


def wallpaper(ground: Colour, figure: Colour, kind: str, pitch: float) -> bpy.types.Material:
    """Printed paper; `kind` is stripes, dots, leaves or chevrons, `pitch` its period in metres."""
    graph = Graph("wallpaper")
    turns = 1 / pitch
    if kind == "stripes":
        wave = graph.node(
            "TexWave",
            {"Vector": graph.uv(), "Scale": turns / 3.2, "Distortion": 0.0},
            wave_type="BANDS",
            bands_direction="X",
        ).outputs[0]
        figure_mask = graph.ramp(wave, (0.48, (0, 0, 0)), (0.52, (1, 1, 1)))
    elif kind == "dots":
        cells = graph.node(
            "TexVoronoi", {"Vector": graph.uv(), "Scale": turns, "Randomness": 0.15}
        ).outputs["Distance"]
        figure_mask = graph.ramp(cells, (0.26, (1, 1, 1)), (0.3, (0, 0, 0)))
    elif kind == "chevrons":
        zigzag = graph.node(
            "TexWave",
            {"Vector": graph.uv((turns, turns), 0.785), "Scale": 0.33, "Distortion": 0.0},
            wave_type="BANDS",
            bands_direction="DIAGONAL",
        ).outputs[0]
        figure_mask = graph.ramp(zigzag, (0.42, (0, 0, 0)), (0.5, (1, 1, 1)))
    else:
        cells = graph.node(
            "TexVoronoi",
            {"Vector": graph.uv((turns, turns * 0.55), 0.6), "Scale": 1.0},
            feature="DISTANCE_TO_EDGE",
        ).outputs[0]
        figure_mask = graph.ramp(cells, (0.06, (0, 0, 0)), (0.1, (1, 1, 1)))
    colour = graph.mix(figure_mask, ground, figure)
    return graph.finish(colour, 0.7, graph.noise(graph.uv(), 250.0, 2.0), 0.15, 0.001)


def wood(colour: Colour, gloss: float = 0.4) -> bpy.types.Material:
    """Sawn wood with the grain along u."""
    graph = Graph("wood")
    grain = graph.noise(graph.uv((1.6, 26.0), vary=True), 1.0, 3.0, 0.6)
    broad = graph.noise(graph.uv((0.7, 5.0), vary=True), 1.0, 3.0, 1.5)
    tone = graph.ramp(broad, (0.25, shade(colour, 0.72)), (0.75, shade(colour, 1.2)))
    line = graph.ramp(grain, (0.34, (0.55, 0.5, 0.45)), (0.6, (1.0, 1.0, 1.0)))
    return graph.finish(graph.mix(0.8, tone, line, "MULTIPLY"), gloss, grain, 0.12, 0.002)


def planks(colour: Colour, width: float, length: float, gloss: float = 0.3) -> bpy.types.Material:
    """Floor boards: shifted rows, each board in its own tone."""
    graph = Graph("planks")
    board = graph.node(
        "TexBrick",
        {
            "Vector": graph.uv(),
            "Color1": shade(colour, 0.62),
            "Color2": shade(colour, 1.2),
            "Mortar": shade(colour, 0.2),
            "Scale": 1.0,
            "Mortar Size": 0.0025,
            "Brick Width": length,
            "Row Height": width,
        },
        offset=0.37,
        offset_frequency=2,
    )
    grain = graph.noise(graph.uv((2.0, 34.0)), 1.0, 3.0, 0.5)
    line = graph.ramp(grain, (0.32, (0.6, 0.55, 0.5)), (0.6, (1.0, 1.0, 1.0)))
    tone = graph.mix(0.85, board.outputs[0], line, "MULTIPLY")
    return graph.finish(tone, gloss, board.outputs[1], -0.4, 0.003)


def tiles(
    first: Colour, second: Colour, joint: Colour, size: tuple[float, float], gloss: float = 0.2
) -> bpy.types.Material:
    """Ceramic tiles `size` metres wide and high, in tones between the two colours."""
    graph = Graph("tiles")
    made = graph.node(
        "TexBrick",
        {
            "Vector": graph.uv(),
            "Color1": first,
            "Color2": second,
            "Mortar": joint,
            "Scale": 1.0,
            "Mortar Size": 0.004,
            "Mortar Smooth": 0.2,
            "Brick Width": size[0],
            "Row Height": size[1],
        },
        offset=0.5 if size[0] > 1.6 * size[1] else 0.0,
    )
    cloud = graph.noise(graph.uv(), 5.0, 3.0)
    veil = graph.ramp(cloud, (0.3, (0.82, 0.82, 0.82)), (0.7, (1.0, 1.0, 1.0)))
    colour = graph.mix(0.8, made.outputs[0], veil, "MULTIPLY")
    return graph.finish(colour, gloss, made.outputs[1], -0.5, 0.003)


def checker(first: Colour, second: Colour, size: float) -> bpy.types.Material:
    """Two-coloured square tiles."""
    graph = Graph("checker")
    made = graph.node(
        "TexChecker",
        {"Vector": graph.uv(), "Color1": first, "Color2": second, "Scale": 1 / size},
    )
    cloud = graph.noise(graph.uv(), 7.0, 3.0)
    veil = graph.ramp(cloud, (0.3, (0.75, 0.75, 0.75)), (0.7, (1.0, 1.0, 1.0)))
    return graph.finish(graph.mix(0.8, made.outputs[0], veil, "MULTIPLY"), 0.25)


def brick(colour: Colour) -> bpy.types.Material:
    """A bare or whitewashed brick wall."""
    graph = Graph("brick")
    made = graph.node(
        "TexBrick",
        {
            "Vector": graph.uv(),
            "Color1": shade(colour, 0.65),
            "Color2": shade(colour, 1.25),
            "Mortar": (0.42, 0.4, 0.37),
            "Scale": 1.0,
            "Mortar Size": 0.007,
            "Mortar Smooth": 0.3,
            "Brick Width": 0.23,
            "Row Height": 0.075,
        },
    )
    grit = graph.noise(graph.uv(), 45.0, 3.0)
    veil = graph.ramp(grit, (0.3, (0.6, 0.6, 0.6)), (0.7, (1.0, 1.0, 1.0)))
    colour_out = graph.mix(0.8, made.outputs[0], veil, "MULTIPLY")
    return graph.finish(colour_out, 0.85, made.outputs[1], -1.0, 0.006)

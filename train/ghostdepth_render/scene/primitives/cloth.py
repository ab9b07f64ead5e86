"""Procedural surfaces, second part: cloth, carpet, stone, pictures, leaves, things that glow."""

from __future__ import annotations

import bpy

from scene.primitives.materials import Colour, Graph, shade


def cloth(first: Colour, second: Colour, kind: str = "plain") -> bpy.types.Material:
    """Woven cloth; `kind` is plain, stripes, check or blots."""
    graph = Graph("cloth")
    weave = graph.noise(graph.uv(), 420.0, 2.0)
    if kind == "stripes":
        wave = graph.node(
            "TexWave",
            {"Vector": graph.uv(vary=True), "Scale": 2.2, "Distortion": 0.3},
            bands_direction="X",
        ).outputs[0]
        tone = graph.ramp(wave, (0.55, first), (0.62, second))
    elif kind == "check":
        across, along = (
            graph.node(
                "TexWave", {"Vector": graph.uv(), "Scale": 3.0}, bands_direction=axis
            ).outputs[0]
            for axis in ("X", "Y")
        )
        both = graph.mix(0.5, across, along)
        tone = graph.ramp(both, (0.3, first), (0.5, shade(second, 0.8)), (0.75, second))
    elif kind == "blots":
        cells = graph.node("TexVoronoi", {"Vector": graph.uv(vary=True), "Scale": 7.0})
        tone = graph.ramp(cells.outputs["Distance"], (0.3, second), (0.36, first))
    else:
        cloud = graph.noise(graph.uv(vary=True), 3.0, 5.0)
        tone = graph.ramp(cloud, (0.3, shade(first, 0.75)), (0.7, shade(first, 1.1)))
    thread = graph.ramp(weave, (0.3, (0.65, 0.65, 0.65)), (0.7, (1.0, 1.0, 1.0)))
    colour = graph.mix(0.8, tone, thread, "MULTIPLY")
    return graph.finish(colour, 0.9, weave, 0.5, 0.002, Sheen_Weight=0.25)


def carpet(first: Colour, second: Colour, kind: str) -> bpy.types.Material:
    """Rug or carpet; `kind` is plain, bands, cells or diamonds."""
    graph = Graph("carpet")
    tuft = graph.noise(graph.uv(), 180.0, 3.0)
    if kind == "bands":
        wave = graph.node(
            "TexWave", {"Vector": graph.uv(), "Scale": 1.1, "Distortion": 0.5}
        ).outputs[0]
        tone = graph.ramp(
            wave, (0.3, first), (0.35, shade(second, 0.7)), (0.6, second), (0.9, first)
        )
    elif kind == "cells":
        cell = graph.node("TexVoronoi", {"Vector": graph.uv(), "Scale": 4.0}, distance="CHEBYCHEV")
        tone = graph.ramp(
            cell.outputs["Distance"], (0.2, second), (0.3, first), (0.5, shade(first, 0.6))
        )
    elif kind == "diamonds":
        made = graph.node(
            "TexChecker",
            {"Vector": graph.uv(turn=0.785), "Color1": first, "Color2": second, "Scale": 5.0},
        )
        tone = made.outputs[0]
    else:
        cloud = graph.noise(graph.uv(), 3.0, 5.0)
        tone = graph.ramp(cloud, (0.3, shade(first, 0.75)), (0.7, shade(first, 1.1)))
    pile = graph.ramp(tuft, (0.3, (0.5, 0.5, 0.5)), (0.7, (1.0, 1.0, 1.0)))
    return graph.finish(graph.mix(0.85, tone, pile, "MULTIPLY"), 0.95, tuft, 0.8, 0.006)


def stone(
    light: Colour, dark: Colour, scale: float = 3.0, gloss: float = 0.2
) -> bpy.types.Material:
    """Marble, granite or concrete, by colours, scale and gloss."""
    graph = Graph("stone")
    vein = graph.noise(graph.uv(vary=True), scale, 3.0, 1.8)
    return graph.finish(graph.ramp(vein, (0.36, dark), (0.52, light)), gloss)


def picture(colours: list[Colour], kind: str, shift: float) -> bpy.types.Material:
    """A painting: `kind` is cells, hills or swirls."""
    graph = Graph("picture")
    place = graph.node(
        "Mapping",
        {"Vector": graph.node("TexCoord").outputs["Generated"], "Location": (shift, 0.0, shift)},
    ).outputs[0]
    if kind == "cells":
        value = graph.node("TexVoronoi", {"Vector": place, "Scale": 4.0}).outputs["Color"]
        value = graph.noise(value, 3.0, 0.0)
    elif kind == "hills":
        parts = graph.node("SeparateXYZ", {0: place})
        wobble = graph.noise(place, 2.5, 3.0)
        value = graph.node(
            "Math", {0: parts.outputs[2], 1: wobble, 2: -shift - 0.3}, operation="ADD"
        ).outputs[0]
        value = graph.node("Math", {0: value, 1: -shift - 0.3}, operation="ADD").outputs[0]
    else:
        value = graph.noise(place, 2.2, 5.0, 2.5)
    step = 0.5 / len(colours)
    stops = [(0.28 + i * step, colour) for i, colour in enumerate(colours)]
    return graph.finish(graph.ramp(value, *stops), 0.5)


def leaf(colour: Colour) -> bpy.types.Material:
    """A green leaf, each in its own tone."""
    graph = Graph("leaf")
    tone = graph.ramp(
        graph.node("ObjectInfo").outputs["Random"],
        (0.0, shade(colour, 0.6)),
        (1.0, shade(colour, 1.5)),
    )
    return graph.finish(tone, 0.4)


def glow(colour: Colour, strength: float) -> bpy.types.Material:
    """A surface that shines: lamp globe, ceiling panel, screen."""
    graph = Graph("glow")
    return graph.finish(colour, 0.5, Emission_Color=colour, Emission_Strength=strength)


def screen(shift: float, strength: float) -> bpy.types.Material:
    """A lit monitor with a page of coloured blocks."""
    graph = Graph("screen")
    cells = graph.node(
        "TexBrick",
        {
            "Vector": graph.uv(),
            "Color1": (0.1, 0.25, 0.5),
            "Color2": (0.75, 0.78, 0.8),
            "Mortar": (0.55, 0.58, 0.6),
            "Scale": 1.0,
            "Mortar Size": 0.012,
            "Brick Width": 0.16 + 0.1 * shift,
            "Row Height": 0.05 + 0.05 * shift,
        },
    ).outputs[0]
    return graph.finish(cells, 0.3, Emission_Color=cells, Emission_Strength=strength)


def lampshade(colour: Colour) -> bpy.types.Material:
    """Paper or linen that lets light through."""
    graph = Graph("lampshade")
    diffuse = graph.node("BsdfDiffuse", {"Color": colour})
    through = graph.node("BsdfTranslucent", {"Color": colour})
    both = graph.node("MixShader", {0: 0.6, 1: diffuse.outputs[0], 2: through.outputs[0]})
    graph.put(graph.tree.nodes["Material Output"].inputs["Surface"], both.outputs[0])
    return graph.material

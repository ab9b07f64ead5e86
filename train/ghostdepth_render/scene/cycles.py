"""The two renders of a frame: the photo's light (noisy, denoised) and the exact depth."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from scene.camera import HEIGHT, WIDTH


def empty_scene() -> None:
    """Starts over with nothing, in Cycles on one CPU thread."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.render.threads_mode = "FIXED"
    scene.render.threads = 1
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.resolution_percentage = 100
    scene.cycles.seed = 0
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.max_bounces = 4
    scene.cycles.diffuse_bounces = 3
    scene.cycles.glossy_bounces = 2
    scene.cycles.caustics_reflective = False
    scene.cycles.sample_clamp_indirect = 4.0
    scene.render.use_persistent_data = False
    _outdoors(scene)


def _outdoors(scene: bpy.types.Scene) -> None:
    """A hazy view outside the windows; seen by the camera, not a source of light."""
    world = bpy.data.worlds.new("outdoors")
    scene.world = world
    world.use_nodes = True
    tree = world.node_tree
    place = tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"]
    parts = tree.nodes.new("ShaderNodeSeparateXYZ")
    tree.links.new(place, parts.inputs[0])
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 9.0
    noise.inputs["Detail"].default_value = 6.0
    tree.links.new(place, noise.inputs["Vector"])
    hills = tree.nodes.new("ShaderNodeMath")
    hills.operation = "MULTIPLY_ADD"
    hills.inputs[1].default_value = 0.35
    tree.links.new(noise.outputs[0], hills.inputs[0])
    tree.links.new(parts.outputs[2], hills.inputs[2])
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    tree.links.new(hills.outputs[0], ramp.inputs[0])
    stops = [
        (0.02, (0.1, 0.13, 0.06)),
        (0.17, (0.22, 0.3, 0.12)),
        (0.2, (0.75, 0.85, 0.95)),
        (0.6, (0.5, 0.7, 1.0)),
    ]
    while len(ramp.color_ramp.elements) < len(stops):
        ramp.color_ramp.elements.new(0.5)
    for element, (where, colour) in zip(ramp.color_ramp.elements, stops, strict=True):
        element.position, element.color = where, (*colour, 1.0)
    shine = tree.nodes["Background"]
    tree.links.new(ramp.outputs[0], shine.inputs["Color"])
    shine.inputs["Strength"].default_value = 1.0
    world.cycles.sampling_method = "NONE"
    world.cycles_visibility.diffuse = False


def outdoor_strength(value: float) -> None:
    """Sets how bright the view outside is."""
    shine = bpy.context.scene.world.node_tree.nodes["Background"]
    shine.inputs["Strength"].default_value = value


def render_light(samples: int) -> NDArray[np.float32]:
    """Renders scene-linear RGB, denoised by OpenImageDenoise: (HEIGHT, WIDTH, 3) float32."""
    scene = bpy.context.scene
    scene.cycles.samples = samples
    scene.cycles.use_denoising = True
    scene.cycles.denoiser = "OPENIMAGEDENOISE"
    scene.cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    scene.cycles.denoising_prefilter = "FAST"
    scene.cycles.pixel_filter_type = "BLACKMAN_HARRIS"
    scene.cycles.filter_width = 1.5
    return _pass("Image", "RGBA")[..., :3]


def render_depth() -> NDArray[np.float32]:
    """Renders metres along the optical axis: (HEIGHT, WIDTH) float32, inf where nothing is hit.

    One sample in the middle of each pixel (a filter of 0.01 pixels), not filtered, not denoised:
    no pixel mixes two surfaces.
    """
    scene = bpy.context.scene
    bpy.context.view_layer.use_pass_z = True
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.cycles.pixel_filter_type = "BOX"
    scene.cycles.filter_width = 0.01
    depth = _pass("Depth", "BW")[..., 0]
    return np.where(depth < 1e4, depth, np.inf).astype(np.float32)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Blender prints its progress from C; standard output is closed to it meanwhile."""
    kept = os.dup(1)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _pass(socket: str, mode: str) -> NDArray[np.float32]:
    """Renders and returns one pass as (HEIGHT, WIDTH, 4), first row at the top."""
    scene = bpy.context.scene
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    layers = tree.nodes.new("CompositorNodeRLayers")
    with tempfile.TemporaryDirectory() as folder:
        out = tree.nodes.new("CompositorNodeOutputFile")
        out.base_path = folder
        out.format.file_format = "OPEN_EXR"
        out.format.color_mode = "RGB" if mode == "RGBA" else mode
        out.format.color_depth = "32"
        tree.links.new(layers.outputs[socket], out.inputs[0])
        with _quiet():
            bpy.ops.render.render()
        image = bpy.data.images.load(str(next(Path(folder).glob("*.exr"))))
        image.colorspace_settings.name = "Non-Color"
        values = np.empty(WIDTH * HEIGHT * 4, np.float32)
        image.pixels.foreach_get(values)
        bpy.data.images.remove(image)
    return values.reshape(HEIGHT, WIDTH, 4)[::-1]

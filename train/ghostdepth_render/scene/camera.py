"""Finding a view that a person would take: from free floor, level-ish, into the room."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass

import bpy
from mathutils import Matrix, Vector

from scene.room import Room

WIDTH, HEIGHT = 640, 480
FOCAL = 520.0  # pixels; 63 degrees across, as a Kinect's colour camera

# What a picture of a room should show if it can.
MAIN = ("bed", "sofa", "counter", "desk", "bath", "basin", "dining", "meeting", "bookshelf")


@dataclass(frozen=True)
class View:
    """A camera pose and how good it is.

    Attributes:
        matrix: Camera to world, Blender's axes (x right, y up, looks along -z).
        score: Higher is better; None where the view is not acceptable.
    """

    matrix: Matrix
    score: float | None


def choose(room: Room, rng: random.Random, tries: int = 70) -> View:
    """Returns the best of `tries` random views of the room.

    Raises:
        RuntimeError: No view was acceptable.
    """
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    best = View(Matrix.Identity(4), None)
    for _ in range(tries):
        pose = _draw(room, rng)
        if pose is None:
            continue
        view = View(pose, _score(room, graph, pose))
        if view.score is not None and (best.score is None or view.score > best.score):
            best = view
    if best.score is None:
        raise RuntimeError("no acceptable view in this room")
    return best


def install(view: View) -> None:
    """Makes the scene's camera: FOCAL pixels, principal point in the middle of the picture."""
    data = bpy.data.cameras.new("camera")
    data.sensor_fit = "HORIZONTAL"
    data.sensor_width = 36.0
    data.lens = 36.0 * FOCAL / WIDTH
    data.clip_start, data.clip_end = 0.02, 100.0
    thing = bpy.data.objects.new("camera", data)
    thing.matrix_world = view.matrix
    bpy.context.scene.collection.objects.link(thing)
    bpy.context.scene.camera = thing


def _draw(room: Room, rng: random.Random) -> Matrix | None:
    x, y = rng.uniform(0.3, room.w - 0.3), rng.uniform(0.3, room.d - 0.3)
    near = 0.25
    if any(a - near < x < c + near and b - near < y < d + near for a, b, c, d in room.footprints):
        return None
    height = rng.uniform(0.95, 1.65)
    target = (room.w - x + rng.uniform(-1.2, 1.2), room.d - y + rng.uniform(-1.2, 1.2))
    yaw = math.atan2(target[1] - y, target[0] - x) - math.pi / 2
    pitch = math.radians(rng.uniform(-24, 1))
    roll = math.radians(max(-6.0, min(6.0, rng.gauss(0, 2.2))))
    turn = (
        Matrix.Rotation(yaw, 4, "Z")
        @ Matrix.Rotation(math.pi / 2 + pitch, 4, "X")
        @ Matrix.Rotation(roll, 4, "Z")
    )
    return Matrix.Translation((x, y, height)) @ turn


def _score(room: Room, graph: bpy.types.Depsgraph, pose: Matrix) -> float | None:
    """Casts a coarse grid of rays; rewards depth range and many pieces in view."""
    origin = pose.translation
    depths: list[float] = []
    seen: Counter[str] = Counter()
    columns, rows = 20, 15
    for i in range(columns):
        for j in range(rows):
            u = ((i + 0.5) / columns - 0.5) * WIDTH / FOCAL
            v = (0.5 - (j + 0.5) / rows) * HEIGHT / FOCAL
            ray = pose.to_3x3() @ Vector((u, v, -1.0))
            length = ray.length
            hit, place, _, _, thing, _ = bpy.context.scene.ray_cast(graph, origin, ray / length)
            if hit:
                depths.append((place - origin).length / length)
                seen[str(thing.get("owner", "none")) if thing else "none"] += 1
    total = columns * rows
    depths.sort()
    if len(depths) < 0.93 * total or depths[0] < 0.55:
        return None
    low, middle, high = (depths[int(len(depths) * q)] for q in (0.05, 0.5, 0.95))
    if not 1.3 < middle < 5.5 or high > 8.5 or low < 0.7:
        return None
    shell = seen.pop("shell", 0) / total
    pieces = sum(1 for count in seen.values() if count >= 3)
    largest = max(seen.values(), default=0) / total
    if shell > 0.78 or largest > 0.5:
        return None
    main = sum(min(seen[name] / total, 0.2) for name in MAIN)
    return (
        16 * main
        + pieces
        + 1.2 * math.log(high / low)
        + 0.35 * min(middle, 3.5)
        - 4 * abs(shell - 0.45)
    )

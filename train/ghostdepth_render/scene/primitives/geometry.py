"""Solid primitives in a local frame. Metres, z up; every mesh gets UVs in metres."""

# Builders all take their place, draw, look and measures in this order.

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import bmesh
import bpy
from mathutils import Matrix, Vector

Point = tuple[float, float, float]
Size = tuple[float, float, float]


@dataclass(frozen=True)
class Frame:
    """A place in the room that parts are built in.

    Attributes:
        matrix: Local to world, 4x4, rigid.
        owner: Name of the piece of furniture; the view search counts distinct owners.
    """

    matrix: Matrix
    owner: str

    def at(self, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Frame:
        """Returns the frame moved by (x, y, z) and turned by `yaw` radians about z."""
        turned = Matrix.Translation((x, y, z)) @ Matrix.Rotation(yaw, 4, "Z")
        return Frame(self.matrix @ turned, self.owner)

    def tilt(self, angle: float, axis: str = "X") -> Frame:
        """Returns the frame turned by `angle` radians about one of its own axes."""
        return Frame(self.matrix @ Matrix.Rotation(angle, 4, axis), self.owner)

    def box(
        self,
        low: Point,
        size: Point,
        material: bpy.types.Material,
        bevel: float = 0.004,
        grain: str | None = None,
    ) -> bpy.types.Object:
        """Adds a bevelled box with its lowest corner at `low`.

        Args:
            low: Corner with the smallest coordinates.
            size: Extents along x, y, z.
            material: Surface.
            bevel: Width of the rounded edges.
            grain: Axis along which the texture's u runs; the longest edge if not given.
        """
        mesh = bmesh.new()
        middle = [a + s / 2 for a, s in zip(low, size, strict=True)]
        bmesh.ops.create_cube(
            mesh, size=1, matrix=Matrix.Translation(middle) @ Matrix.Diagonal((*size, 1))
        )
        width = min(bevel, min(size) * 0.45)
        if width > 0:
            bmesh.ops.bevel(
                mesh, geom=mesh.edges[:], offset=width, segments=2, profile=0.5, affect="EDGES"
            )
        axis = "xyz".index(grain) if grain else max(range(3), key=lambda i: size[i])
        return self._add(mesh, material, smooth=False, grain=axis)

    def rod(
        self,
        start: Point,
        end: Point,
        radius: float,
        material: bpy.types.Material,
        end_radius: float | None = None,
    ) -> bpy.types.Object:
        """Adds a round bar, a cone where `end_radius` differs."""
        a, b = Vector(start), Vector(end)
        turn = (b - a).to_track_quat("Z", "Y").to_matrix().to_4x4()
        mesh = bmesh.new()
        bmesh.ops.create_cone(
            mesh,
            cap_ends=True,
            segments=20,
            radius1=radius,
            radius2=radius if end_radius is None else end_radius,
            depth=(b - a).length,
            matrix=Matrix.Translation((a + b) / 2) @ turn,
        )
        return self._add(mesh, material, smooth=True, grain=2)

    def lathe(
        self,
        profile: Sequence[tuple[float, float]],
        material: bpy.types.Material,
        at: Point = (0.0, 0.0, 0.0),
        segments: int = 32,
        squash: float = 1.0,
    ) -> bpy.types.Object:
        """Turns a profile of (radius, height) about the z axis at `at`; y scaled by `squash`."""

        def ring(u: float, v: float) -> Point:
            place = u * (len(profile) - 1)
            index = min(int(place), len(profile) - 2)
            part = place - index
            radius, height = (
                profile[index][i] * (1 - part) + profile[index + 1][i] * part for i in (0, 1)
            )
            angle = 2 * math.pi * v
            return (
                at[0] + radius * math.cos(angle),
                at[1] + squash * radius * math.sin(angle),
                at[2] + height,
            )

        return self.sheet(ring, len(profile) - 1, segments, material)

    def sheet(
        self,
        surface: Callable[[float, float], Point],
        rows: int,
        columns: int,
        material: bpy.types.Material,
    ) -> bpy.types.Object:
        """Adds the surface (u, v) -> point, both parameters in [0, 1], as a smooth grid."""
        mesh = bmesh.new()
        grid = [
            [mesh.verts.new(surface(i / rows, j / columns)) for j in range(columns + 1)]
            for i in range(rows + 1)
        ]
        for i in range(rows):
            for j in range(columns):
                mesh.faces.new((grid[i][j], grid[i][j + 1], grid[i + 1][j + 1], grid[i + 1][j]))
        bmesh.ops.remove_doubles(mesh, verts=mesh.verts[:], dist=1e-5)
        return self._add(mesh, material, smooth=True, grain=0)

    def cushion(
        self,
        low: Point,
        size: Point,
        material: bpy.types.Material,
        roundness: float = 5.0,
        pinch: float = 0.0,
        wrinkle: float = 0.0,
        phase: float = 0.0,
    ) -> bpy.types.Object:
        """Adds a soft box: a superellipsoid of the given size.

        Args:
            low: Corner of its bounding box with the smallest coordinates.
            size: Extents along x, y, z.
            material: Surface.
            roundness: Exponent; 2 is an ellipsoid, 8 nearly a box.
            pinch: 0..1, how much thinner the rim is than the middle (a pillow).
            wrinkle: Height of the folds, metres.
            phase: Shifts the folds, so that no two look the same.
        """
        mesh = bmesh.new()
        bmesh.ops.create_cube(mesh, size=2)
        bmesh.ops.subdivide_edges(mesh, edges=mesh.edges[:], cuts=11, use_grid_fill=True)
        for vertex in mesh.verts:
            x, y, z = vertex.co
            scale = (abs(x) ** roundness + abs(y) ** roundness + abs(z) ** roundness) ** (
                -1 / roundness
            )
            x, y, z = x * scale, y * scale, z * scale
            z *= 1 - pinch * max(abs(x), abs(y)) ** 3
            px, py = x * size[0] / 2, y * size[1] / 2
            fold = math.sin(9 * px + 4 * py + phase) * math.sin(7 * py - 5 * px + 2 * phase)
            vertex.co = (
                low[0] + size[0] / 2 + px,
                low[1] + size[1] / 2 + py,
                low[2] + size[2] * (1 + z) / 2 + (wrinkle * fold if z > 0 else 0.0),
            )
        return self._add(mesh, material, smooth=True, grain=0)

    def _add(
        self, mesh: bmesh.types.BMesh, material: bpy.types.Material, smooth: bool, grain: int
    ) -> bpy.types.Object:
        mesh.normal_update()
        _box_uv(mesh, grain)
        for face in mesh.faces:
            face.smooth = smooth
        data = bpy.data.meshes.new(self.owner)
        mesh.to_mesh(data)
        mesh.free()
        data.materials.append(material)
        thing = bpy.data.objects.new(f"{self.owner}/{len(bpy.data.objects)}", data)
        thing.matrix_world = self.matrix
        thing["owner"] = self.owner
        bpy.context.scene.collection.objects.link(thing)
        return thing


def _box_uv(mesh: bmesh.types.BMesh, grain: int) -> None:
    """UVs = the two coordinates across the face's main normal axis; u is the grain's axis."""
    layer = mesh.loops.layers.uv.new("uv")
    for face in mesh.faces:
        main = max(range(3), key=lambda i: abs(face.normal[i]))
        across = [i for i in range(3) if i != main]
        if grain == across[1]:
            across.reverse()
        for loop in face.loops:
            loop[layer].uv = (loop.vert.co[across[0]], loop.vert.co[across[1]])

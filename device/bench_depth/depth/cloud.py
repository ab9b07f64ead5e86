"""Depth maps as point clouds, by the pinhole camera model."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.bounds import require_bounds
from bench_depth.depth.arrays import require_depth
from bench_depth.model.camera import NYU_HFOV


def focal_length(width: int, hfov: float) -> float:
    """Focal length in pixels of an ideal pinhole camera: width / (2 tan(hfov / 2)).

    Args:
        width: Width of the image, pixels.
        hfov: Horizontal field of view, degrees.

    Raises:
        UserError: The field of view is out of range.
    """
    require_bounds(hfov=hfov)
    return width / (2 * math.tan(math.radians(hfov) / 2))


def point_cloud(
    depth: NDArray[np.float32], hfov: float = NYU_HFOV, *, focal: Optional[float] = None
) -> NDArray[np.float32]:
    """The 3D points of a depth map in the camera's axes.

    A pixel (u, v) of depth z lies at ((u - cx) z / f, (v - cy) z / f, z), with the principal point
    (cx, cy) in the middle of the image.

    Args:
        depth: HxW float32 metres along the optical axis.
        hfov: Horizontal field of view of the camera, degrees; default: that of the training data.
        focal: Focal length in pixels, instead of `hfov`.

    Returns:
        HxWx3 float32 metres: x to the right, y down, z forward; NaN where depth is not finite and
        positive.

    Raises:
        UserError: `depth` is no depth map, or the field of view or the focal length is impossible.
    """
    require_depth(depth)
    height, width = depth.shape
    f = focal_length(width, hfov) if focal is None else focal
    require_bounds(focal=focal)
    z = np.where(np.isfinite(depth) & (depth > 0), depth, np.nan).astype(np.float32)
    u = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / np.float32(f)
    v = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / np.float32(f)
    return np.stack([z * u, z * v[:, np.newaxis], z], axis=-1).astype(np.float32)


def ply_bytes(points: NDArray[np.float32], rgb: NDArray[np.uint8]) -> bytes:
    """A coloured point cloud as a binary PLY file (G. Turk, "The PLY Polygon File Format", 1994).

    Args:
        points: HxWx3 float32 metres; points that are not finite are left out.
        rgb: HxWx3 uint8 RGB.
    """
    known = np.isfinite(points).all(axis=-1)
    vertex = np.zeros(int(known.sum()), dtype=[("xyz", "<f4", 3), ("rgb", "u1", 3)])
    vertex["xyz"], vertex["rgb"] = points[known], rgb[known]
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(vertex)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    )
    return header.encode("ascii") + vertex.tobytes()

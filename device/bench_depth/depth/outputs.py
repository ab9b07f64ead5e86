"""The files that one depth map is written to."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.core.bounds import require_bounds
from bench_depth.core.dataset import read_depth, read_npy, write_depth
from bench_depth.core.errors import UserError
from bench_depth.core.files import write_bytes
from bench_depth.depth import colours
from bench_depth.depth.cloud import ply_bytes, point_cloud
from bench_depth.depth.inputs import RESULT_ENDS, Input
from bench_depth.depth.scale import Distances, Scale
from bench_depth.model.camera import NYU_HFOV

# Format -> the end of its files' names.
FORMATS = {"colour": RESULT_ENDS[0], "mm": RESULT_ENDS[1], "npy": ".npy", "ply": ".ply"}
VIDEO_END = RESULT_ENDS[2]
# Coloured depth is smooth: without a filter, which OpenCV offers since 4.12, it takes half the time
# of libpng's choice for every row, and no more bytes.
_NO_FILTER = [
    getattr(cv2, name)
    for name in ("IMWRITE_PNG_FILTER", "IMWRITE_PNG_FILTER_NONE")
    if hasattr(cv2, name)
]
FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, *_NO_FILTER]


@dataclass(frozen=True)
class OutputOptions:
    """How results are written.

    Attributes:
        formats: Names in `FORMATS`.
        range: Depths of the first and last colour; None for each image's own.
        colour_map: One of `colours.colour_maps()`.
        side_by_side: Whether the image stands beside its coloured depth.
        hfov: Horizontal field of view of the camera in degrees, for point clouds.
        focal: Focal length in pixels, instead of `hfov`, for point clouds; None for that of `hfov`.
    """

    formats: Sequence[str] = ("colour",)
    range: Optional[tuple[float, float]] = None
    colour_map: str = colours.NAME
    side_by_side: bool = False
    hfov: float = NYU_HFOV
    focal: Optional[float] = None


def check_output(options: OutputOptions, metric: bool) -> None:
    """Refuses what a model's depth cannot be written as.

    Raises:
        UserError: Millimetres or points are wanted of relative depth, or an option is out of range.
    """
    colours.table(options.colour_map)
    for end in options.range or ():
        require_bounds(range=end)
    if options.range is not None and np.unique(np.asarray(options.range, np.float32)).size < 2:
        raise UserError("--range needs two different depths, like --range 0.5 5")
    if options.range is not None and metric and options.range[0] > options.range[1]:
        raise UserError("--range is NEAR FAR in metres, the nearer one first, like --range 0.5 5")
    for name in options.formats:
        if name in ("mm", "ply") and not metric:
            raise UserError(
                f"the model gives relative depth, which has no metres for --format {name}; "
                "use colour or npy, or describe the model with --unit"
            )
    point_cloud(np.ones((1, 2), np.float32), options.hfov, focal=options.focal)


def targets(folder: Path, one: Input, options: OutputOptions) -> dict[str, Path]:
    """The result files of one input, by format; of a video the one of the format `video`."""
    if one.kind == "video":
        return {"video": folder / (one.name.name + VIDEO_END)}
    return {kind: folder / (one.name.name + FORMATS[kind]) for kind in options.formats}


def read_distances(found: dict[str, Path], scale: Scale) -> Distances:
    """Nearest, median and farthest depth of a result that was there already.

    Args:
        found: Paths as `targets` returns them.
        scale: The meaning of the depth.

    Returns:
        As `Scale.distances`; three times None where no file holds the depth, or it is damaged.
    """
    try:
        if "npy" in found:
            return scale.distances([np.asarray(read_npy(found["npy"]), np.float32)])
        if "mm" in found:
            return scale.distances([np.asarray(read_depth(found["mm"]) / 1000, np.float32)])
    except (UserError, TypeError, ValueError):
        pass
    return None, None, None


def draw(
    photo: NDArray[np.uint8],
    depth: NDArray[np.float32],
    scale: Scale,
    ends: tuple[float, float],
    options: OutputOptions,
) -> NDArray[np.uint8]:
    """The coloured depth map with its scale, HxWx3 uint8 RGB; beside the image where asked for."""
    picture = colours.paint(depth, scale.known(depth), *ends, options.colour_map)
    unit = "" if scale.relative else "m"
    picture = colours.with_scale(picture, *ends, unit, options.colour_map)
    return np.hstack([photo, picture]) if options.side_by_side else picture


def write_image(
    found: dict[str, Path],
    photo: NDArray[np.uint8],
    depth: NDArray[np.float32],
    scale: Scale,
    options: OutputOptions,
) -> None:
    """Writes the files of one image; each gets its name when it is complete.

    Args:
        found: Paths as `targets` returns them.
        photo: HxWx3 uint8 RGB.
        depth: HxW float32 of the same size.
        scale: The meaning of the depth.
        options: Formats of the files and how they are drawn.

    Raises:
        UserError: A file cannot be written.
    """
    for kind, path in found.items():
        if kind == "colour":
            ends = options.range or scale.ends(depth)
            picture = draw(photo, depth, scale, ends, options)
            write_bytes(path, encode(".png", picture, FAST_PNG))
        elif kind == "mm":
            write_depth(path, np.where(scale.known(depth), depth, 0) * 1000.0)
        elif kind == "npy":
            stream = io.BytesIO()
            np.save(stream, np.asarray(depth, np.float32))
            write_bytes(path, stream.getvalue())
        else:
            points = point_cloud(depth, options.hfov, focal=options.focal)
            write_bytes(path, ply_bytes(points, photo))


def encode(suffix: str, image: NDArray[Any], options: Sequence[int] = ()) -> bytes:
    """An image, HxWx3 uint8 RGB or HxW, as the file that a suffix names.

    Args:
        suffix: Like `.png`.
        image: The pixels.
        options: OpenCV's flags and their values for that kind of file.
    """
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    ok, data = cv2.imencode(suffix, image, list(options))
    assert ok, f"an array of pixels can be made a {suffix}"
    return data.tobytes()

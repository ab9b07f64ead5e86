"""Registers depth maps of a Kinect v1 that were stored as its sensor gives them to its photos.

    python benchmarks/transfer/register.py --data DIR --out DIR

7-Scenes' depth maps are views of the infrared camera: narrower than the photos, and from 25 mm
beside them. Every known pixel becomes a point, which the colour camera sees in another pixel; the
nearest point of a pixel is kept. Photos are linked to. The focal lengths are those that OpenNI has
for every Kinect: this one was not calibrated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from bench_depth.core.dataset import list_pairs, write_depth
from bench_depth.core.errors import exit_code
from bench_depth.core.files import make_folder
from numpy.typing import NDArray

# Of pictures of 640 columns, in pixels, and from one lens to the other, in millimetres.
DEPTH_FOCAL, COLOUR_FOCAL, BASELINE = 585.0, 525.0, 25.0


def register(depth_mm: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The depth that the colour camera sees, to the right of the infrared one.

    Args:
        depth_mm: HxW millimetres of the infrared camera, 0 = unknown.

    Returns:
        HxW millimetres, 0 where no pixel of the infrared camera is seen.
    """
    rows, columns = depth_mm.shape
    # Each pixel as four, so that a wider view of it leaves no holes.
    fine = np.repeat(np.repeat(depth_mm, 2, 0), 2, 1)
    y, x = (np.indices(fine.shape) + 0.5) / 2
    known = fine > 0
    z = fine[known].astype(np.float64)
    ratio, aside = COLOUR_FOCAL / DEPTH_FOCAL, BASELINE * COLOUR_FOCAL / z * columns / 640
    column = np.floor((x[known] - columns / 2) * ratio - aside + columns / 2).astype(int)
    row = np.floor((y[known] - rows / 2) * ratio + rows / 2).astype(int)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    unseen = np.iinfo(np.uint16).max
    seen = np.full((rows, columns), unseen, np.uint16)
    np.minimum.at(seen, (row[inside], column[inside]), fine[known][inside])
    return np.where(seen == unseen, 0, seen).astype(np.uint16)


def main() -> int:
    """Writes the dataset folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for kind in ("rgb", "depth"):
        make_folder(options.out / kind)
    for pair in list_pairs(options.data):
        link = options.out / "rgb" / pair.rgb.name
        if not link.exists():
            link.symlink_to(pair.rgb.resolve())
        write_depth(options.out / "depth" / f"{pair.name}.png", register(pair.read()[1]))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("register.py", main))

"""Accuracy of the released networks on pictures of a worse camera: soft, noisy, dark, distorted.

    python benchmarks/transfer/conditions.py --data DATA/val [--run RUN]...

Every released network and every RUN is measured in torch, without alignment, on the pictures of the
dataset as `CONDITIONS` change them. `conditions.csv` gets a row for each network and condition, in
place of an older one.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from bench_depth.core.dataset import Pair, list_pairs, read_pair
from bench_depth.core.errors import exit_code
from bench_depth.model.camera import NYU_HFOV, depth_factor
from ghostdepth_train.augment import zoom_crop
from ghostdepth_train.csv_files import csv_rows
from numpy.typing import NDArray
from run import Predict, Row, in_torch, measure, released, write_rows

RESULTS = Path(__file__).with_name("conditions.csv")
Photo = NDArray[np.uint8]
Shown = tuple[Photo, NDArray[np.uint16]]
# The width of `cropped`, in that of the picture.
CROP = 0.75


def blurred(rgb: Photo, sigma: float) -> Photo:
    """A Gaussian blur of so many pixels of a picture of 640 columns."""
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma * rgb.shape[1] / 640), np.uint8)


def noisy(rgb: Photo) -> Photo:
    """Gaussian noise of 16 grey levels, the same for every picture."""
    noise = np.random.default_rng(0).normal(0, 16, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def compressed(rgb: Photo) -> Photo:
    """JPEG at a quality of 15."""
    data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 15])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def grey(rgb: Photo) -> Photo:
    """Without colour."""
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, 2).astype(np.uint8)


def cropped(rgb: Photo, depth_mm: NDArray[np.uint16]) -> Shown:
    """The middle of the picture, as a longer lens shows it."""
    photo, depth = zoom_crop(
        rgb, depth_mm.astype(np.float32), 1 / CROP, (0.5, 0.5), (rgb.shape[0], rgb.shape[1])
    )
    # Its depth is what it was: `zoom_crop` moves the camera instead.
    return photo, np.rint(depth / CROP).astype(np.uint16)


def barrel(rgb: Photo, depth_mm: NDArray[np.uint16]) -> Shown:
    """Seen through a lens that enlarges the middle by a fifth and leaves the corners in place."""
    rows, columns = depth_mm.shape
    y, x = np.indices(depth_mm.shape, np.float32)
    across, down = x - (columns - 1) / 2, y - (rows - 1) / 2
    square = (across**2 + down**2) * 4 / (rows**2 + columns**2)
    scale = (1 + 0.2 * square) / 1.2
    place = across * scale + (columns - 1) / 2, down * scale + (rows - 1) / 2
    photo = cv2.remap(rgb, *place, cv2.INTER_LINEAR)
    return np.asarray(photo, np.uint8), cv2.remap(depth_mm, *place, cv2.INTER_NEAREST)


CONDITIONS: dict[str, Callable[[Photo, NDArray[np.uint16]], Shown]] = {
    "as it is": lambda rgb, depth: (rgb, depth),
    "blur 2 px": lambda rgb, depth: (blurred(rgb, 2), depth),
    "blur 4 px": lambda rgb, depth: (blurred(rgb, 4), depth),
    "noise": lambda rgb, depth: (noisy(rgb), depth),
    "JPEG": lambda rgb, depth: (compressed(rgb), depth),
    "grey": lambda rgb, depth: (grey(rgb), depth),
    "dark": lambda rgb, depth: (rgb // 4, depth),
    "lens": barrel,
    "crop": cropped,
}


def with_hfov(predict: Predict) -> Predict:
    """A network's depth with the field of view of `cropped` given."""
    width = CROP * math.tan(math.radians(NYU_HFOV) / 2)
    factor = depth_factor(NYU_HFOV, 2 * math.degrees(math.atan(width)))
    return lambda rgb: factor * predict(rgb)


def measured(predict: Predict, pairs: Sequence[Pair]) -> dict[str, Row]:
    """The figures of one network under every condition."""
    figures = {
        name: measure(predict, (change(*read_pair(pair)) for pair in pairs))
        for name, change in CONDITIONS.items()
    }
    seen = (cropped(*read_pair(pair)) for pair in pairs)
    return {**figures, "crop, --hfov": measure(with_hfov(predict), seen)}


def main() -> int:
    """Measures all, and writes the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, action="append", default=[])
    options = parser.parse_args()
    rows = {(row["network"], row["condition"]): row for row in csv_rows(RESULTS)}
    for folder in (*released(), *options.run):
        found = measured(in_torch(folder), list_pairs(options.data))
        for condition, figures in found.items():
            row = {"network": folder.name, "condition": condition} | figures
            rows[folder.name, condition] = row
    write_rows(RESULTS, rows.values())
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("conditions.py", main))

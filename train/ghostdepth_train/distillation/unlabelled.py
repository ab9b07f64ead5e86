"""Unlabelled images, `DIR/rgb/NAME.jpg`, and labels of teachers, `DIR/pseudo_depth/NAME.png`.

A label is uint16 millimetres, 0 = unknown, of any size: it shows the same view as its image.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from bench_depth.core.dataset import PHOTO_SUFFIXES, Pair, list_files, read_depth, read_rgb
from bench_depth.core.errors import UserError
from bench_depth.core.files import is_folder, require_regular
from numpy.typing import NDArray

from ghostdepth_train.augment import Photo
from ghostdepth_train.data import DepthDataset

LABEL_FOLDER = "pseudo_depth"


def list_unlabelled(folder: Path, labels: Path | None = None) -> list[Pair]:
    """The images of a folder, sorted by name; a pair's depth is its label, which may not exist.

    Args:
        folder: Folder that holds `rgb/`.
        labels: Folder of the labels; None for `folder/pseudo_depth`.

    Raises:
        UserError: The folder cannot be read, a name is not UTF-8, there is no image, one is no
            regular file, two have the same name, or a label has no image.
    """
    rgb, labels = folder / "rgb", folder / LABEL_FOLDER if labels is None else labels
    if not is_folder(rgb):
        raise UserError(f"{rgb} is not a folder; images are {folder.name}/rgb/NAME.jpg")
    pairs: dict[str, Pair] = {}
    for path in list_files(rgb):
        if path.suffix.lower() in PHOTO_SUFFIXES:
            if path.stem in pairs:
                raise UserError(f"two images are called {path.stem} in {rgb}")
            require_regular(path)
            pairs[path.stem] = Pair(path.stem, path, labels / f"{path.stem}.png")
    if not pairs:
        raise UserError(f"{rgb} has no image (.jpg or .png)")
    lonely = sorted({path.stem for path in labels.glob("[!.]*.png")} - pairs.keys())
    if lonely:
        raise UserError(
            f"{labels / lonely[0]}.png labels no image in {rgb}; are these labels of other images?"
        )
    return [pairs[name] for name in sorted(pairs)]


class UnlabelledDataset(DepthDataset):
    """Augmented images and their labels, as `DepthDataset` gives pairs.

    An item is 3xHxW uint8 RGB and 1xHxW float32 metres, 0 where the label is unknown and
    everywhere where there is no label.
    """

    def _read(self, pair: Pair) -> tuple[Photo, NDArray[np.uint16]]:
        rgb = read_rgb(pair.rgb)
        if not pair.depth.is_file():
            return rgb, np.zeros(rgb.shape[:2], np.uint16)
        return rgb, upsample_label(read_depth(pair.depth), *rgb.shape[:2])


def upsample_label(label_mm: NDArray[np.uint16], height: int, width: int) -> NDArray[np.uint16]:
    """Resizes a label bilinearly; only known pixels are averaged.

    Args:
        label_mm: HxW millimetres, 0 = unknown.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        height x width millimetres, 0 where more than half of the weight is of unknown pixels.
    """
    if label_mm.shape == (height, width):
        return label_mm
    known = (label_mm > 0).astype(np.float32)
    weight = cv2.resize(known, (width, height), interpolation=cv2.INTER_LINEAR)
    # Unknown pixels are 0: the sum is over known ones.
    total = cv2.resize(label_mm.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    mean = np.where(weight > 0.5, total / np.maximum(weight, 0.5), 0.0)
    return np.rint(mean).astype(np.uint16)

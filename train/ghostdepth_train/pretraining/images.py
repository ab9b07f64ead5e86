"""The unlabelled images of a pretraining: found in folders, split, and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from bench_depth.accuracy.readers import evenly_spaced
from bench_depth.core.dataset import PHOTO_SUFFIXES, Pair, list_files, read_rgb
from bench_depth.core.errors import UserError
from bench_depth.core.files import is_folder
from bench_depth.core.picture import read_header
from bench_depth.core.screen import counted
from numpy.typing import NDArray
from torch import Tensor

from ghostdepth_train.augment import Photo
from ghostdepth_train.data import DepthDataset, Split
from ghostdepth_train.distillation.unlabelled import LABEL_FOLDER

# Fewer leave no validation set.
MIN_IMAGES = 10
# Enough for a validation loss, and evaluated quickly.
_MAX_HELD_OUT = 200
# Stride of an encoder's coarsest features.
_MIN_SIDE = 32
_DEPTH_FOLDERS = ("depth", LABEL_FOLDER)


def split_images(folders: Sequence[Path]) -> Split:
    """Finds the images below folders; the last tenth of each folder (by name) is held out.

    Args:
        folders: Searched with all folders in them; `depth`, `pseudo_depth` and hidden ones are left
            out, since they hold depth maps.

    Returns:
        The images; a pair's `depth` is the image itself, as there is none.

    Raises:
        UserError: A folder cannot be read or has no image, a name in it is not UTF-8, an image is
            damaged, smaller than 32x32 pixels or no regular file, or there are fewer than
            `MIN_IMAGES`.
    """
    train: list[Pair] = []
    held_out: list[Pair] = []
    for folder in folders:
        pairs = _images(folder)
        first = len(pairs) - max(1, len(pairs) // 10)
        train, held_out = train + pairs[:first], held_out + pairs[first:]
    found = len(train) + len(held_out)
    if found < MIN_IMAGES:
        where = ", ".join(map(str, folders))
        raise UserError(
            f"{where}: {counted(found, 'image')}; pretraining needs at least {MIN_IMAGES}, "
            "and is worth it from hundreds on"
        )
    return Split(train, list(evenly_spaced(held_out, min(len(held_out), _MAX_HELD_OUT))))


def _images(folder: Path) -> list[Pair]:
    if not is_folder(folder):
        raise UserError(f"{folder} is not a folder of images")
    found: dict[str, Path] = {}
    for path in _files(folder):
        if path.suffix.lower() in PHOTO_SUFFIXES:
            _check(path)
            found[str(path.relative_to(folder))] = path
    if not found:
        raise UserError(f"{folder} has no image (.jpg or .png), nor has a folder in it")
    return [Pair(name, path, path) for name, path in sorted(found.items())]


def _files(folder: Path) -> Iterator[Path]:
    for path in list_files(folder):
        if not is_folder(path):
            yield path
        elif path.name not in _DEPTH_FOLDERS and not path.is_symlink():
            yield from _files(path)


def _check(path: Path) -> None:
    header = read_header(path)
    # Only decoding tells whether another kind of file is a picture.
    size = read_rgb(path).shape[:2] if header is None else (header.height, header.width)
    if min(size) < _MIN_SIDE:
        raise UserError(
            f"{path} is {size[1]}x{size[0]} pixels; there are no patches to tell apart below "
            f"{_MIN_SIDE}x{_MIN_SIDE}: remove it"
        )


class ImageDataset(DepthDataset):
    """Augmented images, as `DepthDataset` gives pairs; the depth is 0 = unknown everywhere."""

    def _read(self, pair: Pair) -> tuple[Photo, NDArray[np.uint16]]:
        rgb = read_rgb(pair.rgb)
        # A broadcast zero takes no memory.
        return rgb, np.broadcast_to(np.uint16(0), rgb.shape[:2])

    def plain(self, index: int) -> Tensor:
        """One image of the network's size without augmentation, 3xHxW uint8."""
        rgb, _ = self._pair(index)
        small = cv2.resize(rgb, (self.size[1], self.size[0]), interpolation=cv2.INTER_AREA)
        return torch.from_numpy(small).permute(2, 0, 1)

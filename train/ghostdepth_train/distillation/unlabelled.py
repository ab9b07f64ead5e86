"""Unlabelled images, `DIR/rgb/NAME.jpg`, and labels of teachers, `DIR/pseudo_depth/NAME.png`.

A label is uint16 millimetres, 0 = unknown, of any size: it shows the same view as its image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from bench_depth.core.dataset import (
    PHOTO_SUFFIXES,
    Pair,
    list_files,
    read_depth,
    read_rgb,
    wrong_kind,
)
from bench_depth.core.errors import UserError
from bench_depth.core.files import is_folder, require_regular
from bench_depth.core.picture import read_header
from bench_depth.plausibility.data_checks import refuse_faults, survey_some
from bench_depth.plausibility.survey import DataSurvey, Finding
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


def require_usable_images(images: Sequence[Pair]) -> None:
    """Reads the headers of all images and of the labels that exist, before work starts.

    Args:
        images: Images of `list_unlabelled`.

    Raises:
        UserError: A file cannot be used; the line names the first one and counts the others.
    """
    refuse_faults(list(_faults(images)))


def survey_labels(images: Sequence[Pair], where: str) -> list[Finding]:
    """Decodes some images and their labels, before a training on them starts.

    Args:
        images: Images of `list_unlabelled` that have a label.
        where: Name of the labels, for messages.

    Returns:
        Warnings about the images and labels, as about the pairs of a dataset.

    Raises:
        UserError: A file cannot be used, or no label has a known pixel.
    """
    survey = DataSurvey()
    survey_some([_Labelled(image) for image in images], survey, where)
    return [Finding(found.code, f"{where}: {found.text}") for found in survey.findings()]


def _faults(images: Sequence[Pair]) -> Iterator[str]:
    for image in images:
        try:
            if read_header(image.rgb) is None:  # Of a rare kind, or no picture at all.
                read_rgb(image.rgb)
            if os.path.lexists(image.depth):
                label = read_header(image.depth)
                if label is None:
                    read_depth(image.depth)
                elif (label.bits, label.channels) != (16, 1):
                    yield wrong_kind(image.depth, label.bits, label.channels)
        except UserError as error:
            yield str(error)


@dataclass(frozen=True)
class _Labelled:
    """An image with its label as a `Frame`."""

    image: Pair

    @property
    def name(self) -> str:
        return self.image.name

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """The image and its label in the image's size."""
        rgb = read_rgb(self.image.rgb)
        return rgb, upsample_label(read_depth(self.image.depth), *rgb.shape[:2])


class UnlabelledDataset(DepthDataset):
    """Augmented images and their labels, as `DepthDataset` gives pairs.

    An item is 3xHxW uint8 RGB and 1xHxW float32 metres, 0 where the label is unknown and
    everywhere where there is no label.
    """

    def _read(self, pair: Pair) -> tuple[Photo, NDArray[np.uint16]]:
        if pair.depth.is_file():
            return _Labelled(pair).read()
        rgb = read_rgb(pair.rgb)
        return rgb, np.zeros(rgb.shape[:2], np.uint16)


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

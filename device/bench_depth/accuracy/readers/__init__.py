"""Readers of published depth datasets in their original layout.

One module per dataset, with `frames(path, split)`, which finds the dataset's frames without reading
them, and `recognise(path)`. `bench-depth --data` and training's `convert` use both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, TypeVar

from bench_depth.accuracy.readers import diode, kitti, nyu, tum
from bench_depth.accuracy.readers.frame import DatasetFrame
from bench_depth.core.dataset import Frame, list_pairs
from bench_depth.core.errors import UserError
from bench_depth.core.files import is_folder, plain_name, require_regular
from bench_depth.model.released import samples_hint

AUTO, FOLDER = "auto", "folder"
T = TypeVar("T")


@dataclass(frozen=True)
class DatasetFormat:
    """The format of a published dataset.

    Attributes:
        looks_like: Name of the dataset and the files it is recognised by, for error messages.
        recognise: Returns whether a path has this format, from a few file names or bytes.
        frames: Finds the frames below a path, or those of one split.
        note: Limitation of the dataset's depth that is logged; empty for none.
    """

    looks_like: str
    recognise: Callable[[Path], bool]
    frames: Callable[[Path, Optional[str]], list[DatasetFrame]]
    note: str = ""


DATASET_FORMATS: Mapping[str, DatasetFormat] = {
    "nyu": DatasetFormat(nyu.LOOKS_LIKE, nyu.recognise, nyu.frames),
    "tum": DatasetFormat(tum.LOOKS_LIKE, tum.recognise, tum.frames),
    "kitti": DatasetFormat(kitti.LOOKS_LIKE, kitti.recognise, kitti.frames, kitti.NOTE),
    "diode": DatasetFormat(diode.LOOKS_LIKE, diode.recognise, diode.frames, diode.NOTE),
}
FORMAT_NAMES = (AUTO, FOLDER, *DATASET_FORMATS)
_FOLDER_LOOKS_LIKE = "a dataset folder (rgb/NAME.jpg + depth/NAME.png)"


@dataclass(frozen=True)
class Dataset:
    """Photos with ground truth, each read on demand.

    Attributes:
        label: Name in results: the path, and the split or subset that was used.
        frames: The frames, sorted by name or time.
        note: Limitation of the dataset's depth that is logged; empty for none.
    """

    label: str
    frames: Sequence[Frame]
    note: str = ""


def open_dataset(
    path: Path, kind: str = AUTO, split: Optional[str] = None, limit: Optional[int] = None
) -> Dataset:
    """Finds the frames of a dataset folder or of a published dataset.

    Args:
        path: A folder, or NYU's .mat file.
        kind: One of `FORMAT_NAMES`; `auto` recognises the format.
        split: Name of a split, for datasets that have some; None for all frames.
        limit: Largest number of frames, evenly spaced over all; None for all.

    Raises:
        UserError: There is nothing at `path`, its format is not recognised, the format or the split
            is unknown, or files are missing, damaged or in another layout.
    """
    path = Path(path)
    if kind not in FORMAT_NAMES:
        raise UserError(f"unknown data format {kind!r}; known are {', '.join(FORMAT_NAMES)}")
    if kind == AUTO:
        kind = recognise(path)
    parts = [] if kind == FOLDER else [kind]
    frames: Sequence[Frame] = (
        _folder(path, split) if kind == FOLDER else find_frames(kind, path, split)
    )
    if split is not None:
        parts.append(split)
    if limit is not None and limit < len(frames):
        parts.append(f"{limit} of {len(frames)}")
        frames = evenly_spaced(frames, limit)
    label = f"{path} ({', '.join(parts)})" if parts else str(path)
    return Dataset(label, frames, "" if kind == FOLDER else DATASET_FORMATS[kind].note)


def recognise(path: Path) -> str:
    """Returns the format of the dataset at `path`: `folder` or a key of `DATASET_FORMATS`.

    Raises:
        UserError: There is nothing at `path`, or no known dataset.
    """
    if not os.path.lexists(path):
        raise UserError(f"{path} does not exist; give the path of a dataset{samples_hint(path)}")
    if not is_folder(path):
        require_regular(path)
    for name, dataset_format in DATASET_FORMATS.items():
        if dataset_format.recognise(path):
            return name
    # Last: a TUM sequence has rgb/ and depth/ too, with depth in another unit.
    if any((path / name).is_dir() for name in ("rgb", "depth")):
        return FOLDER
    known = [_FOLDER_LOOKS_LIKE, *(each.looks_like for each in DATASET_FORMATS.values())]
    raise UserError(f"{path} is no dataset; looked for {'; '.join(known)}; give the path of one")


def find_frames(kind: str, path: Path, split: Optional[str] = None) -> list[DatasetFrame]:
    """Finds the frames of a published dataset without reading them.

    Args:
        kind: A key of `DATASET_FORMATS`.
        path: The dataset's file or folder, as its module describes it.
        split: Name of a split, for datasets that have some; None for all frames.

    Raises:
        UserError: The format or split is unknown, there is nothing at `path`, a file is missing or
            not in the dataset's format, two frames would have the same name, or one a name that is
            no plain file name.
    """
    path = Path(path)
    if kind not in DATASET_FORMATS:
        raise UserError(f"unknown source {kind!r}; known are {', '.join(DATASET_FORMATS)}")
    if not os.path.lexists(path):
        raise UserError(f"{path} does not exist; give the path of the {kind} data")
    if not is_folder(path):
        require_regular(path)
    frames = DATASET_FORMATS[kind].frames(path, split)
    seen: set[str] = set()
    for frame in frames:
        plain_name(frame.name, f"{path}: the name of a photo")
        if frame.name in seen:
            raise UserError(f"two photos of the dataset are called {frame.name}; rename one")
        seen.add(frame.name)
    return frames


def evenly_spaced(items: Sequence[T], limit: int) -> list[T]:
    """Selects `limit` items: the middle one of each of `limit` equal sections.

    Raises:
        ValueError: `limit` is not from 1 to the number of items.
    """
    if not 1 <= limit <= len(items):
        raise ValueError(f"cannot take {limit} of {len(items)}")
    return [items[(2 * i + 1) * len(items) // (2 * limit)] for i in range(limit)]


def _folder(path: Path, split: Optional[str]) -> Sequence[Frame]:
    if split is not None:
        raise UserError(
            f"a dataset folder has no splits; give {path / split} and leave the split out"
        )
    return list_pairs(path)

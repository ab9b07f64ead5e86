"""Depth datasets as they were published, read where they lie.

One file per source. Each has `frames(path, split)`, which finds the source's pairs and says how to
read them, and `recognise(path)`. `bench-depth --data` and training's `convert` use both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, TypeVar

from bench_depth.accuracy.readers import diode, kitti, nyu, tum
from bench_depth.accuracy.readers.frame import DatasetFrame
from bench_depth.core.dataset import Frame, list_pairs
from bench_depth.core.errors import UserError

AUTO, FOLDER = "auto", "folder"
T = TypeVar("T")


@dataclass(frozen=True)
class DatasetFormat:
    """A published dataset's format.

    Attributes:
        looks_like: What it is recognised by, for a message.
        recognise: Whether a path is one, from a few names or bytes.
        frames: Finds the pairs of a path, or those of one split.
        note: What a user must know of its depth.
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
    """Photos with their depth; none is read before it is asked for.

    Attributes:
        label: What it is called in results: the path, and which part of it was taken.
        frames: The pairs, by name or time.
        note: What a user must know of its depth; often nothing.
    """

    label: str
    frames: Sequence[Frame]
    note: str = ""


def open_dataset(
    path: Path, kind: str = AUTO, split: Optional[str] = None, limit: Optional[int] = None
) -> Dataset:
    """Finds the pairs of a dataset folder or of a published dataset.

    Args:
        path: A folder, or NYU's .mat file.
        kind: One of `FORMAT_NAMES`; `auto` looks at what is there.
        split: A part of a source that has named parts; None takes all.
        limit: At most so many pairs, evenly spread over all; None for all.

    Raises:
        UserError: There is nothing at `path`, it is of no known format, the format or the split is
            unknown, or files are missing, damaged or laid out otherwise.
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
    """The format of what lies at `path`: `folder` or a key of `DATASET_FORMATS`.

    Raises:
        UserError: There is nothing, or nothing known.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; give the place of a dataset")
    for name, source in DATASET_FORMATS.items():
        if source.recognise(path):
            return name
    # Last: a TUM sequence has rgb/ and depth/ too, with depth in other steps.
    if any((path / part).is_dir() for part in ("rgb", "depth")):
        return FOLDER
    known = [_FOLDER_LOOKS_LIKE, *(source.looks_like for source in DATASET_FORMATS.values())]
    raise UserError(f"{path} is no dataset; looked for {'; '.join(known)}; give the path of one")


def find_frames(source: str, path: Path, split: Optional[str] = None) -> list[DatasetFrame]:
    """The pairs of a published dataset, found but not read.

    Args:
        source: A key of `DATASET_FORMATS`.
        path: The source's file or folder, as its module describes it.
        split: A part of the source, where it has named parts; None takes all.

    Raises:
        UserError: An unknown source or split, nothing at `path`, a file is missing or not in the
            source's format, or two pairs would have one name.
    """
    path = Path(path)
    if source not in DATASET_FORMATS:
        raise UserError(f"unknown source {source!r}; known are {', '.join(DATASET_FORMATS)}")
    if not path.exists():
        raise UserError(f"{path} does not exist; give the place of the {source} data")
    frames = DATASET_FORMATS[source].frames(path, split)
    seen: set[str] = set()
    for frame in frames:
        if frame.name in seen:
            raise UserError(f"two photos of the source would be called {frame.name}; rename one")
        seen.add(frame.name)
    return frames


def evenly_spaced(items: Sequence[T], limit: int) -> list[T]:
    """`limit` of the items: the middle of each of as many equal parts.

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

"""KITTI depth: streets from a car (https://www.cvlibs.net/datasets/kitti).

Uhrig et al., Sparsity Invariant CNNs, 3DV 2017.

Depth PNGs are uint16, 256 steps per metre, 0 = unknown (most pixels: the ground truth is
accumulated laser scans). Pixels above 65.535 m, which uint16 millimetres cannot hold, become
unknown. `path` has one of two layouts:

- the benchmark: `{train,val}/DRIVE/proj_depth/groundtruth/image_02/NNNNNNNNNN.png`, with the photos
  of the raw data beside it, `DATE/DRIVE/image_02/data/NNNNNNNNNN.png`, or .jpg where they were
  converted to save space. The left colour camera
  (image_02) is used. The benchmark has no ground truth for the first and last five frames of a
  drive; photos without it are left out. split is "train", "val" or None for both.
- its small validation set: `val_selection_cropped/{image,groundtruth_depth}/*.png`; `path` is that
  folder, or the one that contains `depth_selection/`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Optional

from bench_depth.accuracy.readers.frame import DatasetFrame, read_png16, require_file
from bench_depth.core.errors import UserError

STEPS_PER_METRE = 256.0
SPLITS = ("train", "val")
LOOKS_LIKE = (
    "KITTI depth (train/ or val/DRIVE_sync/proj_depth, depth_selection/, or groundtruth_depth/)"
)
NOTE = "KITTI's depth beyond 65.535 m counts as unknown"


def recognise(path: Path) -> bool:
    """Returns whether `path` has a folder of one of the layouts."""
    drives = (path.glob(f"{split}/*_sync/proj_depth") for split in SPLITS)
    selections = ("groundtruth_depth", "depth_selection")
    return any(map(any, drives)) or any((path / name).is_dir() for name in selections)


def frames(path: Path, split: Optional[str] = None) -> list[DatasetFrame]:
    """Finds the frames, sorted by drive and number.

    Raises:
        UserError: Neither layout is there, a depth map has no photo, or the split is unknown.
    """
    if split is not None and split not in SPLITS:
        raise UserError(f"kitti has no split {split!r}; it has {' and '.join(SPLITS)}")
    found = _benchmark(path, SPLITS if split is None else (split,))
    if not found and split is None:
        found = _selection(path) or _selection(path / "depth_selection" / "val_selection_cropped")
    if not found:
        raise UserError(
            f"{path} is empty: it holds neither "
            f"{split or 'train'}/DRIVE/proj_depth/groundtruth/image_02/*.png nor "
            "groundtruth_depth/*.png; give the folder that KITTI's depth was unpacked in"
        )
    return found


def _benchmark(path: Path, splits: tuple[str, ...]) -> list[DatasetFrame]:
    found = []
    for split in splits:
        for depth in sorted(path.glob(f"{split}/*_sync/proj_depth/groundtruth/image_02/*.png")):
            drive = depth.parents[3].name
            date = drive[: len("2011_09_26")]
            photo = path / date / drive / "image_02" / "data" / depth.name
            found.append(_frame(f"{drive}_{depth.stem}", photo, depth))
    return found


def _selection(folder: Path) -> list[DatasetFrame]:
    found = []
    for depth in sorted((folder / "groundtruth_depth").glob("*.png")):
        photo = folder / "image" / depth.name.replace("_groundtruth_depth_", "_image_")
        found.append(_frame(photo.stem, photo, depth))
    return found


def _frame(name: str, photo: Path, depth: Path) -> DatasetFrame:
    converted = photo.with_suffix(".jpg")
    photo = converted if converted.is_file() and not photo.is_file() else photo
    require_file(photo, f"{depth} is its depth map")
    return DatasetFrame(name, photo, partial(read_png16, depth, STEPS_PER_METRE))

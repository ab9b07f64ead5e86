"""DIODE: laser-scanned rooms and streets (https://diode-dataset.org).

Vasiljevic et al., DIODE: A Dense Indoor and Outdoor DEpth Dataset, arXiv:1908.00463.

`path` is a folder such as `train`, `val` or `val/indoors`. Below it, in `scene_*/scan_*` folders, a
photo is `NAME.png`, its depth `NAME_depth.npy` (HxWx1 float32 metres) and the mask of valid depth
`NAME_depth_mask.npy` (HxW, 1 = valid). Invalid pixels become 0 = unknown, and so do those above
65.535 m, which uint16 millimetres cannot hold. Frames are named by their path below `path`, with -
for /.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.accuracy.readers.frame import DatasetFrame, millimetres, require_file
from bench_depth.core.dataset import read_npy
from bench_depth.core.errors import UserError

DEPTH, MASK = "_depth.npy", "_depth_mask.npy"
LOOKS_LIKE = f"DIODE (scene_*/scan_*/NAME.png + NAME{DEPTH} + NAME{MASK})"
NOTE = "DIODE's depth beyond 65.535 m counts as unknown"


def recognise(path: Path) -> bool:
    """Returns whether `path` is a scan or a few folders above scans.

    A search of everything below would take minutes where `path` is something else.
    """
    folders = ("", "scan_*/", "scene_*/scan_*/", "*/scene_*/scan_*/", "*/*/scene_*/scan_*/")
    return any(any(path.glob(f"{folder}*{DEPTH}")) for folder in folders)


def frames(path: Path, split: Optional[str] = None) -> list[DatasetFrame]:
    """Finds the frames below `path`, sorted by path.

    Raises:
        UserError: There are none, one of photo, depth map and mask is missing, or a split is given.
    """
    if split is not None:
        raise UserError(f"diode's splits are folders; give {path / split} and leave the split out")
    for depth in sorted(path.rglob(f"*{DEPTH}")):
        photo = depth.with_name(depth.name.removesuffix(DEPTH) + ".png")
        require_file(photo, f"{depth} is its depth map")
    found = []
    for photo in sorted(path.rglob("*.png")):
        depth = require_file(photo.with_name(photo.stem + DEPTH), f"{photo} is its photo")
        mask = require_file(photo.with_name(photo.stem + MASK), f"{photo} is its photo")
        name = "-".join(photo.relative_to(path).with_suffix("").parts)
        found.append(DatasetFrame(name, photo, partial(_masked_depth, depth, mask)))
    if not found:
        raise UserError(f"{path} is empty: no NAME.png with NAME{DEPTH} and NAME{MASK} below it")
    return found


def _masked_depth(depth_path: Path, mask_path: Path) -> NDArray[np.uint16]:
    depth, mask = read_npy(depth_path), read_npy(mask_path)
    if depth.ndim != 3 or depth.shape[2] != 1 or depth.dtype.kind != "f":
        raise UserError(
            f"{depth_path} is {depth.dtype} {depth.shape}, but must be float HxWx1 metres"
        )
    if mask.shape != depth.shape[:2]:
        raise UserError(
            f"{mask_path} is {mask.shape}, but must be {depth.shape[:2]} like {depth_path.name}"
        )
    if mask.dtype.kind not in "biuf":
        raise UserError(f"{mask_path} is {mask.dtype}, but must be numbers, 1 = valid")
    return millimetres(np.where(mask > 0, depth[:, :, 0], 0).astype(np.float32))

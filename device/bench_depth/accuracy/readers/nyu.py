"""NYU Depth v2, the labelled set (https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html).

Silberman et al., Indoor Segmentation and Support Inference from RGBD Images, ECCV 2012.

`path` is `nyu_depth_v2_labeled.mat`, a MATLAB 7.3 file and so HDF5: 1449 photos in `images` and
their filled-in depth maps, metres, in `depths`. HDF5 lists MATLAB's axes from last to first, so
that H x W x 3 x N arrives as N x 3 x W x H. It is read with h5py.

The official split is a file of its own, `splits.mat` (MATLAB 5, indices from 1), which must lie
beside `path` when split is "train" (795 pairs) or "test" (654). It is read with SciPy. Pairs are
named by their index in the .mat file, from 0000. h5py and SciPy are bench-depth's extra `nyu`.
"""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.accuracy.readers.frame import DatasetFrame, millimetres
from bench_depth.core.errors import UserError
from bench_depth.core.files import open_regular, require_regular
from bench_depth.core.opencv import MAX_PIXELS

SPLITS = {"train": "trainNdxs", "test": "testNdxs"}
FILE = "nyu_depth_v2_labeled.mat"
LOOKS_LIKE = f"NYU Depth v2 ({FILE}, a MATLAB 7.3 file)"
_HDF5 = b"\x89HDF\r\n\x1a\n"
# MATLAB puts a header of this size before the HDF5 data.
_MATLAB_HEADER = 512
# The set has 1449.
_MOST_PHOTOS = 100_000


def recognise(path: Path) -> bool:
    """Returns whether `path` is an HDF5 file, or a folder with the published one."""
    if path.is_dir():
        return (path / FILE).is_file()
    try:
        with open_regular(path) as stream:
            start = stream.read(_MATLAB_HEADER + len(_HDF5))
    except (OSError, UserError):
        return False
    return start.startswith(_HDF5) or start[_MATLAB_HEADER:] == _HDF5


def frames(path: Path, split: Optional[str] = None) -> list[DatasetFrame]:
    """Finds the frames of the .mat file, or those of the official "train" or "test" split.

    Raises:
        UserError: The file or `splits.mat` is missing, truncated or in another layout, the split is
            unknown, or a library is not installed.
    """
    if split is not None and split not in SPLITS:
        raise UserError(f"nyu has no split {split!r}; it has train and test")
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the file {FILE} itself")
    count = _count(path)
    indices = range(count) if split is None else _split_indices(path, split, count)
    return [
        DatasetFrame(f"{i:04d}", partial(_photo, path, i), partial(_depth, path, i))
        for i in indices
    ]


def _photo(path: Path, index: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(_read(path, "images", index).transpose(2, 1, 0), np.uint8)


def _depth(path: Path, index: int) -> NDArray[np.uint16]:
    return millimetres(np.ascontiguousarray(_read(path, "depths", index).T, np.float32))


def _read(path: Path, name: str, index: int) -> Any:
    # Opened for each image: that takes a millisecond, and no file stays open behind a frame.
    try:
        with _library("h5py").File(path, "r") as file:
            return _array(file, name, path)[index]
    except (OSError, RuntimeError, KeyError, MemoryError) as error:
        raise _unreadable(path, f"{name} {index}", error) from error


def _array(file: Any, name: str, path: Path) -> Any:
    """One of the two arrays, which lies in the file itself.

    HDF5 would open other files, a pipe as well, for a link and for data that a header says are
    stored there.
    """
    if name not in file.keys():  # noqa: SIM118  # `in file` follows a link.
        raise UserError(f"{path} has no array {name!r}; is it the labelled NYU set?")
    h5py = _library("h5py")
    found: Any = None
    if isinstance(file.get(name, getlink=True), h5py.HardLink):
        found = file[name]
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise UserError(f"{path}: {name!r} is no array within the file; use it as it was published")
    return found


def _count(path: Path) -> int:
    """Number of frames; reads the shapes only."""
    try:
        with _library("h5py").File(path, "r") as file:
            images, depths = (_array(file, name, path) for name in ("images", "depths"))
            shape = tuple(int(side) for side in images.shape or ())
            depth_shape = tuple(int(side) for side in depths.shape or ())
            types = images.dtype, depths.dtype
    except (OSError, RuntimeError, KeyError) as error:
        raise _unreadable(path, "it", error) from error
    fits = len(shape) == 4 and shape[1] == 3 and (*shape[:1], *shape[2:]) == depth_shape
    if not fits or types[0] != np.uint8 or types[1].kind != "f":
        raise UserError(
            f"{path}: images are {types[0]} {shape} and depths {types[1]} {depth_shape}, but must "
            "be uint8 N x 3 x W x H and float N x W x H; use the .mat file as it was published"
        )
    count, pixels = int(shape[0]), int(shape[2] * shape[3])
    if not count:
        raise UserError(f"{path} is empty: it holds no photo")
    if count > _MOST_PHOTOS or not 0 < pixels <= MAX_PIXELS:
        raise UserError(
            f"{path} claims {count} photos of {shape[2]}x{shape[3]} pixels; use the .mat file as "
            "it was published"
        )
    return count


def _library(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise UserError(
            f"NYU's .mat files are read with {package}, which cannot be loaded ({error}); "
            f"run: pip install {package}"
        ) from error


def _split_indices(path: Path, split: str, count: int) -> list[int]:
    splits = path.parent / "splits.mat"
    if not os.path.lexists(splits):
        raise UserError(
            f"split {split!r} needs {splits}, which is missing; put it beside {path.name}"
        )
    require_regular(splits)
    name, scipy_io = SPLITS[split], _library("scipy.io")
    try:
        numbers = scipy_io.loadmat(splits, variable_names=[name]).get(name)
    except Exception as error:  # SciPy has no error of its own for damaged files.
        raise _unreadable(splits, "it", error) from error
    if numbers is None:
        raise UserError(f"{splits} has no variable {name}; use the file as it was published")
    if numbers.dtype.kind not in "iuf":
        raise UserError(f"{splits}: {name} is not numeric; use the file as it was published")
    # NaN fails the comparison.
    if not numbers.size or not np.all((numbers >= 1) & (numbers <= count)):
        raise UserError(f"{splits}: {name} is empty or has indices that {path.name} lacks")
    return sorted(int(number) - 1 for number in numbers.flat)


def _unreadable(path: Path, what: str, error: Exception) -> UserError:
    return UserError(
        f"{path}: cannot read {what} ({error}); the file may be truncated, download it again"
    )

"""The frames that networks with and without a state are measured on, with ground truth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench_depth.accuracy.temporal import Motion, camera_motion
from bench_depth.core.dataset import Pair, list_pairs, read_pair
from bench_depth.core.errors import UserError
from ghostdepth_train.data.clips import CropPath
from numpy.typing import NDArray

# Rows and columns of the frames that are made from single pairs.
SIZE = (120, 160)
FRAMES = 8
ZOOM, MOTION = 1.5, 1.0
# Standard deviation of the camera noise, in grey levels of 255.
NOISE = 6.0
Depths = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """Frames with ground truth.

    Attributes:
        rgb: TxHxWx3 uint8.
        depth: TxHxW metres, 0 = unknown.
        motions: Where each frame's points lie in the next one, T - 1 of them.
    """

    rgb: NDArray[np.uint8]
    depth: Depths
    motions: Sequence[Motion]


def crop_clips(pairs: Sequence[Pair], moving: bool) -> Iterator[Clip]:
    """A clip from each pair: a window that moves over it, or all of it standing still."""
    for index, pair in enumerate(pairs):
        rgb, depth_mm = read_pair(pair)
        depth = np.asarray(depth_mm, np.float32) / np.float32(1000)
        rng = np.random.default_rng((0, index))
        path = CropPath((1, 1), ((0, 0), (0, 0)))
        if moving:
            path = CropPath.draw(rng, ZOOM, MOTION)
        times = [frame / (FRAMES - 1) for frame in range(FRAMES)]
        views = [path.view(rgb, depth, at, SIZE) for at in times]
        photos = np.stack([photo for photo, _ in views])
        noise = np.float32(NOISE) * rng.standard_normal(photos.shape, np.float32)
        yield Clip(
            np.asarray(np.rint(np.clip(photos + noise, 0, 255)), np.uint8),
            np.stack([near for _, near in views]),
            [crop_motion(path, at, after, depth.shape) for at, after in itertools.pairwise(times)],
        )


def crop_motion(path: CropPath, at: float, after: float, picture: tuple[int, ...]) -> Motion:
    """Where the pixels of a moving crop lie a frame later; NaN where they have left it.

    Args:
        path: Path of the moving crop.
        at: Time of the frame, 0..1.
        after: Time of the next frame.
        picture: Rows and columns of the picture that the crop moves on.
    """
    rows, columns = np.indices(SIZE)
    # A crop moves and grows, but does not turn: the last of the three is 1.
    pixels = np.stack([columns, rows, np.ones_like(rows)])
    place = np.tensordot(path.motion(at, after, (picture[0], picture[1]), SIZE), pixels, 1)[:2]
    ends = np.array([SIZE[1], SIZE[0]])[:, None, None] - 0.5
    place[:, ((place < -0.5) | (place >= ends)).any(0)] = math.nan
    x, y = place.astype(np.float32)
    return x, y


def walk_clip(folder: Path) -> Clip:
    """The frames of a folder with `poses.txt` and `intrinsics_640x480.txt`."""
    pairs = [read_pair(pair) for pair in list_pairs(folder)]
    depth = np.stack([mm for _, mm in pairs]).astype(np.float32) / np.float32(1000)
    poses = np.loadtxt(folder / "poses.txt", usecols=range(1, 17)).reshape(-1, 4, 4)
    if len(poses) != len(pairs):
        raise UserError(
            f"{folder / 'poses.txt'} has {len(poses)} poses for {len(pairs)} frames; "
            "give one line for each"
        )
    intrinsics = np.loadtxt(folder / "intrinsics_640x480.txt")
    intrinsics[:2] *= depth.shape[2] / 640
    intrinsics[:2, 2] -= 0.5
    motions = [
        camera_motion(depth[i], depth[i + 1], np.linalg.inv(poses[i + 1]) @ poses[i], intrinsics)
        for i in range(len(pairs) - 1)
    ]
    return Clip(np.stack([rgb for rgb, _ in pairs]), depth, motions)

"""How steady depth is from frame to frame: its error along the camera's motion, and its flicker.

Video depth is measured by OPW (Wang et al., "Less is More: Consistent Video Depth Estimation with
Masked Frames Modeling", ACM Multimedia 2022): the depth of a frame is warped to the next one by
optical flow and compared with the depth there, where the point is seen in both. Here the known
motion of the camera stands for the optical flow, and the error of log depth for the depth, so that
a point that truly comes nearer counts nothing:

    e_t(p) = ln D_t(p) - ln G_t(p)
    temporal error = mean |e_(t+1)(p') - e_t(p)| over the points p that are seen at p' next

with predicted depth D and ground truth G. It is 0 for a perfect depth, and for one that is wrong by
the same factor all the time.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float64]
Motion = tuple[NDArray[np.float32], NDArray[np.float32]]
# A point is seen in the next frame if the depth there is its own, up to this fraction.
_SAME = 0.05


def log_error(depth: NDArray[np.generic], ground_truth: NDArray[np.generic]) -> Map:
    """ln(depth) - ln(ground truth), NaN where the ground truth is 0 = unknown.

    Args:
        depth: HxW predicted depth, above 0.
        ground_truth: HxW in the same unit.
    """
    known = np.asarray(ground_truth, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.log(np.asarray(depth, np.float64)) - np.log(known)
    return np.where(known > 0, error, np.nan)


def camera_motion(
    ground_truth: NDArray[np.generic],
    next_ground_truth: NDArray[np.generic],
    motion: NDArray[np.float64],
    intrinsics: NDArray[np.float64],
) -> Motion:
    """Where each pixel's point lies in the next frame.

    Args:
        ground_truth: HxW metres, 0 = unknown.
        next_ground_truth: HxW metres of the next frame.
        motion: 4x4, camera of this frame to camera of the next one.
        intrinsics: 3x3 of both frames; pixel (0, 0) has its middle at (0, 0).

    Returns:
        Column and row in the next frame, HxW each; NaN where the point is not seen there.
    """
    z = np.asarray(ground_truth, np.float64)
    rows, columns = np.indices(z.shape)
    rays = np.stack([columns, rows, np.ones_like(z)], -1) @ np.linalg.inv(intrinsics).T
    moved = (rays * z[..., None]) @ motion[:3, :3].T + motion[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = ((moved @ intrinsics.T)[..., :2] / moved[..., 2:]).transpose(2, 0, 1)
        x, y = x.astype(np.float32), y.astype(np.float32)
        there = _at(np.asarray(next_ground_truth, np.float64), (x, y))
        seen = (z > 0) & (np.abs(there / moved[..., 2] - 1) < _SAME)
    x[~seen] = y[~seen] = np.nan
    return x, y


def temporal_error(errors: Sequence[Map], motions: Sequence[Motion]) -> float:
    """The temporal error of a clip; lower is better, 0 is best.

    Args:
        errors: HxW `log_error` of each frame.
        motions: Position in the next frame of each point of a frame; one fewer than `errors`.

    Returns:
        The mean over all points that are seen in two frames; NaN without any.

    Raises:
        ValueError: The numbers of errors and motions do not fit.
    """
    if len(errors) != len(motions) + 1:
        raise ValueError(f"{len(errors)} frames have {len(errors) - 1} motions, not {len(motions)}")
    changes = [
        np.abs(_at(after, motion) - before)
        for before, after, motion in zip(errors, errors[1:], motions)
    ]
    every = np.concatenate([change[np.isfinite(change)] for change in changes] or [np.empty(0)])
    return float(every.mean()) if every.size else float("nan")


def flicker(depths: Sequence[NDArray[np.generic]]) -> float:
    """How much the depth of a still scene changes: lower is better, 0 is best.

    Args:
        depths: HxW predicted depth of each frame, above 0; at least two frames.

    Returns:
        Standard deviation of ln(depth) over the frames, the mean over the pixels.

    Raises:
        ValueError: There are fewer than two frames.
    """
    if len(depths) < 2:
        raise ValueError(f"flicker needs at least two frames, got {len(depths)}")
    return float(np.log(np.asarray(np.stack(list(depths)), np.float64)).std(0).mean())


def _at(values: Map, place: Motion) -> Map:
    """Values at the pixels nearest to places; NaN outside and where the place is NaN."""
    x, y = (np.nan_to_num(part, nan=-10.0) for part in place)
    found = cv2.remap(
        values,
        np.asarray(x, np.float32),
        np.asarray(y, np.float32),
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=float("nan"),
    )
    return np.asarray(found, np.float64)

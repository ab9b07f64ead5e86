"""How sharp the edges of a predicted depth map are, and whether they are where they belong.

Depth-boundary errors follow Koch et al., "Evaluation of CNN-based Single-Image Depth Estimation
Methods", ECCV Workshops 2018 (iBims-1), with two differences: the ground truth's edges are found in
its depth, as datasets have no drawn ones, and a predicted edge farther than `MAX_DISTANCE_PX` from
every ground-truth one counts as that far instead of being ignored, so that invented edges are an
error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.core.metrics import MIN_MM, DepthMetrics, aligned, depth_metrics

# Larger maps are reduced to this longer side, half that of the paper's images, and distances are in
# its pixels. At 640 the depth of small networks, made at 80 to 160, has hardly an edge that is
# steep enough to be one, so that all would score 10; and it would take four times as long.
MAX_SIDE = 320
MAX_DISTANCE_PX = 10.0
# Of the Gaussian before Canny, and Canny's two on the Sobel gradient of depth from 0 to 1: those of
# the authors' evaluation script.
SIGMA = 2.0**0.5
LOW, HIGH = 0.15, 0.3
# Canny takes gradients in int16; those of depth from 0 to 1 are within -4 and 4.
_STEPS = 8000

_Map = NDArray[np.float32]


class Sharpness(NamedTuple):
    """The sharpness of one map; the fields of the same names of `DepthMetrics`."""

    dbe_acc: float
    dbe_comp: float
    edge_energy: float


def metrics_with_sharpness(
    prediction_mm: NDArray[np.floating], ground_truth_mm: NDArray[np.generic], align: str = "none"
) -> Optional[DepthMetrics]:
    """Computes `depth_metrics` and, where the ground truth has edges, `sharpness` as well.

    Args:
        prediction_mm: Predicted depth, HxW, any float dtype, millimetres.
        ground_truth_mm: Ground truth, HxW, usually uint16, millimetres, 0 = unknown.
        align: Alignment of the prediction, one of `metrics.ALIGNMENTS`.

    Returns:
        The metrics, or None when no pixel of the ground truth is valid.

    Raises:
        ValueError: The shapes differ, or `align` is unknown.
    """
    metrics = depth_metrics(prediction_mm, ground_truth_mm, align)
    if metrics is None:
        return None
    found = sharpness(prediction_mm, ground_truth_mm, align)
    return metrics if found is None else replace(metrics, **found._asdict())


def sharpness(
    prediction_mm: NDArray[np.floating], ground_truth_mm: NDArray[np.generic], align: str = "none"
) -> Optional[Sharpness]:
    """Compares the edges of a predicted depth map with those of its ground truth.

    Edges are Canny's on depth between its least and greatest value in the image. Edges are counted
    at pixels with ground truth only; where it is unknown, the nearest known depth stands for it, so
    that a hole has no edge of its own.

    Args:
        prediction_mm: See `metrics_with_sharpness`.
        ground_truth_mm: See `metrics_with_sharpness`; at least one pixel is valid.
        align: See `metrics_with_sharpness`.

    Returns:
        The sharpness, or None when the ground truth has no edge.

    Raises:
        ValueError: The shapes differ, or `align` is unknown.
    """
    if align != "none":
        prediction_mm = aligned(prediction_mm, ground_truth_mm, align)
    prediction = np.maximum(_bounded(prediction_mm), np.float32(MIN_MM))
    ground_truth = _bounded(ground_truth_mm)
    if prediction.shape != ground_truth.shape:
        raise ValueError(
            f"prediction is {prediction_mm.shape}, ground truth is {ground_truth_mm.shape}"
        )
    known = ground_truth > MIN_MM
    if not known.any():
        return None
    ground_truth = _filled(ground_truth, known)
    all_true, all_predicted = edges(ground_truth, known), edges(prediction, known)
    true, predicted = all_true & known, all_predicted & known
    if not true.any():
        return None
    steepness = _steepness(prediction)[true].sum(dtype=np.float64)
    return Sharpness(
        dbe_acc=_mean_distance(predicted, all_true),
        dbe_comp=_mean_distance(true, all_predicted),
        edge_energy=float(steepness / _steepness(ground_truth)[true].sum(dtype=np.float64)),
    )


def edges(depth: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Finds the depth boundaries of a map.

    Args:
        depth: Depth, HxW float32, any unit.
        known: HxW; the depth is scaled so that its values here are from 0 to 1.

    Returns:
        HxW, true at the pixels of edges.
    """
    low, high = float(depth[known].min()), float(depth[known].max())
    if not high > low:
        return np.zeros(depth.shape, bool)
    scaled = np.clip((depth - low) / (high - low), 0, 1)
    dx, dy = (gradient.astype(np.int16) for gradient in _gradients(scaled, _STEPS))
    return np.asarray(cv2.Canny(dx, dy, LOW * _STEPS, HIGH * _STEPS, L2gradient=True) > 0)


def _gradients(values: _Map, scale: float) -> tuple[Any, Any]:
    smooth = cv2.GaussianBlur(values, (0, 0), SIGMA)
    horizontal = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=scale)
    return horizontal, cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=scale)


def _steepness(depth: _Map) -> _Map:
    """The magnitude of the gradient of log depth."""
    return np.asarray(cv2.magnitude(*_gradients(np.log(depth), 1.0)))


def _mean_distance(of: NDArray[np.bool_], to: NDArray[np.bool_]) -> float:
    """Mean distance of the pixels `of` to the nearest of `to`, each at most `MAX_DISTANCE_PX`."""
    if not (of.any() and to.any()):
        return MAX_DISTANCE_PX
    distances = cv2.distanceTransform(np.asarray(~to, np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squares of distances are integers; OpenCV's last digits differ with its number of threads.
    exact = np.sqrt(np.rint(np.square(distances[of], dtype=np.float64)))
    return float(np.minimum(exact, MAX_DISTANCE_PX).mean())


def _filled(depth: _Map, known: NDArray[np.bool_]) -> _Map:
    """The map with the depth of the nearest known pixel wherever it is unknown."""
    if known.all():
        return depth
    _, found = cv2.distanceTransformWithLabels(
        np.asarray(~known, np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.asarray(found, np.intp)
    nearest = np.zeros(int(labels.max()) + 1, np.float32)
    nearest[labels[known]] = depth[known]
    return nearest[labels]


def _bounded(depth: NDArray[np.generic]) -> _Map:
    """The map in float32, without interpolation of at most `MAX_SIDE` pixels a side."""
    depth = np.asarray(depth, np.float32)
    factor = MAX_SIDE / max(depth.shape)
    if factor >= 1:
        return depth
    height, width = (max(1, round(side * factor)) for side in depth.shape)
    small = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(small, np.float32)

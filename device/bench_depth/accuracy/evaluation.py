"""Runs a loaded model over a dataset and compares its depth with the ground truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.accuracy.bands import band_errors, mean_bands
from bench_depth.accuracy.records import Accuracy, ImageAccuracy
from bench_depth.accuracy.sharpness import metrics_with_sharpness
from bench_depth.core.dataset import Frame, write_depth
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.metrics import (
    MIN_MM,
    DepthMetrics,
    depth_of_relative_inverse,
    mean_metrics,
    score,
)
from bench_depth.model.postprocess import to_depth, to_photo_size
from bench_depth.model.preprocess import to_input
from bench_depth.model.runtimes import LoadedModel
from bench_depth.model.signature import Signature


@dataclass(frozen=True)
class EvaluatedImage:
    """One photo with its ground truth and predicted depth; too large to keep many in memory.

    Attributes:
        name: Name of the photo in its dataset.
        photo: The photo, HxWx3 uint8 RGB.
        ground_truth_mm: Ground truth, HxW uint16 millimetres, 0 = unknown; at least one pixel is
            known.
        depth_mm: Predicted depth before alignment, HxW, millimetres.
        align: Alignment that `metrics` was computed with, one of `metrics.ALIGNMENTS`.
        metrics: Metrics of the image.
    """

    name: str
    photo: NDArray[np.uint8]
    ground_truth_mm: NDArray[np.uint16]
    depth_mm: NDArray[Any]
    align: str
    metrics: DepthMetrics


def predict(
    model: LoadedModel, signature: Signature, photo: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Predicts the depth of one photo, by itself: from an empty state, if the model has one.

    Args:
        model: The loaded model.
        signature: Input and output of the model.
        photo: The photo, HxWx3 uint8 RGB.

    Returns:
        Depth map of the photo's size, HxW float32, in the unit of `postprocess.to_depth`: metres,
        unless the model is relative.
    """
    model.reset()
    model.set_input(to_input(photo, signature))
    model.invoke()
    return to_photo_size(to_depth(model.output(), signature), signature, *photo.shape[:2])


def alignment(signature: Signature, requested: str) -> str:
    """Selects the alignment of a model's depth to the ground truth.

    Relative inverse depth has an unknown scale and shift, which only `inverse-affine` fits. Other
    relative depth has an unknown scale: `none` becomes `median`.

    Args:
        signature: Input and output of the model.
        requested: One of `metrics.ALIGNMENTS`; `none` is the default and allows any replacement.

    Returns:
        One of `metrics.ALIGNMENTS`.

    Raises:
        UserError: Another alignment was requested for relative inverse depth (exit code 2).
    """
    if not signature.relative:
        return requested
    if signature.quantity == "inverse-depth":
        if requested not in ("none", "inverse-affine"):
            raise UserError(
                f"relative inverse depth has an unknown scale and shift, which {requested} "
                "alignment does not fit; leave --align out for inverse-affine"
            )
        return "inverse-affine"
    return "median" if requested == "none" else requested


def evaluate(
    model: LoadedModel,
    signature: Signature,
    frames: Sequence[Frame],
    *,
    data: str,
    median_ms: float,
    align: str = "none",
    predictions: Optional[Path] = None,
    on_image: Callable[[EvaluatedImage], None] = lambda image: None,
    arm: Callable[[], None] = lambda: None,
    watch: Callable[[str, NDArray[Any], NDArray[np.uint8]], None] = lambda name, depth, photo: None,
) -> Accuracy:
    """Compares a model's depth with the ground truth of every frame.

    Args:
        model: The loaded model.
        signature: Input and output of the model.
        frames: The dataset.
        data: Name of the dataset in the results.
        median_ms: Median latency of the model in milliseconds, for the score.
        align: One of `metrics.ALIGNMENTS`; see `alignment`.
        predictions: Folder to write each predicted map to, as a 16-bit PNG in millimetres; None to
            write none. Only maps of relative models are aligned before they are written, as they
            have no millimetres otherwise.
        on_image: Called with each image that has metrics, in the dataset's order.
        arm: Called before each run of the model, to give it a time limit.
        watch: Called with the name of each photo, its depth as `predict` gives it, and the photo.

    Raises:
        UserError: A file cannot be read or written, no image has a valid pixel, the alignment is
            impossible (exit code 2), or the model outputs NaN or infinity (3).
    """
    images, bands, left_out = [], [], []
    align = alignment(signature, align)
    for frame in frames:
        photo, ground_truth_mm = frame.read()
        arm()
        depth = predict(model, signature, photo)
        if not np.isfinite(depth).all():
            raise UserError(
                f"the model gives NaN or infinity for the photo {frame.name} of {data}; "
                "train or export it again",
                MODEL_FAILED,
            )
        watch(frame.name, depth, photo)
        depth_mm = _millimetres(depth, ground_truth_mm, signature)
        if predictions is not None and depth_mm is not None:
            write_depth(predictions / f"{frame.name}.png", depth_mm)
        # Relative inverse depth was aligned when it was converted to millimetres.
        left = "none" if signature.relative and signature.quantity == "inverse-depth" else align
        metrics = None
        if depth_mm is not None:
            metrics = metrics_with_sharpness(depth_mm, ground_truth_mm, left)
        if depth_mm is None or metrics is None:
            left_out.append(frame.name)
        else:
            images.append(ImageAccuracy(frame.name, metrics))
            bands.append(band_errors(depth_mm, ground_truth_mm, left))
            on_image(EvaluatedImage(frame.name, photo, ground_truth_mm, depth_mm, left, metrics))
    if not images:
        raise UserError(f"no depth map in {data} has a valid pixel; all are 0 (unknown)")
    mean = mean_metrics([image.metrics for image in images])
    points = score(mean.si_rmse, median_ms)
    return Accuracy(data, align, mean, points, images, left_out, mean_bands(bands))


def _millimetres(
    depth: NDArray[np.float32], ground_truth_mm: NDArray[np.generic], signature: Signature
) -> Optional[NDArray[Any]]:
    """Depth in millimetres; None for relative depth of an image without valid ground truth."""
    if not signature.relative:
        return depth * 1000.0
    if signature.quantity == "inverse-depth":
        return depth_of_relative_inverse(depth, ground_truth_mm)
    # Relative depth may be tiny or huge: it must not be clipped before its scale is known.
    ground_truth = np.asarray(ground_truth_mm, np.float64)
    mask = ground_truth > MIN_MM
    if not mask.any():
        return None
    median = float(np.median(depth[mask]))
    scale = np.median(ground_truth[mask]) / median if median > 0 else 1.0
    return np.asarray(depth, np.float64) * scale

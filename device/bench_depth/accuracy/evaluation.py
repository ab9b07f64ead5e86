"""Runs a loaded model over a dataset and compares its depth with the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.accuracy.bands import band_errors, mean_bands
from bench_depth.accuracy.records import Accuracy, ImageAccuracy
from bench_depth.core.dataset import Frame, write_depth
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.metrics import (
    MIN_MM,
    DepthMetrics,
    depth_metrics,
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
    """One photo, its truth and what a model made of it; too big to keep many of.

    Attributes:
        name: Of the photo in its dataset.
        photo: HxWx3 uint8 RGB.
        ground_truth_mm: HxW uint16 millimetres, 0 = unknown; at least one pixel is known.
        depth_mm: HxW millimetres, as predicted.
        align: How they were aligned for `metrics`, one of `metrics.ALIGNMENTS`.
        metrics: How good the depth is.
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
    """The depth of one photo.

    Args:
        model: The loaded model.
        signature: What it takes and gives.
        photo: HxWx3 uint8 RGB.

    Returns:
        HxW float32 of the photo's size, in the unit of `postprocess.to_depth`: metres, unless the
        model is relative.
    """
    model.set_input(to_input(photo, signature))
    model.invoke()
    return to_photo_size(to_depth(model.output(), signature), signature, *photo.shape[:2])


def alignment(signature: Signature, asked: str) -> str:
    """How a model's depth is aligned to the truth: as asked, where that can be.

    Relative inverse depth has neither a scale nor a shift: only `inverse-affine` compares it.
    Other relative depth has no scale: in place of no alignment it gets `median`.

    Args:
        signature: The model's.
        asked: One of `metrics.ALIGNMENTS`; `none` is the default and counts as nothing asked.

    Raises:
        UserError: Another alignment was asked for relative inverse depth (exit code 2).
    """
    if not signature.relative:
        return asked
    if signature.quantity == "inverse-depth":
        if asked not in ("none", "inverse-affine"):
            raise UserError(
                f"relative inverse depth has an unknown scale and shift, which {asked} alignment "
                "does not find; leave --align out for inverse-affine"
            )
        return "inverse-affine"
    return "median" if asked == "none" else asked


def evaluate(
    model: LoadedModel,
    signature: Signature,
    pairs: Sequence[Frame],
    *,
    data: str,
    median_ms: float,
    align: str = "none",
    predictions: Optional[Path] = None,
    on_image: Callable[[EvaluatedImage], None] = lambda image: None,
) -> Accuracy:
    """Compares a model's depth with the truth of every pair.

    Args:
        model: The loaded model.
        signature: What it takes and gives.
        pairs: The dataset.
        data: What the dataset is called in the results.
        median_ms: Of one run, for the score.
        align: One of `metrics.ALIGNMENTS`; see `alignment`.
        predictions: Where each predicted map is written, as the dataset's depth is; None for
            nowhere. What is written is aligned only for relative models, which have no
            millimetres otherwise.
        on_image: Called with each image that has metrics, in the dataset's order.

    Raises:
        UserError: A file cannot be read or written, no image has a valid pixel, the alignment
            cannot be (exit code 2), or the model gives NaN or infinity (3).
    """
    images, bands, left_out = [], [], []
    align = alignment(signature, align)
    for pair in pairs:
        photo, truth = pair.read()
        depth = predict(model, signature, photo)
        if not np.isfinite(depth).all():
            raise UserError(
                f"the model gives NaN or infinity for the photo {pair.name} of {data}; "
                "train or export it again",
                MODEL_FAILED,
            )
        depth_mm = _millimetres(depth, truth, signature)
        if predictions is not None and depth_mm is not None:
            write_depth(predictions / f"{pair.name}.png", depth_mm)
        # Relative inverse depth has been aligned to become millimetres at all.
        left = "none" if signature.relative and signature.quantity == "inverse-depth" else align
        metrics = depth_metrics(depth_mm, truth, left) if depth_mm is not None else None
        if depth_mm is None or metrics is None:
            left_out.append(pair.name)
        else:
            images.append(ImageAccuracy(pair.name, metrics))
            bands.append(band_errors(depth_mm, truth, left))
            on_image(EvaluatedImage(pair.name, photo, truth, depth_mm, left, metrics))
    if not images:
        raise UserError(f"no depth map in {data} has a valid pixel; all are 0 (unknown)")
    mean = mean_metrics([image.metrics for image in images])
    points = score(mean.si_rmse, median_ms)
    return Accuracy(data, align, mean, points, images, left_out, mean_bands(bands))


def _millimetres(
    depth: NDArray[np.float32], ground_truth_mm: NDArray[np.generic], signature: Signature
) -> Optional[NDArray[Any]]:
    """Depth in millimetres; of a relative model by the truth, so None where there is no truth."""
    if not signature.relative:
        return depth * 1000.0
    if signature.quantity == "inverse-depth":
        return depth_of_relative_inverse(depth, ground_truth_mm)
    # Relative depth may be tiny or huge: it must not be cut off before its scale is known.
    truth = np.asarray(ground_truth_mm, np.float64)
    mask = truth > MIN_MM
    if not mask.any():
        return None
    middle = float(np.median(depth[mask]))
    return np.asarray(depth, np.float64) * (np.median(truth[mask]) / middle if middle > 0 else 1.0)

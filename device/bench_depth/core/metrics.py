"""Depth metrics of the Mobile AI 2021/2022 single-image depth challenge.

Source of the definitions: the challenge's public metric code (aiff22/MAI-2021-Workshop,
depth_estimation/losses_python.py). Per image, then the mean over images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from typing import Optional

import numpy as np
from numpy.typing import NDArray

ALIGNMENTS = ("none", "median", "log-affine", "inverse-affine")
MIN_MM = 1.0
# Reproduces the challenge's published rows: si-RMSE 0.2836 at 97 ms -> 129.
SCORE_CONSTANT = 1.5625e-6


@dataclass(frozen=True)
class DepthMetrics:
    """The metrics of one image, or their mean over several.

    Attributes:
        rmse: Root mean square error in metres; best 0.
        si_rmse: Scale-invariant RMSE of log depth, no unit; best 0.
        log10: Mean absolute log10 error; best 0.
        rel: Mean absolute relative error; best 0.
        delta_1: Fraction of pixels within a factor of 1.25 of the ground truth; best 1.
        delta_2: Fraction of pixels within a factor of 1.25^2; best 1.
        delta_3: Fraction of pixels within a factor of 1.25^3; best 1.
        dbe_acc: Depth-boundary error, accuracy: mean distance of predicted edges to the nearest
            ground-truth edge in pixels, each at most 10; best 0. This and what follows is measured
            by `accuracy.sharpness`; None where the ground truth has no edge, and in older files.
        dbe_comp: Depth-boundary error, completeness: mean distance of ground-truth edges to the
            nearest predicted edge in pixels, each at most 10; best 0.
        edge_energy: Fraction of edge energy kept: sum of the gradient magnitudes of log depth at
            the ground truth's edges, prediction over ground truth; best 1, less is blurred.
    """

    rmse: float
    si_rmse: float
    log10: float
    rel: float
    delta_1: float
    delta_2: float
    delta_3: float
    dbe_acc: Optional[float] = None
    dbe_comp: Optional[float] = None
    edge_energy: Optional[float] = None

    def to_dict(self) -> dict[str, float]:
        """Returns the metrics by name, without those that were not measured."""
        return {name: value for name, value in asdict(self).items() if value is not None}


# Names of all metrics, in the order of their fields.
METRICS = tuple(field.name for field in fields(DepthMetrics))


def depth_metrics(
    prediction_mm: NDArray[np.floating], ground_truth_mm: NDArray[np.generic], align: str = "none"
) -> DepthMetrics | None:
    """Computes the metrics of one predicted depth map against its ground truth.

    Args:
        prediction_mm: Predicted depth, HxW, any float dtype, millimetres; of the ground truth's
            size.
        ground_truth_mm: Ground truth, HxW, usually uint16, millimetres, 0 = unknown.
        align: Alignment of the prediction: `none`, `median` (scaled so that the medians agree),
            `log-affine` (log prediction fitted to the log ground truth by least squares: scale and
            exponent) or `inverse-affine` (see `depth_of_relative_inverse`).

    Returns:
        The metrics, or None when no pixel of the ground truth is valid.

    Raises:
        ValueError: The shapes differ, or `align` is unknown.

    Example:
        >>> ground_truth = np.full((2, 2), 2000, np.uint16)
        >>> depth_metrics(np.full((2, 2), 2200.0), ground_truth).rel
        0.1
    """
    pixels = valid_pixels(prediction_mm, ground_truth_mm, align)
    if pixels is None:
        return None
    p, t = pixels
    d = np.log(p / t)
    ratio = np.maximum(p / t, t / p)
    variance = float(np.mean(d**2) - np.mean(d) ** 2)
    return DepthMetrics(
        rmse=float(np.sqrt(np.mean(((t - p) / 1000.0) ** 2))),
        # Rounding can push the variance of a perfect map just below zero. NaN must stay NaN.
        si_rmse=math.sqrt(0.0 if variance < 0 else variance),
        log10=float(np.mean(np.abs(d))) / math.log(10.0),
        rel=float(np.mean(np.abs(p - t) / t)),
        delta_1=float(np.mean(ratio < 1.25)),
        delta_2=float(np.mean(ratio < 1.25**2)),
        delta_3=float(np.mean(ratio < 1.25**3)),
    )


def valid_pixels(
    prediction_mm: NDArray[np.floating], ground_truth_mm: NDArray[np.generic], align: str = "none"
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Selects the pixels that `depth_metrics` compares, and aligns the prediction.

    Args:
        prediction_mm: See `depth_metrics`.
        ground_truth_mm: See `depth_metrics`.
        align: See `depth_metrics`.

    Returns:
        N predicted depths, aligned, and N ground-truth depths, both in millimetres; None when no
        pixel of the ground truth is valid.

    Raises:
        ValueError: The shapes differ, or `align` is unknown.
    """
    ground_truth, mask = _valid(prediction_mm, ground_truth_mm)
    if not mask.any():
        return None
    t = ground_truth[mask]
    p = _at_least_minimum(prediction_mm[mask])
    return _fit(p, t, align)(p), t


def aligned(
    prediction_mm: NDArray[np.floating], ground_truth_mm: NDArray[np.generic], align: str
) -> NDArray[np.float64]:
    """Aligns a whole predicted map by its valid pixels, as `valid_pixels` does.

    Args:
        prediction_mm: See `depth_metrics`.
        ground_truth_mm: See `depth_metrics`; at least one pixel is valid.
        align: See `depth_metrics`.

    Returns:
        The aligned prediction, HxW float64, millimetres.

    Raises:
        ValueError: The shapes differ, or `align` is unknown.
    """
    ground_truth, mask = _valid(prediction_mm, ground_truth_mm)
    p = _at_least_minimum(prediction_mm)
    return _fit(p[mask], ground_truth[mask], align)(p)


def depth_of_relative_inverse(
    inverse: NDArray[np.floating], ground_truth_mm: NDArray[np.generic]
) -> NDArray[np.float64] | None:
    """Converts relative inverse depth (disparity) to depth by fitting it to the ground truth.

    Scale s and shift t minimise the sum of (s * inverse + t - 1 / ground truth)^2 over the valid
    pixels, as in Ranftl et al., "Towards Robust Monocular Depth Estimation", TPAMI 2022. Depth that
    is beyond the farthest valid ground truth of the image, or behind the camera, is set to that
    farthest depth: the authors' own evaluation caps at their datasets' greatest depth.

    Args:
        inverse: Relative inverse depth, HxW, any float dtype, no unit; of the ground truth's size.
        ground_truth_mm: Ground truth, HxW, usually uint16, millimetres, 0 = unknown.

    Returns:
        Depth, HxW float64, millimetres, or None when no pixel of the ground truth is valid.

    Raises:
        ValueError: The shapes differ.
    """
    ground_truth, mask = _valid(inverse, ground_truth_mm)
    if not mask.any():
        return None
    x = np.asarray(inverse, np.float64)
    slope, shift = _least_squares(x[mask], 1.0 / ground_truth[mask])
    return np.asarray(
        1.0 / np.maximum(slope * x + shift, 1.0 / ground_truth[mask].max()), np.float64
    )


def _valid(
    prediction: NDArray[np.generic], ground_truth_mm: NDArray[np.generic]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The ground truth in double precision, and the mask of its known pixels."""
    if prediction.shape != ground_truth_mm.shape:
        raise ValueError(
            f"prediction is {prediction.shape}, ground truth is {ground_truth_mm.shape}"
        )
    ground_truth = np.asarray(ground_truth_mm, np.float64)
    return ground_truth, ground_truth > MIN_MM


def mean_metrics(per_image: Iterable[DepthMetrics]) -> DepthMetrics:
    """Averages the metrics over images, each over those that have it.

    Raises:
        ValueError: There is no image.
    """
    rows = list(per_image)
    if not rows:
        raise ValueError("no image with valid depth: nothing to average")
    means = {}
    for name in METRICS:
        values = [getattr(row, name) for row in rows]
        measured = [value for value in values if value is not None]
        means[name] = math.fsum(measured) / len(measured) if measured else None
    return DepthMetrics(**means)  # type: ignore[arg-type]  # only what may be None is None


def score(si_rmse: float, runtime_ms: float) -> float:
    """Computes the challenge's score, 2^(-20 si_rmse) / (C * runtime_ms); higher is better.

    Raises:
        ValueError: `runtime_ms` is not positive.
    """
    if not runtime_ms > 0:
        raise ValueError(f"runtime must be positive, got {runtime_ms} ms")
    return 2.0 ** (-20.0 * si_rmse) / (SCORE_CONSTANT * runtime_ms)


def _at_least_minimum(prediction_mm: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.maximum(np.asarray(prediction_mm, np.float64), MIN_MM)


def _fit(
    p: NDArray[np.float64], t: NDArray[np.float64], align: str
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Fits predictions `p` to the ground truth `t` of the same pixels; returns the alignment."""
    if align == "none":
        return lambda depth: depth
    if align == "median":
        factor = np.median(t) / np.median(p)
        return lambda depth: depth * factor
    if align == "log-affine":
        slope, shift = _least_squares(np.log(p), np.log(t), flat_slope=1.0)
        return lambda depth: np.asarray(np.exp(slope * np.log(depth) + shift))
    if align == "inverse-affine":
        slope, shift = _least_squares(1.0 / p, 1.0 / t)
        floor = 1.0 / t.max()
        return lambda depth: np.asarray(1.0 / np.maximum(slope / depth + shift, floor))
    raise ValueError(f"unknown alignment {align!r}; choose from {', '.join(ALIGNMENTS)}")


def _least_squares(
    x: NDArray[np.float64], y: NDArray[np.float64], flat_slope: float = 0.0
) -> tuple[float, float]:
    """Slope and shift of the line through (x, y); where all x are equal, `flat_slope`."""
    variance = float(np.var(x))
    # Relative to the size of x, which of relative depth can be anything.
    if variance > 1e-12 * float(np.mean(x**2)):
        slope = float(np.mean((x - x.mean()) * (y - y.mean()))) / variance
    else:
        slope = flat_slope
    return slope, float(y.mean() - slope * x.mean())

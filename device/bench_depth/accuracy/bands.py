"""Depth errors by ground-truth distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.metrics import valid_pixels

# Lower bounds of the bands, metres; the last band has no upper bound.
EDGES_M = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0)


@dataclass(frozen=True)
class BandErrors:
    """The errors of one image's pixels whose ground truth is within one band.

    Attributes:
        share: Fraction of the image's valid pixels that are in the band.
        rmse: Root mean square error in metres; best 0.
        rel: Mean absolute relative error; best 0.
        delta_1: Fraction of the band's pixels within a factor of 1.25 of the ground truth; best 1.
        bias: Mean of ln(prediction / ground truth), no unit; positive where predictions are too
            far, negative where they are too near; best 0.
    """

    share: float
    rmse: float
    rel: float
    delta_1: float
    bias: float


@dataclass(frozen=True)
class Band:
    """The errors of one band: the mean over the images that have pixels in it.

    Attributes:
        near_m: Smallest ground-truth distance in the band, metres.
        far_m: Upper bound of the distance, metres, exclusive; None for no bound.
        images: Number of images that have pixels in the band.
        share: Fraction of the valid pixels that are in the band; the mean over all images, so that
            the fractions of all bands sum to 1.
        rmse: Root mean square error in metres; best 0.
        rel: Mean absolute relative error; best 0.
        delta_1: Fraction of the band's pixels within a factor of 1.25 of the ground truth; best 1.
        bias: Mean of ln(prediction / ground truth), see `BandErrors`.
    """

    near_m: float
    far_m: Optional[float]
    images: int
    share: float
    rmse: float
    rel: float
    delta_1: float
    bias: float


def band_errors(
    prediction_mm: NDArray[np.floating], ground_truth_mm: NDArray[np.generic], align: str = "none"
) -> list[Optional[BandErrors]]:
    """Computes the errors of one image in each band.

    The alignment is fitted to the whole image, as in `metrics.depth_metrics`.

    Args:
        prediction_mm: Predicted depth, HxW, any float dtype, millimetres.
        ground_truth_mm: Ground truth, HxW, usually uint16, millimetres, 0 = unknown.
        align: One of `metrics.ALIGNMENTS`.

    Returns:
        One entry per band of `EDGES_M`; None where the image has no valid pixel in it.

    Raises:
        ValueError: The shapes differ, or `align` is unknown.
    """
    pixels = valid_pixels(prediction_mm, ground_truth_mm, align)
    if pixels is None:
        return [None] * len(EDGES_M)
    p, t = pixels
    band = np.searchsorted(np.multiply(EDGES_M[1:], 1000.0), t, side="right")
    counts = np.bincount(band, minlength=len(EDGES_M))

    def mean(values: NDArray[np.generic]) -> list[float]:
        sums = np.bincount(band, values, len(EDGES_M))
        return [float(value) for value in sums / np.maximum(counts, 1)]

    columns = (
        [float(count) / len(t) for count in counts],
        [math.sqrt(value) for value in mean(((t - p) / 1000.0) ** 2)],
        mean(np.abs(p - t) / t),
        mean(np.maximum(p / t, t / p) < 1.25),
        mean(np.log(p / t)),
    )
    return [BandErrors(*row) if row[0] else None for row in zip(*columns)]


def mean_bands(images: Sequence[Sequence[Optional[BandErrors]]]) -> list[Band]:
    """Averages over images each band that any image has pixels in.

    Args:
        images: The result of `band_errors` for each image.
    """
    bands = []
    for near, far, column in zip(EDGES_M, (*EDGES_M[1:], None), zip(*images)):
        found = [errors for errors in column if errors is not None]
        if not found:
            continue
        sums = {f.name: math.fsum(getattr(e, f.name) for e in found) for f in fields(BandErrors)}
        share = sums.pop("share") / len(images)
        means = {name: value / len(found) for name, value in sums.items()}
        bands.append(Band(near, far, len(found), share, **means))
    return bands

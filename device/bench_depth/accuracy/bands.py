"""Depth errors by how far away the truth is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.metrics import valid_pixels

# Metres; the last band has no far end.
EDGES_M = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0)


@dataclass(frozen=True)
class BandErrors:
    """The errors of one image's pixels whose truth is within one band.

    Attributes:
        share: Of the image's valid pixels.
        rmse: As in `metrics.DepthMetrics`, metres.
        rel: As in `metrics.DepthMetrics`.
        delta_1: As in `metrics.DepthMetrics`.
        bias: Mean of ln(predicted / true), no unit: above 0 is too far, below is too near; best 0.
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
        near_m: Truth from here, metres.
        far_m: To below here; None for no end.
        images: How many have pixels in the band.
        share: Of the valid pixels; the mean over all images, so that the bands' sum is 1.
        rmse: See `BandErrors`, as are the following.
        rel: As above.
        delta_1: As above.
        bias: As above.
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
    """The errors of one image, band by band.

    Alignment is that of the whole image, as in `metrics.depth_metrics`.

    Args:
        prediction_mm: HxW, any float dtype, millimetres.
        ground_truth_mm: HxW, usually uint16, millimetres, 0 = unknown.
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
        mean(np.log(p) - np.log(t)),
    )
    return [BandErrors(*row) if row[0] else None for row in zip(*columns)]


def mean_bands(images: Sequence[Sequence[Optional[BandErrors]]]) -> list[Band]:
    """The mean over images, of each band that any image has pixels in.

    Args:
        images: Of each, what `band_errors` gives.
    """
    bands = []
    for place, near in enumerate(EDGES_M):
        found = [row for image in images if (row := image[place]) is not None]
        if not found:
            continue
        bands.append(
            Band(
                near_m=near,
                far_m=EDGES_M[place + 1] if place + 1 < len(EDGES_M) else None,
                images=len(found),
                share=math.fsum(row.share for row in found) / len(images),
                rmse=math.fsum(row.rmse for row in found) / len(found),
                rel=math.fsum(row.rel for row in found) / len(found),
                delta_1=math.fsum(row.delta_1 for row in found) / len(found),
                bias=math.fsum(row.bias for row in found) / len(found),
            )
        )
    return bands

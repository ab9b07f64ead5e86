"""How good a model's depth is: the records that a results file keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench_depth.accuracy.bands import Band
from bench_depth.core.metrics import DepthMetrics


@dataclass(frozen=True)
class ImageAccuracy:
    """The metrics of one image of a dataset."""

    name: str
    metrics: DepthMetrics


@dataclass(frozen=True)
class Accuracy:
    """How good the depth is.

    Attributes:
        data: The dataset's path as it was named, and which part of it was taken.
        align: How predictions were aligned to the truth before they were compared.
        mean: Over `images`.
        score: The challenge's, from the mean si-RMSE and the median time of a run.
        images: One entry per image.
        left_out: Names of images without a valid pixel.
        bands: The errors by how far away the truth is.
    """

    data: str
    align: str
    mean: DepthMetrics
    score: float
    images: list[ImageAccuracy]
    left_out: list[str]
    bands: list[Band] = field(default_factory=list)

"""The accuracy of a model, as a results file holds it."""

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
    """The accuracy of a model on a dataset.

    Attributes:
        data: Path of the dataset as it was given, and the split or subset that was used.
        align: Alignment of predictions to the ground truth, one of `metrics.ALIGNMENTS`.
        mean: Mean of the metrics over `images`.
        score: Score of the challenge, from the mean si-RMSE and the median latency.
        images: Metrics of each image.
        left_out: Names of the images without a valid pixel.
        bands: Errors by ground-truth distance.
    """

    data: str
    align: str
    mean: DepthMetrics
    score: float
    images: list[ImageAccuracy]
    left_out: list[str]
    bands: list[Band] = field(default_factory=list)

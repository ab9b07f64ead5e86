"""How sure a difference between two models' accuracy is: both were run on the same images."""

from __future__ import annotations

from typing import Optional

import numpy as np

from bench_depth.accuracy.records import Accuracy

CONFIDENCE = 0.95
_RESAMPLES = 2000
# Fewer images give no useful estimate of their variance.
MIN_IMAGES = 5


def difference_interval(
    accuracy: Accuracy, reference: Accuracy, metric: str
) -> Optional[tuple[float, float]]:
    """The 95 % interval of a metric's mean difference, by the percentile bootstrap over images.

    Args:
        accuracy: Accuracy of a model.
        reference: Accuracy of the model that it is compared with.
        metric: Name of a field of `DepthMetrics`.

    Returns:
        Both ends of model minus reference, in the metric's unit; None where the images in which the
        metric could be measured are not the same or fewer than five.
    """
    mine, other = (
        {
            image.name: float(value)
            for image in each.images
            if (value := getattr(image.metrics, metric)) is not None
        }
        for each in (accuracy, reference)
    )
    if list(mine) != list(other) or len(mine) < MIN_IMAGES:
        return None
    differences = np.subtract(list(mine.values()), list(other.values()))
    count = len(differences)
    drawn = np.random.default_rng(0).integers(0, count, (_RESAMPLES, count))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(differences[drawn].mean(1), (tail, 1 - tail))
    return float(low), float(high)

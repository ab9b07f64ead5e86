"""Runs a loaded model over a dataset folder and compares its depth with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.dataset import Pair, read_pair, write_depth
from bench_depth.errors import MODEL_FAILED, UserError
from bench_depth.metrics import depth_metrics, mean_metrics, score
from bench_depth.postprocess import resize_depth, to_metres
from bench_depth.preprocess import to_input
from bench_depth.results import Accuracy, ImageAccuracy
from bench_depth.runtimes import LoadedModel
from bench_depth.signature import Signature


def predict(
    model: LoadedModel, signature: Signature, photo: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """The depth of one photo.

    Args:
        model: The loaded model.
        signature: What it takes and gives.
        photo: HxWx3 uint8 RGB.

    Returns:
        HxW float32 metres, of the photo's size.
    """
    model.set_input(to_input(photo, signature))
    model.invoke()
    return resize_depth(to_metres(model.output(), signature), *photo.shape[:2])


def evaluate(
    model: LoadedModel,
    signature: Signature,
    pairs: Sequence[Pair],
    *,
    data: str,
    median_ms: float,
    align: str = "none",
    predictions: Optional[Path] = None,
) -> Accuracy:
    """Compares a model's depth with the truth of every pair.

    Args:
        model: The loaded model.
        signature: What it takes and gives.
        pairs: The dataset.
        data: What the dataset is called in the results.
        median_ms: Of one run, for the score.
        align: One of `metrics.ALIGNMENTS`.
        predictions: Where each predicted map is written, as the dataset's depth is; None for
            nowhere. What is written is never aligned.

    Raises:
        UserError: A file cannot be read or written, no image has a valid pixel, or the model gives
            NaN or infinity (exit code 3).
    """
    images, left_out = [], []
    for pair in pairs:
        photo, truth = read_pair(pair)
        depth_mm = predict(model, signature, photo) * 1000.0
        if not np.isfinite(depth_mm).all():
            raise UserError(
                f"the model gives NaN or infinity for {pair.rgb}; train or export it again",
                MODEL_FAILED,
            )
        if predictions is not None:
            write_depth(predictions / f"{pair.name}.png", depth_mm)
        metrics = depth_metrics(depth_mm, truth, align)
        if metrics is None:
            left_out.append(pair.name)
        else:
            images.append(ImageAccuracy(pair.name, metrics))
    if not images:
        raise UserError(f"no depth map in {data} has a valid pixel; all are 0 (unknown)")
    mean = mean_metrics([image.metrics for image in images])
    return Accuracy(data, align, mean, score(mean.si_rmse, median_ms), images, left_out)

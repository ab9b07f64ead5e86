"""Pictures of where a model errs most."""

from __future__ import annotations

import base64
import heapq
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.accuracy.evaluation import EvaluatedImage
from bench_depth.core.metrics import DepthMetrics, aligned

MOST = 10
# Pixels; two stand side by side.
_WIDTH = 160
_QUALITY = 80
# Errors beyond this factor have the strongest colour.
_FACTOR = 2.0
_UNKNOWN = (128, 128, 128)


@dataclass(frozen=True)
class Picture:
    """One image of a dataset with what a model made of it.

    Attributes:
        name: Of the image.
        metrics: Of the image.
        jpeg: Photo and truth above prediction and error, as a data URL.
    """

    name: str
    metrics: DepthMetrics
    jpeg: str


class WorstPictures:
    """Keeps the pictures of the images with the highest si-RMSE, small, while a dataset goes by."""

    def __init__(self) -> None:
        # The smallest, here the least bad, comes first. Of equal ones the earlier image stays.
        self._heap: list[tuple[float, int, Picture]] = []
        self._seen = 0

    def add(self, image: EvaluatedImage) -> None:
        """Takes an image in if it is among the worst so far."""
        self._seen += 1
        badness = image.metrics.si_rmse
        if len(self._heap) == MOST and badness <= self._heap[0][0]:
            return
        depth_mm = aligned(image.depth_mm, image.ground_truth_mm, image.align)
        four = _four(image.photo, _metres(image.ground_truth_mm), _metres(depth_mm))
        picture = Picture(image.name, image.metrics, _data_url(four))
        push = heapq.heappush if len(self._heap) < MOST else heapq.heapreplace
        push(self._heap, (badness, -self._seen, picture))

    def pictures(self) -> list[Picture]:
        """At most `MOST`, the worst first."""
        return [picture for _, _, picture in sorted(self._heap, reverse=True)]


def _metres(millimetres: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(millimetres / 1000, np.float32)


def _four(
    photo: NDArray[np.uint8], truth: NDArray[np.float32], depth: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """The four pictures of an image as one, BGR. Both depth maps share one range: the truth's."""
    size = (_WIDTH, max(round(_WIDTH * photo.shape[0] / photo.shape[1]), 1))
    photo = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
    truth, depth = (
        np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_NEAREST), np.float32)
        for image in (truth, depth)
    )
    known = truth > 0
    low, high = np.percentile(truth[known], (1, 99)) if known.any() else (0.0, 1.0)
    maps = [_colours(image, float(low), float(high)) for image in (truth, depth)]
    maps[0][~known] = _UNKNOWN
    above, below = [photo[:, :, ::-1], maps[0]], [maps[1], _errors(depth, truth, known)]
    return np.concatenate([np.concatenate(row, axis=1) for row in (above, below)])


def _colours(depth: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    share = np.clip((depth - low) / max(high - low, 1e-6), 0, 1)
    grey = np.asarray(255 * (1 - share), np.uint8)
    return np.asarray(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), np.uint8)


def _errors(
    depth: NDArray[np.float32], truth: NDArray[np.float32], known: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Blue where the prediction is too near, red where it is too far, white where it is right."""
    ratio = np.log(np.maximum(depth, 1e-3) / np.maximum(truth, 1e-3)) / np.log(_FACTOR)
    strength = np.clip(np.abs(ratio), 0, 1)[..., np.newaxis]
    colour: NDArray[Any] = np.where((ratio > 0)[..., np.newaxis], (43, 24, 178), (172, 102, 33))
    mixed = np.asarray(255 * (1 - strength) + colour * strength, np.uint8)
    mixed[~known] = _UNKNOWN
    return mixed


def _data_url(image: NDArray[np.uint8]) -> str:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"

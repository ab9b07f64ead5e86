"""Pictures of where a model errs most."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_depth.metrics import DepthMetrics
from bench_depth.results import Accuracy

MOST = 10
# Pixels; four stand side by side.
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
        jpeg: Photo, truth, prediction and error side by side, as a data URL.
    """

    name: str
    metrics: DepthMetrics
    jpeg: str


def worst_pictures(
    accuracy: Accuracy,
    read: Callable[[str], tuple[NDArray[np.uint8], NDArray[np.uint16]]],
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
) -> list[Picture]:
    """The images with the highest si-RMSE, the worst first.

    Args:
        accuracy: Of the model.
        read: Name -> photo (HxWx3 uint8 RGB) and truth (HxW uint16 millimetres, 0 = unknown).
        predict: Photo -> depth, HxW float32 metres.
    """
    order = sorted(accuracy.images, key=lambda image: image.metrics.si_rmse, reverse=True)
    pictures = []
    for image in order[:MOST]:
        photo, truth = read(image.name)
        metres = np.asarray(truth / 1000, np.float32)
        strip = _strip(photo, metres, predict(photo))
        pictures.append(Picture(image.name, image.metrics, _data_url(strip)))
    return pictures


def _strip(
    photo: NDArray[np.uint8], truth: NDArray[np.float32], depth: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """The four pictures side by side, BGR. Both depth maps share one range: the truth's."""
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
    return np.concatenate([photo[:, :, ::-1], *maps, _errors(depth, truth, known)], axis=1)


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

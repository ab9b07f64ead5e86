"""Accuracy of a network by the measuring protocol, through the very graph that is exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from bench_depth.accuracy.sharpness import metrics_with_sharpness
from bench_depth.core.dataset import Pair, read_pair
from bench_depth.core.errors import UserError
from bench_depth.core.metrics import DepthMetrics, depth_metrics, mean_metrics

from ghostdepth_train.models.network import CameraNet, Predictor, resize


@torch.no_grad()
def predict_mm(network: Predictor, rgb: np.ndarray, hfov: float | None = None) -> np.ndarray:
    """Depth of one image in eval mode.

    Args:
        network: The network, in eval mode.
        rgb: HxWx3 uint8.
        hfov: Horizontal field of view of its camera, degrees, see `CameraNet`.

    Returns:
        HxW float32 millimetres, at the image's size.
    """
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    height, width = rgb.shape[:2]
    camera = CameraNet(network, height, width, hfov).to(device).eval()
    metres = camera(torch.from_numpy(rgb).float()[None].to(device))
    return np.asarray(metres[0, :, :, 0].float().cpu().numpy()) * 1000


def evaluate(
    network: Predictor,
    pairs: Sequence[Pair],
    align: str = "none",
    hfov: float | None = None,
    watch: Callable[[str, np.ndarray, np.ndarray], None] = lambda name, metres, rgb: None,
) -> DepthMetrics:
    """Mean metrics over the pairs that have valid depth; the network's mode is kept.

    Args:
        network: The network.
        pairs: Images with ground truth.
        align: Alignment of predictions to the ground truth.
        hfov: Field of view of their camera in degrees, for which metres are made; None for that of
            the training data.
        watch: Called with the name of each image, its predicted depth, metres, and the image.

    Raises:
        UserError: No pair has a valid pixel, or the network gives NaN.
    """
    was_training = network.training
    network.eval()
    rows = []
    for pair in pairs:
        rgb, ground_truth = read_pair(pair)
        prediction = predict_mm(network, rgb, hfov)
        if not np.isfinite(prediction).all():
            raise UserError(
                f"the network gives NaN or infinity on {pair.rgb}; its training diverged, lower "
                "the learning rate or go back to an earlier checkpoint"
            )
        watch(pair.rgb.name, prediction / 1000, rgb)
        row = metrics_with_sharpness(prediction, ground_truth, align)
        if row is not None:
            rows.append(row)
    network.train(was_training)
    if not rows:
        raise UserError("no validation pair has a valid depth pixel; all are 0 = unknown")
    return mean_metrics(rows)


def constant_baseline(train: Sequence[Pair], val: Sequence[Pair]) -> DepthMetrics:
    """Metrics of the training set's mean log depth per pixel, the same map for every image.

    Maps are averaged at 120x160 and resized to each ground truth.
    """
    total = np.zeros((120, 160))
    count = np.zeros((120, 160))
    for pair in train:
        depth = torch.from_numpy(read_pair(pair)[1].astype(np.float32))[None, None]
        small = torch.nn.functional.interpolate(depth, (120, 160), mode="nearest-exact")[0, 0]
        valid = small.numpy() > 1
        total[valid] += np.log(small.numpy()[valid])
        count += valid
    overall = total.sum() / max(count.sum(), 1)
    mean = np.where(count > 0, total / np.maximum(count, 1), overall)
    constant = torch.from_numpy(np.exp(mean))[None, None]
    rows = []
    for pair in val:
        ground_truth = read_pair(pair)[1]
        row = depth_metrics(resize(constant, *ground_truth.shape)[0, 0].numpy(), ground_truth)
        if row is not None:
            rows.append(row)
    return mean_metrics(rows)

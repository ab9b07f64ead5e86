"""Labels without a scale: aligned to the ground truth, or compared up to scale and shift.

Ranftl, Lasinger, Hafner, Schindler, Koltun, "Towards Robust Monocular Depth Estimation: Mixing
Datasets for Zero-shot Cross-dataset Transfer", TPAMI 2022 (arXiv:1907.01341), section 5.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from ghostdepth_train.distillation.labels import TeacherLabels
from ghostdepth_train.losses import gradient_loss

# The fraction of the largest residuals that the trimmed loss leaves out, the weight and the scales
# of the gradient term: the paper's.
TRIM, GRADIENT, SCALES = 0.2, 0.5, 4
# 1/m: a prediction that varies less is not blown up, as its gradient would be; rooms vary by 0.1.
FLAT = 1e-3


def align_to(labels: TeacherLabels, depth: Tensor) -> TeacherLabels:
    """Aligns relative labels to metres, per image, by the pair's ground truth.

    Scale s and shift t minimize the sum of (s * label + t - 1 / depth)^2 over the known pixels
    (the paper's eq. 4). The result is at most the image's largest ground truth. An image
    without ground truth, or whose ground truth the labels contradict (s <= 0), gets confidence 0.

    Args:
        labels: Labels of a teacher; metric ones are returned unchanged.
        depth: Nx1xHxW metres, 0 = unknown.

    Returns:
        Metric labels of the same size.
    """
    if labels.quantity == "metric":
        return labels
    known = depth > 0
    target = torch.where(known, 1 / torch.where(known, depth, 1.0), 0.0).double()
    shown = labels.resized(depth.shape[-2], depth.shape[-1])
    x, w = shown.values.double(), shown.weight.double() * known

    def mean(value: Tensor) -> Tensor:
        return (w * value).sum((1, 2, 3), keepdim=True) / total

    total = w.sum((1, 2, 3), keepdim=True).clamp_min(1e-12)
    x_mean, y_mean = mean(x), mean(target)
    spread = mean((x - x_mean) ** 2)
    slope = mean((x - x_mean) * (target - y_mean)) / spread.clamp_min(1e-300)
    flat = spread <= 1e-12 * mean(x * x)
    usable = (slope > 0) & ~flat & known.any(3, keepdim=True).any(2, keepdim=True)
    farthest = depth.amax((1, 2, 3), keepdim=True).double().clamp_min(1e-3)
    inverse = slope * (labels.values.double() - x_mean) + y_mean
    inverse = torch.where(usable, torch.maximum(inverse, 1 / farthest), 1.0)
    return dataclasses.replace(
        labels,
        values=-inverse.log().float(),
        quantity="metric",
        confidence=labels.weight * usable,
    )


def ssi_loss(log_prediction: Tensor, labels: TeacherLabels) -> Tensor:
    """The scale- and shift-invariant trimmed loss with its gradient term (eq. 5 to 11).

    Both inverse depths lose their median and are divided by their mean absolute deviation; of
    their differences the largest fifth is left out:
    L = 1 / (2 M) sum_{j <= 0.8 M} |d_j - d*_j| + 0.5 * gradient term over 4 scales.

    Args:
        log_prediction: Nx1xHxW ln(metres).
        labels: Relative labels, or metric ones whose scale is ignored; they are resized to HxW.

    Returns:
        A scalar; an image without a confident pixel counts as 0.
    """
    labels = labels.resized(log_prediction.shape[-2], log_prediction.shape[-1])
    relative = labels.quantity == "relative-inverse"
    target = labels.values if relative else (-labels.values).exp()
    mask = labels.weight > 0.5
    prediction = (-log_prediction).exp()
    difference = _normalised(prediction, mask, FLAT) - _normalised(target, mask, 1e-12)
    residual = difference.abs().masked_fill(~mask, torch.inf).flatten(1).sort(1).values
    count = mask.flatten(1).sum(1, keepdim=True)
    kept = torch.arange(residual.shape[1], device=residual.device) < (1 - TRIM) * count
    trimmed = torch.where(kept, residual, 0.0).sum(1) / (2 * count[:, 0].clamp_min(1))
    return trimmed.mean() + GRADIENT * gradient_loss(difference, mask, SCALES)


def _normalised(inverse: Tensor, mask: Tensor, least: float) -> Tensor:
    """Without its median, over its mean absolute deviation from it or `least`, per image."""
    values = inverse.flatten(1)
    inside = mask.flatten(1)
    median = values.masked_fill(~inside, torch.nan).nanmedian(1, keepdim=True).values
    moved = torch.where(inside, values - median.nan_to_num(), 0.0)
    deviation = moved.abs().sum(1, keepdim=True) / inside.sum(1, keepdim=True).clamp_min(1)
    return (moved / deviation.clamp_min(least)).view_as(inverse)

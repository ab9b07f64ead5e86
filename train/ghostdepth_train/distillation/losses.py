"""Losses between a student and its teachers. `compress/distil.py` names the papers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ghostdepth_train.losses import gradient_loss
from ghostdepth_train.models.network import resize

# Maps are pooled to at most this number of positions: there is a similarity for every pair.
MAX_POSITIONS = 320


def teacher_confidence(teacher_log_depth: Tensor, depth: Tensor, scale: float) -> Tensor:
    """Confidence in the teacher where ground truth is known: exp(-|ln t - ln z| / scale).

    Args:
        teacher_log_depth: Nx1xhxw ln(metres).
        depth: Nx1xHxW metres, 0 = unknown.
        scale: Error in ln(metres) at which the confidence is 1/e.

    Returns:
        Nx1xhxw in 0..1; 1 where the ground truth is unknown.
    """
    near = F.interpolate(depth, teacher_log_depth.shape[-2:], mode="nearest-exact")
    error = (teacher_log_depth - near.clamp_min(1e-3).log()).abs()
    return torch.where(near > 0, (-error / scale).exp(), 1.0)


def response_loss(
    prediction: Tensor,
    teacher_log_depth: Tensor,
    weight: Tensor,
    *,
    free_scale: bool = False,
    gradient: float = 0.5,
) -> Tensor:
    """Weighted mean |ln s - ln t| and the multi-scale gradient loss of the difference.

    Args:
        prediction: Nx1xHxW ln(metres).
        teacher_log_depth: Nx1xhxw ln(metres); the prediction is resized to it.
        weight: Nx1xhxw, at least 0; 0 where there is no label.
        free_scale: Whether each image's weighted mean difference is subtracted first.
        gradient: Weight of the gradient loss, which has four scales.

    Returns:
        A scalar; an image without a label counts as 0.
    """
    difference = resize(prediction, *teacher_log_depth.shape[-2:]) - teacher_log_depth
    total = weight.sum((1, 2, 3), keepdim=True).clamp_min(1e-6)
    if free_scale:
        difference = difference - (weight * difference).sum((1, 2, 3), keepdim=True) / total
    loss = ((weight * difference.abs()).sum((1, 2, 3), keepdim=True) / total).mean()
    if gradient:
        loss = loss + gradient * gradient_loss(difference, weight > 0.5, scales=4)
    return loss


def block_means(x: Tensor, weight: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Weighted means of Nx1xHxW over a grid of `size` blocks, and the mean weights."""
    total = F.adaptive_avg_pool2d(weight, size)
    return F.adaptive_avg_pool2d(x * weight, size) / total.clamp_min(1e-6), total


def feature_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of two NxCxHxW maps, relative to the teacher's deviation."""
    teacher = _resized(teacher, student)
    mean = teacher.mean((0, 2, 3), keepdim=True)
    spread = teacher.std((0, 2, 3), keepdim=True).clamp_min(1e-3)
    return (((student - mean) / spread - (teacher - mean) / spread) ** 2).mean()


def affinity_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the cosine similarities of all pairs of positions.

    Args:
        student: NxCxHxW.
        teacher: NxC'xhxw.
    """
    student = _few_positions(student)
    return ((_affinity(student) - _affinity(_resized(teacher, student))) ** 2).mean()


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of two attention maps, the mean over the images.

    An attention map is the sum of the squared channels at each position, divided by its norm.

    Args:
        student: NxCxHxW.
        teacher: NxC'xhxw; its map is resized to the student's.
    """
    mine, its = (x.square().sum(1, keepdim=True) for x in (student, teacher))
    mine, its = (F.normalize(x.flatten(1), dim=1) for x in (mine, _resized(its, mine)))
    return (mine - its).square().sum(1).mean()


def _affinity(x: Tensor) -> Tensor:
    flat = F.normalize(x.flatten(2), dim=1)
    return flat.transpose(1, 2) @ flat


def _few_positions(x: Tensor) -> Tensor:
    while x.shape[-2] * x.shape[-1] > MAX_POSITIONS:
        x = F.avg_pool2d(x, 2)
    return x


def _resized(x: Tensor, like: Tensor) -> Tensor:
    size = (like.shape[-2], like.shape[-1])
    return x if x.shape[-2:] == size else F.adaptive_avg_pool2d(x, size)

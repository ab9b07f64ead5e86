"""Losses on log depth. Each is computed per image and averaged over the batch.

- Scale-invariant log loss: Eigen, Puhrsch, Fergus, "Depth Map Prediction from a Single Image using
  a Multi-Scale Deep Network", NeurIPS 2014, eq. 4, under a square root as later work has it.
- Multi-scale gradient loss: Li and Snavely, "MegaDepth", CVPR 2018, section 4.
- Temporal loss: OPW of Wang et al., "Less is More: Consistent Video Depth Estimation with Masked
  Frames Modeling", ACM Multimedia 2022, as `bench_depth.accuracy.temporal` changes it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ghostdepth_train.config import LossConfig
from ghostdepth_train.models.network import DepthNet, log_depth, normaliser, resize


def silog_loss(difference: Tensor, mask: Tensor, lam: float) -> Tensor:
    """sqrt(mean d^2 - lam (mean d)^2) over the valid pixels, then the mean over images.

    Args:
        difference: Nx1xHxW, ln(metres), prediction minus ground truth.
        mask: Nx1xHxW bool, where the ground truth is known.
        lam: 0 = plain RMSE of log depth, 1 = blind to a common factor.

    Returns:
        A scalar; an image without a valid pixel counts as 0.
    """
    d = torch.where(mask, difference, 0.0)
    count = mask.sum((1, 2, 3)).clamp_min(1)
    mean = d.sum((1, 2, 3)) / count
    mean_square = (d * d).sum((1, 2, 3)) / count
    # The root's slope is infinite at 0: the floor keeps a perfect image from giving NaN.
    return (mean_square - lam * mean * mean).clamp_min(1e-8).sqrt().mean()


def gradient_loss(difference: Tensor, mask: Tensor, scales: int) -> Tensor:
    """Mean |horizontal| + |vertical| step of the error, summed over `scales` halvings.

    Args:
        difference: Nx1xHxW, ln(metres), prediction minus ground truth.
        mask: Nx1xHxW bool; a step counts where both of its pixels are valid.
        scales: Number of scales, at strides 1, 2, 4, ...

    Returns:
        A scalar.
    """
    d = torch.where(mask, difference, 0.0)
    total = difference.new_zeros(())
    for scale in range(scales):
        ds, ms = d[..., :: 2**scale, :: 2**scale], mask[..., :: 2**scale, :: 2**scale]
        for axis in (-1, -2):
            size = ds.shape[axis] - 1
            both = ms.narrow(axis, 1, size) & ms.narrow(axis, 0, size)
            step = (ds.narrow(axis, 1, size) - ds.narrow(axis, 0, size)).abs()
            steps = torch.where(both, step, 0.0).sum((1, 2, 3))
            total = total + (steps / both.sum((1, 2, 3)).clamp_min(1)).mean()
    return total


# A point is seen in the next frame if the depth there is its own, up to this fraction.
_SAME = 0.05


def temporal_loss(log_prediction: Tensor, depth: Tensor, motions: Tensor) -> Tensor:
    """Mean |change of the error of log depth| of the points that are seen in two frames in turn.

    Args:
        log_prediction: NxTx1xhxw ln(metres); it is resized to the ground truth.
        depth: NxTx1xHxW metres, 0 = unknown.
        motions: Nx(T-1)x3x3 matrices from the pixels (column, row, 1) of a frame to the next
            frame's, up to a factor; pixel (0, 0) has its middle at (0, 0).

    Returns:
        A scalar; 0 where no point is seen twice.
    """
    height, width = depth.shape[-2:]
    prediction = resize(log_prediction.flatten(0, 1), height, width).view_as(depth)
    error = prediction - torch.where(depth > 0, depth, 1.0).log()
    pixels = torch.stack(
        torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy"), -1
    ).to(motions)
    matrices = motions.flatten(0, 1)
    moved = F.pad(pixels, (0, 1), value=1.0).flatten(0, 1) @ matrices.mT
    place = moved[..., :2] / moved[..., 2:]
    # What fills `s` times the area is nearer by the root of `s`, the determinant of the slopes.
    nearer = (torch.linalg.det(matrices)[:, None] / moved[..., 2] ** 3).sqrt()
    grid = (2 * place + 1) / place.new_tensor([width, height]) - 1
    after = torch.cat([error, depth], dim=2)[:, 1:].flatten(0, 1)
    there = F.grid_sample(
        after, grid.view(-1, height, width, 2), mode="nearest", align_corners=False
    )
    error_there, depth_there = there[:, :1], there[:, 1:]
    error_here, depth_here = (x[:, :-1].flatten(0, 1) for x in (error, depth))
    nearer = nearer.view_as(depth_here)
    own = (depth_there * nearer / depth_here.clamp_min(1e-6) - 1).abs() < _SAME
    seen = (depth_here > 0) & (depth_there > 0) & own
    change = torch.where(seen, (error_there - error_here).abs(), 0.0)
    mean: Tensor = change.sum() / seen.sum().clamp_min(1)
    return mean


def depth_loss(log_prediction: Tensor, depth: Tensor, config: LossConfig) -> Tensor:
    """The weighted sum of the configured losses.

    Args:
        log_prediction: Nx1xhxw ln(metres); it is resized to the ground truth.
        depth: Nx1xHxW metres, 0 = unknown.
        config: Weights of the losses.

    Returns:
        A scalar.
    """
    mask = depth > 0
    prediction = resize(log_prediction, *depth.shape[-2:])
    difference = prediction - torch.where(mask, depth, 1.0).log()
    loss = config.silog * silog_loss(difference, mask, config.silog_lambda)
    if config.gradient:
        loss = loss + config.gradient * gradient_loss(difference, mask, config.gradient_scales)
    return loss


def network_loss(network: DepthNet, rgb: Tensor, depth: Tensor, config: LossConfig) -> Tensor:
    """The weighted sum of the configured losses of a network on one batch.

    Args:
        network: Network on the device of the batch.
        rgb: Nx3xHxW uint8.
        depth: Nx1xHxW metres, 0 = unknown.
        config: Weights of the losses.

    Returns:
        A scalar.
    """
    encoded = network(normaliser(network.config)(rgb))
    return depth_loss(log_depth(encoded, network.config), depth, config)

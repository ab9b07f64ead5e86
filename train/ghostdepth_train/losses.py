"""Losses on log depth. Each is computed per image and averaged over the batch.

- Scale-invariant log loss: Eigen, Puhrsch, Fergus, "Depth Map Prediction from a Single Image using
  a Multi-Scale Deep Network", NeurIPS 2014, eq. 4, under a square root as later work has it.
- Multi-scale gradient loss: Li and Snavely, "MegaDepth", CVPR 2018, section 4.
"""

from __future__ import annotations

import torch
from torch import Tensor

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


def depth_loss(log_prediction: Tensor, depth: Tensor, config: LossConfig) -> Tensor:
    """The configured mix.

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
    """The configured mix for one batch through a network.

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

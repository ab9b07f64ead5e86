"""Correction of a network's scale by its training pairs.

Two things make a network's depth a few per cent too near. Zoomed pictures and things that stand
close before the camera (see `augment`) show it nearer scenes than whole pictures do. And a loss
of log depth is least at the geometric mean of what a pixel may be, which is below the arithmetic
mean that the squared error in metres is least at: by exp(s^2 / 2) where log depth is normal with
standard deviation s. The factor that is best for whole training pairs in metres corrects both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from bench_depth.core.dataset import Pair, read_pair
from bench_depth.core.errors import UserError
from bench_depth.core.metrics import MIN_MM

from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work, copy_of
from ghostdepth_train.evaluate import evaluate, predict_mm
from ghostdepth_train.models.network import DepthNet

# More pairs tell the factor no better than to a thousandth.
MOST_PAIRS = 1000


class ScaleConfig(Method):
    """The correction has no settings."""

    method: Literal["scale"] = "scale"


def apply(checkpoint: Checkpoint, config: ScaleConfig, work: Work) -> Compressed:
    """Multiplies all depth by the best factor, and evaluates.

    Raises:
        UserError: No pair has known depth, or a file cannot be read.
    """
    network = copy_of(checkpoint.network).eval()
    pairs = work.split.train[:: -(-len(work.split.train) // MOST_PAIRS)]
    work.log(f"comparing the depth of {len(pairs)} training pairs with the ground truth")
    factor = best_factor(network, pairs)
    multiply_depth(network, factor)
    work.log(f"all depth times {factor:.3f}; evaluating")
    validation = evaluate(network, work.split.val).to_dict()
    return Compressed(network, {"factor": factor, "validation": validation})


@torch.no_grad()
def multiply_depth(network: DepthNet, factor: float) -> None:
    """Multiplies all depth of a network by a factor, which changes its head alone."""
    assert network.head.bias is not None
    if network.config.depth_encoding == "log":
        network.head.bias += math.log(factor)
    else:
        network.head.weight /= factor
        network.head.bias /= factor


def best_factor(network: DepthNet, pairs: Sequence[Pair]) -> float:
    """The factor on all depth of the least squared error in metres over whole pictures.

    Args:
        network: Network in eval mode.
        pairs: Images with ground truth; each counts alike, however much of its depth is known.

    Raises:
        UserError: No pair has known depth, or a file cannot be read.
    """
    products, squares = 0.0, 0.0
    for rgb, ground_truth in map(read_pair, pairs):
        known = ground_truth > MIN_MM
        if known.any():
            predicted, true = predict_mm(network, rgb)[known].astype(float), ground_truth[known]
            products += float(np.mean(predicted * true))
            squares += float(np.mean(predicted**2))
    if not squares:
        raise UserError("no training pair has known depth, so the scale cannot be corrected")
    return products / squares

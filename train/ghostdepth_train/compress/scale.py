"""Correction of a network's scale by its training pairs.

Zoomed pictures and things that stand close before the camera (see `augment`) teach a network that
scenes are nearer than whole pictures show them: afterwards its depth is a few per cent too
near. The mean of ln(prediction / ground truth) over whole training pairs is that factor.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from bench_depth.core.dataset import read_pair
from bench_depth.core.errors import UserError

from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work, copy_of
from ghostdepth_train.evaluate import evaluate, log_bias, predict_mm

# More pairs tell the mean no better than to a thousandth.
MOST_PAIRS = 1000


class ScaleConfig(Method):
    """The correction has no settings."""

    method: Literal["scale"] = "scale"


def apply(checkpoint: Checkpoint, config: ScaleConfig, work: Work) -> Compressed:
    """Subtracts the mean log error over the training pairs from the head's bias, and evaluates.

    Raises:
        UserError: The network gives inverse depth, no pair has known depth, or a file cannot be
            read.
    """
    if checkpoint.config.depth_encoding != "log":
        raise UserError(
            "scale works on networks of log depth, where a factor is one bias; this network gives "
            "inverse depth"
        )
    network = copy_of(checkpoint.network).eval()
    pairs = work.split.train[:: -(-len(work.split.train) // MOST_PAIRS)]
    work.log(f"comparing the depth of {len(pairs)} training pairs with the ground truth")
    found = [log_bias(predict_mm(network, rgb), truth) for rgb, truth in map(read_pair, pairs)]
    errors = [each for each in found if each is not None]
    if not errors:
        raise UserError("no training pair has known depth, so the scale cannot be corrected")
    error = float(np.mean(errors))
    with torch.no_grad():
        assert network.head.bias is not None
        network.head.bias -= error
    work.log(f"all depth times {np.exp(-error):.3f}; evaluating")
    validation = evaluate(network, work.split.val).to_dict()
    return Compressed(network, {"log_error": error, "validation": validation})

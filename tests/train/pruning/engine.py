"""What torch-pruning gives, beside the network that is built from the pruned config."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.channels import Axis, Keep, prune_channels, remove_channels


def random_keep(axes: Sequence[Axis], rng: np.random.Generator) -> dict[str, list[list[int]]]:
    """Random units of every width, from one to all of them."""
    keep = {}
    for axis in axes:
        count = int(rng.integers(1, axis.units + 1))
        keep[axis.name] = [
            sorted(rng.permutation(len(units))[:count].tolist()) for _, units in axis.parts
        ]
    return keep


def pruned_as_by_the_engine(network: DepthNet, axes: Sequence[Axis], keep: Keep) -> DepthNet:
    """The pruned network; it computes what torch-pruning's does, unlike the whole network."""
    x = torch.randn(2, 3, *network.config.input_size)
    with torch.no_grad():
        cut = remove_channels(network, axes, keep)(x)
        pruned = prune_channels(network, axes, keep)
        torch.testing.assert_close(pruned(x), cut, rtol=0, atol=1e-5)
        assert (cut - network(x)).abs().max() > 1e-3
    return pruned

"""The method `scale`: the mean error of log depth over the training pairs is taken out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from bench_depth.core.dataset import read_pair
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ghostdepth_train.compress import Work, compress
from ghostdepth_train.compress.methods import method_config
from ghostdepth_train.evaluate import predict_mm

from tests.train.making import SMALL, random_network

SCALE = method_config({"method": "scale"}, "")


def checkpoint(folder: Path, factor: float = 1.0, encoding: str = "log") -> Checkpoint:
    """Depth of about `factor` times 1.9 m, within the network's range."""
    network = random_network(SMALL.model_copy(update={"depth_encoding": encoding}))
    with torch.no_grad():
        network.head.weight.mul_(0.1)
        network.head.bias.fill_(math.log(1.9 * factor))
    save_checkpoint(folder, network, name="network", training_data="", metrics={})
    return load_checkpoint(folder)


def test_the_mean_of_log_depth_over_the_training_pairs_is_that_of_the_ground_truth(
    tmp_path: Path, work: Work
) -> None:
    network = compress(checkpoint(tmp_path), SCALE, work).network
    errors = []
    for rgb, truth in map(read_pair, work.split.train):
        ratio = predict_mm(network, rgb)[truth > 0] / truth[truth > 0]
        errors.append(np.log(ratio).mean())
    assert np.mean(errors) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("factor", [0.8, 1.3])
def test_a_network_of_another_scale_becomes_the_same_network(
    tmp_path: Path, work: Work, factor: float
) -> None:
    rgb, _ = read_pair(work.split.val[0])
    one, other = (
        predict_mm(compress(checkpoint(tmp_path / str(f), f), SCALE, work).network, rgb)
        for f in (1.0, factor)
    )
    np.testing.assert_allclose(one, other, rtol=1e-4)


def test_a_network_of_inverse_depth_is_refused(tmp_path: Path, work: Work) -> None:
    with pytest.raises(UserError, match="this network gives inverse depth"):
        compress(checkpoint(tmp_path, encoding="inverse"), SCALE, work)

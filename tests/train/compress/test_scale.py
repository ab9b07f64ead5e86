"""The method `scale`: the factor on all depth that errs least in metres over training pairs."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from bench_depth.core.dataset import Pair, read_pair
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ghostdepth_train.compress import Work, compress
from ghostdepth_train.compress.methods import method_config
from ghostdepth_train.compress.scale import best_factor, multiply_depth
from ghostdepth_train.evaluate import predict_mm
from scipy.optimize import minimize_scalar

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


def test_no_other_factor_errs_less_in_metres_over_the_training_pairs(
    tmp_path: Path, work: Work
) -> None:
    network = compress(checkpoint(tmp_path), SCALE, work).network
    seen = [(predict_mm(network, rgb), truth) for rgb, truth in map(read_pair, work.split.train)]

    def error(factor: float) -> float:
        known = [(factor * depth - truth)[truth > 0] for depth, truth in seen]
        return float(np.mean([np.mean(each**2) for each in known]))

    best = minimize_scalar(error, bracket=(0.8, 1.2))
    assert best.x == pytest.approx(1, abs=1e-4)


def test_pairs_without_known_depth_are_left_out(tmp_path: Path, work: Work) -> None:
    pair = work.split.train[0]
    unknown = Pair("unknown", pair.rgb, tmp_path / "unknown.png")
    cv2.imwrite(str(unknown.depth), np.zeros_like(read_pair(pair)[1]))
    network = checkpoint(tmp_path / "network").network
    assert best_factor(network, [pair, unknown]) == best_factor(network, [pair])
    with pytest.raises(UserError, match="no training pair has known depth"):
        best_factor(network, [unknown])


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


@pytest.mark.parametrize("encoding", ["log", "inverse"])
def test_all_depth_of_either_encoding_is_multiplied(
    tmp_path: Path, work: Work, encoding: str
) -> None:
    network = checkpoint(tmp_path, encoding=encoding).network.eval()
    rgb, _ = read_pair(work.split.val[0])
    before = predict_mm(network, rgb)
    multiply_depth(network, 1.1)
    np.testing.assert_allclose(predict_mm(network, rgb), before * 1.1, rtol=1e-4)

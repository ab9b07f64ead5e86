"""Losses against the formulas, written out in numpy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from bench_depth.accuracy.temporal import temporal_error
from ghostdepth_train.config import LossConfig
from ghostdepth_train.data.clips import CropPath
from ghostdepth_train.losses import depth_loss, gradient_loss, silog_loss, temporal_loss
from hypothesis import given, settings
from hypothesis import strategies as st


def random_case(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    d = torch.from_numpy(rng.normal(size=(3, 1, 12, 16)).astype(np.float32))
    return d, torch.from_numpy(rng.random((3, 1, 12, 16)) < 0.7)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_silog_is_eigens_formula_per_image(lam: float) -> None:
    d, mask = random_case()
    expected = []
    for di, mi in zip(d.numpy(), mask.numpy(), strict=True):
        v = di[mi].astype(np.float64)
        expected.append(np.sqrt((v**2).sum() / len(v) - lam * v.sum() ** 2 / len(v) ** 2))
    assert float(silog_loss(d, mask, lam)) == pytest.approx(np.mean(expected), rel=1e-5)


def test_silog_with_lambda_one_ignores_a_common_factor() -> None:
    d, mask = random_case()
    shifted = silog_loss(d + 0.7, mask, 1.0)
    assert float(shifted) == pytest.approx(float(silog_loss(d, mask, 1.0)), rel=1e-4)


def test_gradient_loss_is_the_mean_step_between_valid_neighbours() -> None:
    d, mask = random_case(1)
    expected = 0.0
    for scale in range(2):
        for di, mi in zip(d.numpy()[:, 0], mask.numpy()[:, 0], strict=True):
            ds, ms = di[:: 2**scale, :: 2**scale], mi[:: 2**scale, :: 2**scale]
            for axis in (0, 1):
                both = np.logical_and(*(np.take(ms, r, axis) for r in _ranges(ms, axis)))
                step = np.abs(np.diff(ds, axis=axis))
                expected += step[both].mean() / 3
    assert float(gradient_loss(d, mask, 2)) == pytest.approx(expected, rel=1e-5)


def _ranges(array: np.ndarray, axis: int) -> tuple[range, range]:
    return range(1, array.shape[axis]), range(array.shape[axis] - 1)


def test_unknown_depth_has_no_influence() -> None:
    torch.manual_seed(0)
    prediction = torch.randn(2, 1, 16, 16, requires_grad=True)
    depth = torch.rand(2, 1, 16, 16) + 1
    depth[0, :, :8] = 0
    depth_loss(prediction, depth, LossConfig()).backward()
    assert prediction.grad is not None
    assert not prediction.grad[0, :, :8].any()
    assert prediction.grad[0, :, 8:].any()


@pytest.mark.parametrize("case", ["perfect", "nothing valid"])
def test_loss_and_gradient_stay_finite(case: str) -> None:
    depth = torch.full((1, 1, 8, 8), 2.0 if case == "perfect" else 0.0)
    prediction = torch.full((1, 1, 8, 8), float(np.log(2.0)), requires_grad=True)
    loss = depth_loss(prediction, depth, LossConfig())
    loss.backward()
    assert prediction.grad is not None
    assert bool(loss.isfinite())
    assert bool(prediction.grad.isfinite().all())


def moving_wall(seed: int, motion: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Depth (1xTx1xHxW) of a wall before a moving crop, and the motions (1x(T-1)x3x3)."""
    path = CropPath.draw(np.random.default_rng(seed), 1.5, motion)
    times, size = (0.0, 0.5, 1.0), (24, 32)
    depth = [np.full(size, 3 / path.at(time)[0], np.float32) for time in times]
    motions = [path.motion(a, b, (480, 640), size) for a, b in itertools.pairwise(times)]
    return (
        torch.from_numpy(np.stack(depth))[None, :, None],
        torch.from_numpy(np.stack(motions)).float()[None],
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.floats(0, 1))
def test_the_temporal_loss_is_the_temporal_error_that_is_measured(seed: int, motion: float) -> None:
    depth, motions = moving_wall(seed, motion)
    error = torch.randn(depth.shape, generator=torch.Generator().manual_seed(seed))
    rows, columns = np.indices((24, 32))
    places = []
    for matrix in motions[0].numpy():
        x, y, w = np.tensordot(matrix, np.stack([columns, rows, np.ones_like(rows)]), 1)
        places.append((np.asarray(x / w, np.float32), np.asarray(y / w, np.float32)))
    wanted = temporal_error(list(error[0, :, 0].double().numpy()), places)
    # At the edge and where a place lies between two pixels, the two may round another way.
    found = float(temporal_loss(depth.log() + error, depth, motions))
    assert found == pytest.approx(wanted, rel=0.05)


def test_a_depth_that_is_wrong_by_one_factor_all_the_time_has_no_temporal_loss() -> None:
    depth, motions = moving_wall(0, 1.0)
    prediction = (depth.log() + 0.7).requires_grad_()
    loss = temporal_loss(prediction, depth, motions)
    assert float(loss.detach()) < 1e-6
    loss.backward()
    assert prediction.grad is not None and bool(prediction.grad.isfinite().all())


def test_a_point_that_is_hidden_in_the_next_frame_or_unknown_has_no_temporal_loss() -> None:
    depth, motions = moving_wall(1, 0.0)
    error = torch.zeros_like(depth)
    error[:, 1, :, :8], depth[:, 1, :, :8] = 9, 1  # Something steps in front of the wall.
    error[:, 2, :, -8:], depth[:, 2, :, -8:] = 9, 0
    prediction = depth.clamp_min(1).log() + error
    assert float(temporal_loss(prediction, depth, motions)) < 1e-6
    assert float(temporal_loss(prediction, torch.zeros_like(depth), motions)) == 0

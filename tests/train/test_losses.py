"""Losses against the formulas, written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ghostdepth_train.config import LossConfig
from ghostdepth_train.losses import depth_loss, gradient_loss, silog_loss


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

"""Labels of inverse depth: their alignment to metres, and the loss without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from bench_depth.core.metrics import depth_of_relative_inverse
from ghostdepth_train.distillation import TeacherLabels, align_to, ssi_loss
from ghostdepth_train.distillation.labels import metric_labels
from ghostdepth_train.models.network import resize
from torch import Tensor

from tests.train.making import metres, rng


def test_alignment_is_that_of_bench_depth() -> None:
    truth = metres(0)
    truth[:, :, :2] = 0
    relative = 3 / metres(0) + 0.1 * torch.randn(truth.shape, generator=rng(1)) + 2
    aligned = align_to(TeacherLabels(relative, "relative-inverse"), truth)
    assert aligned.quantity == "metric"
    for index in range(2):
        millimetres = truth[index, 0].numpy().astype(np.float64) * 1000
        expected = depth_of_relative_inverse(relative[index, 0].numpy(), millimetres)
        np.testing.assert_allclose(aligned.log_depth[index, 0].exp() * 1000, expected, rtol=1e-4)
    assert aligned.weight.min() == 1


def test_alignment_finds_the_scale_of_each_image_at_another_size() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 60), torch.linspace(-1, 1, 80), indexing="ij")
    truth = (3 + x + 0.5 * y)[None, None].repeat(2, 1, 1, 1)
    small = resize(truth, 30, 40)
    scale, shift = torch.tensor([2.0, 900.0]).view(2, 1, 1, 1), torch.tensor([5.0, -70.0])
    labels = TeacherLabels(scale / small + shift.view(2, 1, 1, 1), "relative-inverse")
    aligned = align_to(labels, truth).log_depth.exp()
    assert ((aligned - small).abs() / small).max() < 0.01


@pytest.mark.parametrize("case", ["no truth", "opposite", "flat"])
def test_labels_that_cannot_be_aligned_get_no_confidence(case: str) -> None:
    truth = metres(0)
    values = 1 / truth
    if case == "no truth":
        truth[1] = 0
    elif case == "opposite":
        values[1] = -values[1]
    else:
        values[1] = 0.7
    aligned = align_to(TeacherLabels(values, "relative-inverse"), truth)
    assert aligned.weight[0].min() == 1
    assert aligned.weight[1].max() == 0
    assert aligned.log_depth.isfinite().all()


def test_metric_labels_need_no_alignment() -> None:
    labels = metric_labels(metres(0))
    assert align_to(labels, metres(1)) is labels


def papers_loss(prediction: np.ndarray, target: np.ndarray) -> float:
    """Ranftl et al., eq. 5 to 7 and 11, for one image of inverse depths, all of it known."""

    def normalise(d: np.ndarray) -> np.ndarray:
        middle = np.sort(d.ravel())[(d.size - 1) // 2]
        return (d - middle) / np.mean(np.abs(d - middle))

    difference = normalise(prediction) - normalise(target)
    residuals = np.sort(np.abs(difference).ravel())
    kept = residuals[: int(np.ceil(0.8 * residuals.size))]
    loss = kept.sum() / (2 * residuals.size)
    for scale in range(4):
        r = difference[:: 2**scale, :: 2**scale]
        loss += 0.5 * sum(float(np.abs(np.diff(r, axis=axis)).mean()) for axis in (0, 1))
    return float(loss)


def test_ssi_loss_is_the_papers() -> None:
    prediction, target = metres(0, (16, 24)), metres(1, (16, 24))
    loss = ssi_loss(prediction.log(), TeacherLabels(target, "relative-inverse"))
    pairs: Sequence[tuple[Tensor, Tensor]] = list(zip(1 / prediction, target, strict=True))
    expected = np.mean([papers_loss(p[0].numpy(), t[0].numpy()) for p, t in pairs])
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)


def test_ssi_loss_forgives_scale_and_shift_of_inverse_depth_and_nothing_else() -> None:
    depth = metres(0, (16, 24))
    affine = ssi_loss(depth.log(), TeacherLabels(40 / depth - 9, "relative-inverse"))
    other = ssi_loss(depth.log(), TeacherLabels(-40 / depth, "relative-inverse"))
    metric = ssi_loss(depth.log(), metric_labels(3 * depth))
    assert float(affine) == pytest.approx(0, abs=1e-4)
    assert float(metric) == pytest.approx(0, abs=1e-4)
    assert other > 0.5


def test_ssi_loss_sees_only_what_is_known() -> None:
    depth = metres(0, (16, 24))
    values, confidence = 1 / depth, torch.ones_like(depth)
    values[:, :, :5], confidence[:, :, :5] = 1e6, 0
    labels = TeacherLabels(values, "relative-inverse", confidence)
    assert float(ssi_loss(depth.log(), labels)) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("case", ["unknown", "flat"])
def test_ssi_loss_has_a_finite_gradient_everywhere(case: str) -> None:
    depth = metres(0, (16, 24))
    confidence = torch.ones_like(depth)
    prediction = torch.zeros_like(depth) if case == "flat" else metres(1, (16, 24)).log()
    if case == "unknown":
        confidence[1] = 0
    prediction.requires_grad_()
    ssi_loss(prediction, TeacherLabels(1 / depth, "relative-inverse", confidence)).backward()
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()
    assert prediction.grad.abs().max() < 1000
    if case == "unknown":
        assert prediction.grad[0].abs().sum() > 0
        assert prediction.grad[1].abs().sum() == 0

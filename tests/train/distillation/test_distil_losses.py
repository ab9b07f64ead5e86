"""Losses of distillation against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ghostdepth_train.distillation.losses import (
    MAX_POSITIONS,
    affinity_loss,
    attention_loss,
    block_means,
    feature_loss,
    response_loss,
    teacher_confidence,
)


def test_response_is_a_weighted_mean_per_picture() -> None:
    rng = torch.Generator().manual_seed(0)
    prediction, labels = torch.randn(2, 2, 1, 4, 5, generator=rng)
    weight = torch.rand(2, 1, 4, 5, generator=rng)
    expected = 0.0
    for image in range(2):
        w = weight[image].numpy().ravel()
        d = (prediction[image] - labels[image]).numpy().ravel()
        expected += sum(a * abs(b) for a, b in zip(w, d, strict=True)) / sum(w) / 2
    loss = response_loss(prediction, labels, weight, gradient=0)
    assert math.isclose(float(loss), expected, rel_tol=1e-5)


def test_free_scale_forgives_a_common_factor_of_each_picture() -> None:
    labels = torch.randn(2, 1, 8, 8)
    shift = torch.tensor([0.7, -1.3]).view(2, 1, 1, 1)
    weight = torch.rand(2, 1, 8, 8) + 0.1
    assert float(response_loss(labels + shift, labels, weight, free_scale=True)) < 1e-6
    assert float(response_loss(labels + shift, labels, weight)) > 0.5


def test_pixels_without_weight_and_pictures_without_labels_count_nothing() -> None:
    labels, weight = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
    prediction = torch.zeros(2, 1, 4, 4)
    weight[0, 0, :2], prediction[0, 0, :2] = 0, 99
    weight[1], prediction[1] = 0, 99
    prediction.requires_grad_()
    loss = response_loss(prediction, labels, weight)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert prediction.grad is not None and bool(prediction.grad.isfinite().all())
    assert float(prediction.grad[1].abs().sum()) == 0


def test_block_means_are_weighted_and_blind_to_what_lies_within_a_block() -> None:
    rng = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 1, 8, 12, generator=rng), torch.rand(2, 1, 8, 12, generator=rng)
    weight[0, 0, :4, :4] = 0
    mean, total = block_means(x, weight, (2, 3))
    for n, i, j in np.ndindex(2, 2, 3):
        w, v = (t[n, 0, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].numpy() for t in (weight, x))
        expected = np.average(v, weights=w) if w.any() else 0
        assert float(mean[n, 0, i, j]) == pytest.approx(expected, abs=1e-5)
        assert float(total[n, 0, i, j]) == pytest.approx(w.mean(), abs=1e-6)
    sharp, ones = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    sharp[..., :2] = 1
    blurred = torch.zeros(1, 1, 8, 8)
    blurred[..., :4] = 0.5
    torch.testing.assert_close(block_means(sharp, ones, (2, 2)), block_means(blurred, ones, (2, 2)))


def test_trust_falls_with_the_teachers_error_and_is_whole_where_nobody_knows() -> None:
    depth = torch.tensor([[[[2.0, 2.0, 0.0, 4.0]]]])
    labels = torch.tensor([[[[2.0, 3.0, 7.0, 2.0]]]]).log()
    expected = [1.0, math.exp(-math.log(1.5) / 0.3), 1.0, math.exp(-math.log(2) / 0.3)]
    np.testing.assert_allclose(
        teacher_confidence(labels, depth, 0.3).flatten(), expected, rtol=1e-5
    )


def test_features_are_compared_in_the_teachers_own_units() -> None:
    teacher = torch.randn(4, 3, 5, 5) * torch.tensor([1.0, 10.0, 0.1]).view(1, 3, 1, 1)
    spread = teacher.std((0, 2, 3), keepdim=True)
    assert math.isclose(float(feature_loss(teacher + spread, teacher)), 1.0, rel_tol=1e-4)


def test_affinity_is_the_difference_of_all_cosines() -> None:
    student, teacher = torch.randn(1, 3, 2, 3), torch.randn(1, 7, 2, 3)

    def cosines(x: torch.Tensor) -> list[float]:
        columns = x[0].flatten(1).T.double().numpy()
        return [
            float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a in columns for b in columns
        ]

    pairs = zip(cosines(student), cosines(teacher), strict=True)
    expected = float(np.mean([(a - b) ** 2 for a, b in pairs]))
    assert math.isclose(float(affinity_loss(student, teacher)), expected, rel_tol=1e-4)


def test_attention_is_the_squared_distance_of_normalised_sums_of_squares() -> None:
    student, teacher = torch.randn(2, 3, 4, 5), 7 * torch.randn(2, 6, 4, 5)

    def attention(x: torch.Tensor) -> np.ndarray:
        energy = (x.double().numpy() ** 2).sum(0).ravel()
        return energy / np.linalg.norm(energy)

    pairs = zip(student, teacher, strict=True)
    expected = float(np.mean([((attention(a) - attention(b)) ** 2).sum() for a, b in pairs]))
    assert math.isclose(float(attention_loss(student, teacher)), expected, rel_tol=1e-4)
    assert float(attention_loss(student, 3 * student)) < 1e-10  # A factor is no matter.


def test_affinity_of_large_maps_is_pooled() -> None:
    student = torch.randn(1, 2, 64, 80)
    assert MAX_POSITIONS < 64 * 80
    loss = affinity_loss(student, torch.randn(1, 3, 32, 40))
    assert loss.shape == () and bool(loss.isfinite())

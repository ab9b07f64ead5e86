"""Metrics against the protocol's formulas, written out pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bench_depth.core.metrics import (
    ALIGNMENTS,
    DepthMetrics,
    aligned,
    depth_metrics,
    depth_of_relative_inverse,
    mean_metrics,
    score,
    valid_pixels,
)


def by_hand(p: np.ndarray, t: np.ndarray) -> dict[str, float]:
    pairs = [
        (max(float(a), 1.0), float(b)) for a, b in np.stack([p.ravel(), t.ravel()], 1) if b > 1
    ]
    n = len(pairs)
    d = [math.log(a) - math.log(b) for a, b in pairs]
    ratios = [max(a / b, b / a) for a, b in pairs]
    return {
        "rmse": math.sqrt(sum(((b - a) / 1000) ** 2 for a, b in pairs) / n),
        "si_rmse": math.sqrt(sum(x * x for x in d) / n - sum(d) ** 2 / n**2),
        "log10": sum(abs(math.log10(a) - math.log10(b)) for a, b in pairs) / n,
        "rel": sum(abs(a - b) / b for a, b in pairs) / n,
        **{f"delta_{k}": sum(r < 1.25**k for r in ratios) / n for k in (1, 2, 3)},
    }


def random_maps(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ground_truth = rng.integers(0, 9000, (20, 30)).astype(np.uint16)
    ground_truth[:3] = 0
    ground_truth[3] = 1
    prediction = ground_truth * rng.uniform(0.5, 1.8, ground_truth.shape) - 50
    return prediction, ground_truth


@pytest.mark.parametrize("seed", range(3))
def test_every_metric_is_the_protocols_formula(seed: int) -> None:
    prediction, ground_truth = random_maps(seed)
    metrics = depth_metrics(prediction, ground_truth)
    assert metrics is not None
    assert metrics.to_dict() == pytest.approx(by_hand(prediction, ground_truth), rel=1e-9)


def test_a_perfect_map() -> None:
    ground_truth = np.full((4, 4), 2000, np.uint16)
    assert depth_metrics(ground_truth.astype(float), ground_truth) == DepthMetrics(
        0, 0, 0, 0, 1, 1, 1
    )


def test_si_rmse_forgives_a_common_factor_and_median_alignment_removes_it() -> None:
    prediction, ground_truth = random_maps()
    prediction = np.maximum(prediction, 10)
    plain, scaled = (
        depth_metrics(prediction, ground_truth),
        depth_metrics(prediction * 3, ground_truth),
    )
    assert plain is not None and scaled is not None
    assert scaled.si_rmse == pytest.approx(plain.si_rmse)
    assert scaled.delta_1 < plain.delta_1
    aligned = [depth_metrics(p, ground_truth, "median") for p in (prediction, prediction * 3)]
    assert aligned[0] is not None and aligned[1] is not None
    assert aligned[0].to_dict() == pytest.approx(aligned[1].to_dict())


@pytest.mark.parametrize("align", ALIGNMENTS)
def test_a_whole_aligned_map_has_the_pixels_that_are_compared(align: str) -> None:
    prediction, ground_truth = random_maps()
    pixels = valid_pixels(prediction, ground_truth, align)
    assert pixels is not None
    whole = aligned(prediction, ground_truth, align)
    assert whole.shape == prediction.shape
    np.testing.assert_allclose(whole[ground_truth > 1], pixels[0], rtol=1e-12)


def test_log_affine_alignment_undoes_a_power() -> None:
    _, ground_truth = random_maps()
    prediction = 7 * np.maximum(ground_truth.astype(float), 2) ** 0.6
    aligned = depth_metrics(prediction, ground_truth, "log-affine")
    assert aligned is not None
    assert aligned.rel == pytest.approx(0, abs=1e-9)


def test_inverse_affine_alignment_undoes_scale_and_shift_of_inverse_depth() -> None:
    _, ground_truth = random_maps()
    inverse = 70 / np.maximum(ground_truth.astype(float), 2) - 12
    aligned = depth_of_relative_inverse(inverse, ground_truth)
    assert aligned is not None
    np.testing.assert_allclose(aligned[ground_truth > 1], ground_truth[ground_truth > 1])
    # A metric model can be aligned so too: 1 / (a + b / depth).
    prediction = 1 / (1e-5 + 0.3 / np.maximum(ground_truth.astype(float), 2))
    metrics = depth_metrics(prediction, ground_truth, "inverse-affine")
    assert metrics is not None
    assert metrics.rel == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_relative_inverse_depth_is_fitted_by_least_squares(seed: int) -> None:
    _, ground_truth = random_maps(seed)
    inverse = np.random.default_rng(seed).normal(5, 3, ground_truth.shape)
    valid = ground_truth > 1
    columns = np.stack([inverse[valid], np.ones(valid.sum())], 1)
    slope, shift = np.linalg.lstsq(columns, 1 / ground_truth[valid].astype(float), rcond=None)[0]
    # Depth beyond the farthest ground truth, or behind the camera, is set to that farthest depth.
    expected = 1 / np.maximum(slope * inverse + shift, 1 / ground_truth.max())
    found = depth_of_relative_inverse(inverse, ground_truth)
    assert found is not None
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert found.max() <= ground_truth.max()
    # A relative prediction can be of any size.
    for size in (1e-15, 1e15):
        same = depth_of_relative_inverse(size * inverse, ground_truth)
        np.testing.assert_allclose(same, expected, rtol=1e-9)


def test_flat_inverse_depth_becomes_the_mean_inverse_depth() -> None:
    ground_truth = np.array([[1000, 4000]], np.uint16)
    found = depth_of_relative_inverse(np.full((1, 2), 7.0), ground_truth)
    np.testing.assert_allclose(found, 1600)


def test_relative_inverse_depth_needs_ground_truth_of_its_own_shape() -> None:
    assert depth_of_relative_inverse(np.ones((2, 2)), np.zeros((2, 2), np.uint16)) is None
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        depth_of_relative_inverse(np.ones((2, 3)), np.ones((3, 2)))


def test_an_image_without_ground_truth_has_no_metrics() -> None:
    assert depth_metrics(np.ones((2, 2)), np.zeros((2, 2), np.uint16)) is None
    with pytest.raises(ValueError, match="nothing to average"):
        mean_metrics([])


def test_nan_is_not_hidden() -> None:
    ground_truth = np.full((2, 2), 2000, np.uint16)
    metrics = depth_metrics(np.array([[2000, np.nan], [2000, 2000]]), ground_truth)
    assert metrics is not None
    assert math.isnan(metrics.rmse)
    assert math.isnan(metrics.si_rmse)


def test_shapes_that_differ_are_printed() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        depth_metrics(np.ones((2, 3)), np.ones((3, 2)))


@pytest.mark.parametrize(("si", "ms", "published"), [(0.2836, 97, 129.4), (0.2773, 46, 298)])
def test_score_reproduces_published_rows(si: float, ms: float, published: float) -> None:
    assert score(si, ms) == pytest.approx(published, rel=0.01)
    for wrong in (0, -1, math.nan):
        with pytest.raises(ValueError, match="runtime must be positive"):
            score(si, wrong)

from __future__ import annotations

import math

import numpy as np
import pytest
from bench_depth.accuracy.bands import EDGES_M, band_errors, mean_bands
from bench_depth.core.metrics import ALIGNMENTS, aligned, depth_metrics, mean_metrics


def random_maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """0.4 to 14 m, some of it unknown, and a prediction within a factor of 1.6."""
    rng = np.random.default_rng(seed)
    ground_truth = rng.uniform(400, 14000, (12, 17)).astype(np.uint16)
    ground_truth[rng.random(ground_truth.shape) < 0.2] = 0
    return ground_truth * rng.uniform(0.625, 1.6, ground_truth.shape) + 5, ground_truth


def by_hand(
    prediction: np.ndarray, ground_truth: np.ndarray, near: float, far: float
) -> dict | None:
    """The band's errors pixel by pixel, with no array arithmetic."""
    places = list(np.ndindex(ground_truth.shape))
    known = [
        (float(prediction[at]), float(ground_truth[at])) for at in places if ground_truth[at] > 1
    ]
    inside = [(p, t) for p, t in known if near * 1000 <= t < far * 1000]
    if not inside:
        return None
    n = len(inside)
    return {
        "share": n / len(known),
        "rmse": math.sqrt(sum(((p - t) / 1000) ** 2 for p, t in inside) / n),
        "rel": sum(abs(p - t) / t for p, t in inside) / n,
        "delta_1": sum(max(p / t, t / p) < 1.25 for p, t in inside) / n,
        "bias": sum(math.log(p / t) for p, t in inside) / n,
    }


@pytest.mark.parametrize("align", ALIGNMENTS)
@pytest.mark.parametrize("seed", range(3))
def test_each_band_is_what_a_loop_over_its_pixels_gives(seed: int, align: str) -> None:
    prediction, ground_truth = random_maps(seed)
    whole = aligned(prediction, ground_truth, align)
    edges = [*EDGES_M, math.inf]
    for place, row in enumerate(band_errors(prediction, ground_truth, align)):
        expected = by_hand(whole, ground_truth, edges[place], edges[place + 1])
        assert row is not None and expected is not None
        for name, value in expected.items():
            assert getattr(row, name) == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_the_far_edge_belongs_to_the_next_band() -> None:
    ground_truth = np.array([[999, 1000, 1999, 2000, 9999, 10000]], np.uint16)
    shares = [row and row.share for row in band_errors(ground_truth.astype(float), ground_truth)]
    assert shares == [1 / 6, 2 / 6, 1 / 6, None, 1 / 6, 1 / 6]


@pytest.mark.parametrize("align", ALIGNMENTS)
def test_the_bands_together_are_the_whole_image(align: str) -> None:
    prediction, ground_truth = random_maps(7)
    rows = [row for row in band_errors(prediction, ground_truth, align) if row is not None]
    metrics = depth_metrics(prediction, ground_truth, align)
    assert metrics is not None
    assert sum(row.share for row in rows) == pytest.approx(1)
    square = sum(row.share * row.rmse**2 for row in rows)
    assert math.sqrt(square) == pytest.approx(metrics.rmse)
    assert sum(row.share * row.rel for row in rows) == pytest.approx(metrics.rel)
    assert sum(row.share * row.delta_1 for row in rows) == pytest.approx(metrics.delta_1)


def test_the_mean_is_over_images_that_have_the_band() -> None:
    near = np.full((2, 2), 1500, np.uint16)
    mixed = np.array([[1500, 1500], [1500, 4000]], np.uint16)
    bands = mean_bands([band_errors(1.1 * near, near), band_errors(1.3 * mixed, mixed)])
    assert [(band.near_m, band.far_m, band.images) for band in bands] == [(1, 2, 2), (3, 5, 1)]
    first, second = bands
    assert first.share == pytest.approx((1 + 3 / 4) / 2)
    assert second.share == pytest.approx((0 + 1 / 4) / 2)
    assert first.rel == pytest.approx(0.2)
    assert second.rel == pytest.approx(0.3)
    assert first.bias == pytest.approx((math.log(1.1) + math.log(1.3)) / 2)
    assert first.delta_1 == pytest.approx(0.5)


def test_a_band_beyond_the_last_edge_has_no_end() -> None:
    ground_truth = np.full((2, 2), 30000, np.uint16)
    (band,) = mean_bands([band_errors(ground_truth.astype(float), ground_truth)])
    assert (band.near_m, band.far_m, band.rmse) == (10, None, 0)


def test_without_ground_truth_there_is_no_band() -> None:
    empty = np.zeros((2, 2), np.uint16)
    assert mean_bands([band_errors(empty.astype(float), empty)]) == []
    assert mean_bands([]) == []


@pytest.mark.parametrize("align", ALIGNMENTS)
def test_the_aligned_map_has_the_metrics_of_its_alignment(align: str) -> None:
    pairs = [random_maps(seed) for seed in range(3)]
    direct = mean_metrics(m for p, t in pairs if (m := depth_metrics(p, t, align)))
    twice = mean_metrics(
        m for p, t in pairs if (m := depth_metrics(aligned(p, t, align), t, "none"))
    )
    for name, value in direct.to_dict().items():
        assert getattr(twice, name) == pytest.approx(value, rel=1e-12), name

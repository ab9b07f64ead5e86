"""Sharpness against distances searched pixel by pixel, and maps whose answer is known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from bench_depth.accuracy.sharpness import edges, metrics_with_sharpness, sharpness
from bench_depth.core.metrics import DepthMetrics, depth_metrics, mean_metrics

pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.same_everywhere


def rooms(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A sloped wall with boxes before it, millimetres."""
    random = np.random.default_rng(seed)
    depth = np.linspace(3000, 5000, width)[None].repeat(height, 0)
    for _ in range(4):
        top, left = random.integers(0, height - 8), random.integers(0, width - 8)
        depth[top : top + random.integers(6, 20), left : left + 14] = random.integers(800, 2500)
    return depth.astype(np.uint16)


def by_search(predicted: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    def mean(of: np.ndarray, to: np.ndarray) -> float:
        points, others = np.argwhere(of).tolist(), np.argwhere(to).tolist()
        if not points or not others:
            return 10.0
        return sum(min(10.0, *(math.dist(a, b) for b in others)) for a in points) / len(points)

    return mean(predicted, true), mean(true, predicted)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), blur=st.floats(0.3, 3), shift=st.integers(0, 5))
def test_boundary_errors_are_mean_distances_to_the_nearest_edge(
    seed: int, blur: float, shift: int
) -> None:
    ground_truth = rooms(seed)
    moved = np.roll(ground_truth, shift, 1).astype(np.float32)
    prediction = cv2.GaussianBlur(moved, (0, 0), blur)
    known = np.ones(ground_truth.shape, bool)
    found = sharpness(prediction, ground_truth)
    assert found is not None
    true, predicted = (edges(m.astype(np.float32), known) for m in (ground_truth, prediction))
    expected = by_search(predicted, true)
    assert (found.dbe_acc, found.dbe_comp) == pytest.approx(expected, abs=1e-4)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.2, 5))
def test_the_ground_truth_itself_at_any_scale_is_perfectly_sharp(seed: int, scale: float) -> None:
    ground_truth = rooms(seed)
    found = sharpness(ground_truth * scale, ground_truth)
    assert found == pytest.approx((0, 0, 1), abs=1e-3)


def step(column: int, height: int = 60, width: int = 80) -> np.ndarray:
    depth = np.full((height, width), 1000, np.uint16)
    depth[:, column:] = 4000
    return depth


@pytest.mark.parametrize("shift", [0, 3, 8, 14])
def test_an_edge_in_the_wrong_place_is_as_wrong_as_it_is_far_up_to_ten_pixels(shift: int) -> None:
    found = sharpness(step(30 + shift).astype(float), step(30))
    assert found is not None
    assert found[:2] == pytest.approx((min(shift, 10),) * 2)


def test_blur_takes_edge_energy_and_a_flat_map_has_no_edge() -> None:
    ground_truth = step(40)
    energies = []
    for sigma in (1, 2, 4):
        found = sharpness(cv2.GaussianBlur(ground_truth, (0, 0), sigma).astype(float), ground_truth)
        assert found is not None
        energies.append(found.edge_energy)
    assert 1 > energies[0] > energies[1] > energies[2] > 0
    flat = sharpness(np.full(ground_truth.shape, 2000.0), ground_truth)
    assert flat == (10, 10, 0)


def test_large_maps_are_reduced() -> None:
    small, large = (
        sharpness(step(34 * n, 60 * n, 320 * n).astype(float), step(30 * n, 60 * n, 320 * n))
        for n in (1, 2)
    )
    assert small is not None
    assert large == pytest.approx(small, abs=0.1)


def test_a_hole_in_the_ground_truth_has_no_edge() -> None:
    ground_truth = np.full((40, 40), 2000, np.uint16)
    ground_truth[10:20, 10:20] = 0
    prediction = np.full((40, 40), 2000.0)
    metrics = metrics_with_sharpness(prediction, ground_truth)
    assert metrics == depth_metrics(prediction, ground_truth)
    assert metrics is not None
    assert metrics.dbe_acc is None
    assert metrics_with_sharpness(prediction, np.zeros_like(ground_truth)) is None
    assert sharpness(prediction, np.zeros_like(ground_truth)) is None


def test_alignment_comes_before_steepness() -> None:
    ground_truth = step(30)
    squared = ground_truth.astype(float) ** 2
    plain = metrics_with_sharpness(squared, ground_truth)
    fitted = metrics_with_sharpness(squared, ground_truth, "log-affine")
    assert plain is not None
    assert plain.edge_energy == pytest.approx(2, rel=0.01)
    assert fitted is not None
    assert fitted.edge_energy == pytest.approx(1, rel=0.01)


def test_shapes_that_differ_are_printed() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        sharpness(np.ones((2, 3)), np.ones((3, 2)))


def test_the_mean_is_over_the_images_that_have_edges() -> None:
    plain = DepthMetrics(1, 1, 1, 1, 1, 1, 1)
    sharp = DepthMetrics(3, 1, 1, 1, 1, 1, 1, dbe_acc=4.0, dbe_comp=6.0, edge_energy=0.5)
    mean = mean_metrics([plain, sharp])
    assert (mean.rmse, mean.dbe_acc, mean.dbe_comp, mean.edge_energy) == (2, 4, 6, 0.5)
    assert mean_metrics([plain, plain]) == plain
    assert "dbe_acc" not in plain.to_dict()

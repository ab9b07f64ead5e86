"""Depth with the edges of its photo, against the guided filter written out pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from bench_depth.depth.model import DepthModel
from bench_depth.depth.sharpening import EPSILON, GRID, RADIUS, sharpen
from bench_depth.model.postprocess import resize_depth

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies


def written_out(depth: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """The filter by its equations, for a photo no larger than the grid."""
    pad = [(RADIUS, RADIUS)] * 2
    guide, values = (np.pad(each, pad, "symmetric") for each in (grey, depth))
    side = 2 * RADIUS + 1

    def windows(array: np.ndarray) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(array, (side, side)).reshape(
            *grey.shape, -1
        )

    slope, offset = np.empty(grey.shape), np.empty(grey.shape)
    for row, column in np.ndindex(grey.shape):
        seen, wanted = windows(guide)[row, column], windows(values)[row, column]
        covariance = np.mean(seen * wanted) - seen.mean() * wanted.mean()
        slope[row, column] = covariance / (seen.var() + EPSILON)
        offset[row, column] = wanted.mean() - slope[row, column] * seen.mean()
    means = (windows(np.pad(each, pad, "symmetric")).mean(-1) for each in (slope, offset))
    mean_slope, mean_offset = means
    return np.clip(mean_slope * grey + mean_offset, depth.min(), depth.max())


def photo_of(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def steps(height: int, width: int, blur: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo with one upright edge, and depth of 1 and 3 m with the same edge, blurred."""
    column = np.arange(width)
    photo = photo_of(np.tile(np.where(column < width // 2, 60, 180), (height, 1)))
    ramp = np.clip((column - width / 2) / blur + 0.5, 0, 1)
    return photo, np.tile(1 + 2 * ramp, (height, 1)).astype(np.float32)


def test_it_is_the_guided_filter_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (18, 23))
    depth = rng.uniform(0.5, 4, (18, 23)).astype(np.float32)
    plain = sharpen(depth, photo_of(grey), metric=False)
    np.testing.assert_allclose(plain, written_out(depth, grey / 255), atol=2e-4)
    metric = sharpen(depth, photo_of(grey), metric=True)
    np.testing.assert_allclose(metric, np.exp(written_out(np.log(depth), grey / 255)), rtol=1e-3)


@pytest.mark.parametrize("size", [(480, 640), (1200, 900)])
def test_a_blurred_edge_becomes_that_of_the_photo(size: tuple[int, int]) -> None:
    photo, depth = steps(*size, blur=size[1] // 20)
    small = resize_depth(depth, 120, 160)
    plain, sharp = resize_depth(small, *size), sharpen(small, photo, metric=True)
    steepest = [np.abs(np.diff(found[size[0] // 2])) for found in (plain, sharp)]
    assert int(steepest[1].argmax()) == size[1] // 2 - 1
    assert steepest[1].max() > 10 * steepest[0].max()


def test_texture_of_a_flat_thing_leaves_no_mark() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    found = sharpen(np.full((112, 144), 2, np.float32), photo, metric=True)
    np.testing.assert_allclose(found, 2, rtol=1e-6)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    sizes=st.tuples(*[st.integers(1, 2 * GRID)] * 4), metric=st.booleans(), seed=st.integers(0, 99)
)
def test_any_sizes_give_depth_of_the_photo_within_the_range(
    sizes: tuple[int, int, int, int], metric: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 256, (*sizes[:2], 3)).astype(np.uint8)
    depth = rng.uniform(0.1 if metric else -3, 9, sizes[2:]).astype(np.float32)
    found = sharpen(depth, photo, metric=metric)
    assert found.shape == photo.shape[:2]
    assert found.dtype == np.float32
    assert depth.min() <= found.min() <= found.max() <= depth.max()


@pytest.mark.parametrize("unknown", [np.nan, np.inf, 0.0])
def test_depth_that_is_partly_unknown_is_resized_alone(unknown: float) -> None:
    photo, depth = steps(60, 80, blur=8)
    depth[10:20, 10:20] = unknown
    found = sharpen(depth, photo, metric=True)
    np.testing.assert_array_equal(found, resize_depth(depth, 60, 80))


def test_a_model_sharpens_photos_and_frames() -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (120, 200, 3)).astype(np.uint8)
    plain, sharp = DepthModel("ghostdepth-nano"), DepthModel("ghostdepth-nano", sharpen=True)
    want = sharpen(plain.follow(photo).depth, photo, metric=True)
    np.testing.assert_array_equal(sharp(photo), want)
    np.testing.assert_array_equal(sharp.follow(photo).depth, want)

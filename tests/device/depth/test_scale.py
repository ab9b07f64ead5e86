"""Distances and colours against the plain formula, over large, small and partly unknown maps."""

from __future__ import annotations

import numpy as np
import pytest
from bench_depth.depth import colours
from bench_depth.depth.scale import Scale

pytestmark = pytest.mark.same_everywhere


def _maps() -> list[np.ndarray]:
    """Smooth, noisy, rounded, sorted, partly unknown; on both sides of the size of a shortcut."""
    rng = np.random.default_rng(5)
    maps = []
    for height, width in ((1, 1), (7, 10), (401, 403), (400, 401)):
        slope = np.linspace(0.5, 9, height * width).reshape(height, width)
        noise = rng.gamma(2, 2, (height, width))
        two_walls = np.where(rng.random((height, width)) < 0.5, 1.0, 7.0)
        holes = np.where(rng.random((height, width)) < 0.7, rng.choice([0, np.nan, np.inf]), noise)
        maps += [slope, slope[::-1], noise, noise.round(1), two_walls, holes]
    return [np.asarray(depth, np.float32) for depth in maps]


@pytest.mark.parametrize("scale", [Scale(), Scale(relative=True), Scale(True, True)])
def test_distances_and_colours_are_those_of_the_plain_formula(scale: Scale) -> None:
    for depth in _maps():
        known = scale.known(depth)
        values = depth[known]
        if not values.size:
            assert scale.distances([depth]) == (None, None, None)
            continue
        expected = [round(float(f(values)), 3) for f in (np.min, np.median, np.max)]
        assert list(scale.distances([depth])) == expected[:: -1 if scale.inverse else 1]
        near, far = scale.ends(depth)
        position = (np.where(known, depth, near) - near) / (far - near)
        steps = np.clip(position * 255 + 0.5, 0, 255).astype(np.uint8)
        picture = np.where(known[..., np.newaxis], colours.table()[steps], colours.UNKNOWN)
        np.testing.assert_array_equal(colours.paint(depth, known, near, far), picture)


@pytest.mark.parametrize("height", [480, 481, 720, 1080, 3040])
def test_the_colour_bar_is_as_large_a_part_of_a_tall_picture_as_of_a_small_one(height: int) -> None:
    picture = np.zeros((height, 8, 3), np.uint8)
    margin = colours.with_scale(picture, 1.0, 888.8, "m")[:, 8:]
    assert margin.shape[1] == pytest.approx(76 * height / 480, abs=1)
    assert margin.shape[1] % 2 == 0, "as the codecs of videos require"
    dark = np.argwhere((margin < 100).all(axis=2))
    rows, columns = (np.unique(axis) / height for axis in dark.T)
    # The labels: from the top to the bottom, and behind them some white.
    assert rows[0] < 0.02
    assert rows[-1] > 0.98
    assert 0.06 < columns[-1] < margin.shape[1] / height

"""The steadiness of depth against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from bench_depth.accuracy.temporal import camera_motion, flicker, log_error, temporal_error

pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.same_everywhere
INTRINSICS = np.array([[20.0, 0, 7.5], [0, 20.0, 5.5], [0, 0, 1]])


def wall(z: float) -> np.ndarray:
    return np.full((12, 16), z)


def test_a_wall_that_comes_nearer_is_no_error_and_a_jump_of_scale_is() -> None:
    ahead = np.eye(4)
    ahead[2, 3] = -0.5  # The camera goes half a metre towards the wall.
    motion = camera_motion(wall(3), wall(2.5), ahead, INTRINSICS)
    right = [log_error(1.3 * wall(z), wall(z)) for z in (3, 2.5)]
    assert temporal_error(right, [motion]) == pytest.approx(0, abs=1e-12)
    jump = [log_error(scale * wall(z), wall(z)) for scale, z in ((1, 3), (1.1, 2.5))]
    assert temporal_error(jump, [motion]) == pytest.approx(np.log(1.1))


@settings(max_examples=25, deadline=None)
@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 99))
def test_a_sideways_motion_finds_each_point_where_it_went(dx: int, dy: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    motion = np.eye(4)
    motion[:2, 3] = np.array([dx, dy]) * 2 / 20  # In pixels, for a wall at 2 m.
    x, y = camera_motion(wall(2), wall(2), motion, INTRINSICS)
    before, after = rng.normal(size=(2, 12, 16))
    total = []
    for row in range(12):
        for column in range(16):
            inside = 0 <= row + dy < 12 and 0 <= column + dx < 16
            assert inside == bool(np.isfinite(x[row, column]))
            if inside:
                assert x[row, column] == pytest.approx(column + dx, abs=1e-3)
                total.append(abs(after[row + dy, column + dx] - before[row, column]))
    assert temporal_error([before, after], [(x, y)]) == pytest.approx(np.mean(total))


def test_what_is_unknown_or_hidden_does_not_count() -> None:
    known = wall(2)
    known[:, :8] = 0
    motion = camera_motion(known, wall(1), np.eye(4), INTRINSICS)  # Something stands before it.
    assert np.isnan(temporal_error([log_error(wall(2), known)] * 2, [motion]))
    with pytest.raises(ValueError, match="3 frames have 2 motions, not 1"):
        temporal_error([known] * 3, [motion])


def test_flicker_is_the_deviation_of_log_depth() -> None:
    depths = [wall(z) for z in (1.0, 2.0, 1.5)]
    assert flicker(depths) == pytest.approx(np.std(np.log([1.0, 2.0, 1.5])))
    assert flicker([wall(1), wall(1)]) == 0
    with pytest.raises(ValueError, match="at least two frames"):
        flicker([wall(1)])

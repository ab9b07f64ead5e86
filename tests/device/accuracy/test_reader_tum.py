from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench_depth.accuracy.readers import find_frames
from bench_depth.accuracy.readers.tum import associate
from bench_depth.core.errors import UserError

from tests.device.accuracy.sources import (
    exact_millimetres,
    photo,
    steps,
    two_matches_of_three,
    write_tum,
)


@pytest.fixture
def tum(tmp_path: Path) -> Path:
    return two_matches_of_three(tmp_path / "tum")


def test_nearest_times_are_paired_and_millimetres_exact(tum: Path) -> None:
    frames = find_frames("tum", tum)
    assert [frame.name for frame in frames] == ["1305_000000", "1305_200000"]
    for i, frame in enumerate(frames):
        rgb, depth = frame.read()
        assert (rgb.dtype, depth.dtype) == (np.uint8, np.uint16)
        np.testing.assert_array_equal(rgb, photo())
        np.testing.assert_array_equal(depth, exact_millimetres(steps(i), 5000))


def greedy_over_all_combinations(first: list, second: list) -> list:
    """The benchmark's rule, spelled out: sort every close combination, take what is still free."""
    close = sorted((abs(a - b), a, b) for a in first for b in second if abs(a - b) < 0.02)
    taken: list = []
    for _, a, b in close:
        if all(a != x and b != y for x, y in taken):
            taken.append((a, b))
    return sorted(taken)


@pytest.mark.parametrize("seed", range(5))
def test_association_equals_the_greedy_rule(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = (list(1e9 + rng.permutation(np.cumsum(rng.uniform(0, 0.03, 80)))) for _ in "ab")
    assert associate(first, second) == greedy_over_all_combinations(first, second)


@pytest.mark.parametrize("step", [0, 1e-9, 1e-5, 2e-4])
def test_times_denser_than_any_camera_are_refused_before_all_are_combined(step: float) -> None:
    times = [1e9 + step * i for i in range(100_000)]
    with pytest.raises(UserError, match="timestamps are in seconds"):
        associate(times, times)


def test_depth_is_given_to_the_closest_photo_only() -> None:
    assert associate([1.000, 1.010], [1.008]) == [(1.010, 1.008)]


def test_lists_of_other_times_are_refused(tmp_path: Path) -> None:
    folder = write_tum(tmp_path / "tum", [10.0], [10.5])
    with pytest.raises(UserError, match=r"within 0\.02 s"):
        find_frames("tum", folder)


def test_a_listed_file_that_is_missing_is_named(tum: Path) -> None:
    (tum / "rgb" / "1305.200000.png").unlink()
    with pytest.raises(UserError, match=r"1305\.200000\.png is missing.*rgb\.txt lists it"):
        find_frames("tum", tum)


def test_a_malformed_line_is_named(tum: Path) -> None:
    (tum / "depth.txt").write_text("# depth\n1305.0 depth/a.png\nnonsense\n")
    with pytest.raises(UserError, match=r"depth\.txt line 3"):
        find_frames("tum", tum)


def test_a_list_without_entries_is_refused(tum: Path) -> None:
    (tum / "rgb.txt").write_text("# color images\n")
    with pytest.raises(UserError, match=r"rgb\.txt is empty"):
        find_frames("tum", tum)


def test_truncated_depth_is_named_when_it_is_read(tum: Path) -> None:
    file = tum / "depth" / "1305.190000.png"
    file.write_bytes(file.read_bytes()[:200])
    good, bad = find_frames("tum", tum)
    good.read()
    with pytest.raises(UserError, match=r"1305\.190000\.png .*truncated"):
        bad.read()

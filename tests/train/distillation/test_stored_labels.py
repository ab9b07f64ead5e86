"""The mean of labels that several teachers stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest
from bench_depth.core.dataset import Pair, read_depth, write_depth
from bench_depth.core.errors import UserError
from ghostdepth_train.distillation.labelling import label_images
from ghostdepth_train.distillation.stored import StoredLabels
from ghostdepth_train.distillation.unlabelled import list_unlabelled
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Maps = dict[str, NDArray[np.uint16]]


def sets(folder: Path, *labels: Maps) -> list[Sequence[Pair]]:
    """Black photos of 12x16, and their labels by several teachers."""
    (folder / "rgb").mkdir(parents=True, exist_ok=True)
    for name in labels[0]:
        cv2.imwrite(str(folder / "rgb" / f"{name}.png"), np.zeros((12, 16, 3), np.uint8))
    found = []
    for index, maps in enumerate(labels):
        (folder / str(index)).mkdir()
        for name, label in maps.items():
            write_depth(folder / str(index) / f"{name}.png", label)
        found.append(list_unlabelled(folder, folder / str(index)))
    return found


def random_maps(seed: int, low: int, high: int) -> Maps:
    rng = np.random.default_rng(seed)
    return {name: rng.integers(low, high, (12, 16)).astype(np.uint16) for name in ("a", "b")}


@settings(max_examples=30, deadline=None)
@given(factor=st.floats(0.2, 5), seed=st.integers(0, 999), unknown=st.floats(0, 0.9))
def test_the_mean_is_that_of_log_depth_whatever_the_scale_of_the_second(
    factor: float, seed: int, unknown: float
) -> None:
    first, second = random_maps(seed, 1000, 4000), random_maps(seed + 1, 5000, 9000)
    rng = np.random.default_rng(seed)
    for maps in (first, second):
        maps["b"][rng.random((12, 16)) < unknown] = 0
    scaled = {name: np.rint(m * factor).astype(np.uint16) for name, m in second.items()}
    with TemporaryDirectory() as root:
        mean = StoredLabels(sets(Path(root), first, scaled))
        for name, one in first.items():
            found, other = mean(name) * 1000, second[name]
            both = (one > 0) & (other > 0)
            if not both.any():
                continue
            logs = [np.log(np.maximum(m, 1).astype(float)) for m in (one, other)]
            moved = logs[1] - np.median((logs[1] - logs[0])[both])
            expected = np.where(both, (logs[0] + moved) / 2, np.where(one > 0, logs[0], moved))
            known = (one > 0) | (other > 0)
            np.testing.assert_allclose(found[known], np.exp(expected)[known], rtol=2e-3)
            assert not found[~known].any()


def test_a_coarser_label_is_enlarged_to_the_first(tmp_path: Path) -> None:
    flat = {"a": np.full((12, 16), 2000, np.uint16)}
    ramp = {"a": np.linspace(3000, 5000, 12, dtype=np.uint16).reshape(3, 4)}
    found = StoredLabels(sets(tmp_path, flat, ramp))("a")
    assert found.shape == (12, 16) and np.median(found) == pytest.approx(2, rel=0.02)
    assert found[0, 0] < 1.95 and found[-1, -1] > 2.05


def test_what_is_stored_of_a_set_with_itself_is_that_set(tmp_path: Path) -> None:
    maps = random_maps(0, 500, 9000)
    found = sets(tmp_path, maps, maps)
    out = tmp_path / "mean"
    images = list_unlabelled(tmp_path, out)
    assert label_images(StoredLabels(found), images, out) == 2
    for name, label in maps.items():
        np.testing.assert_array_equal(read_depth(out / f"{name}.png"), label)
    # Other labels, or the same in another order, are another teacher.
    with pytest.raises(UserError, match="choose another --out"):
        label_images(StoredLabels(found[::-1]), images, out)


def test_one_folder_and_a_missing_label_are_one_clear_line(tmp_path: Path) -> None:
    found = sets(tmp_path, random_maps(0, 500, 900), random_maps(1, 500, 900))
    with pytest.raises(UserError, match="give --stored twice or more"):
        StoredLabels(found[:1])
    (tmp_path / "1" / "b.png").unlink()
    with pytest.raises(UserError, match=r"1/b\.png is missing"):
        StoredLabels(found)

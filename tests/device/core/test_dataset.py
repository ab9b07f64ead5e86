"""The dataset folder: what it holds, and every way in which users get it wrong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_depth.core.dataset import list_pairs, read_depth, read_pair, read_rgb, write_depth
from bench_depth.core.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rgb").mkdir()
    for name in ("b", "a"):
        cv2.imwrite(
            str(tmp_path / "rgb" / f"{name}.png"), np.full((6, 8, 3), (0, 0, 255), np.uint8)
        )
        write_depth(tmp_path / "depth" / f"{name}.png", np.arange(48).reshape(6, 8) * 1000.0)
    return tmp_path


def test_pairs_come_by_name_with_rgb_and_millimetres(folder: Path) -> None:
    pairs = list_pairs(folder)
    assert [p.name for p in pairs] == ["a", "b"]
    rgb, depth = read_pair(pairs[0])
    assert rgb[0, 0].tolist() == [255, 0, 0]
    assert (rgb.dtype, depth.dtype) == (np.uint8, np.uint16)
    np.testing.assert_array_equal(depth, np.arange(48).reshape(6, 8) * 1000)


def test_written_depth_is_rounded_and_clipped(tmp_path: Path) -> None:
    write_depth(tmp_path / "d.png", np.array([[0.4, 1999.6, 70000.0, -5.0, np.nan]]))
    assert read_depth(tmp_path / "d.png").tolist() == [[0, 2000, 65535, 0, 0]]


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rgb is not a folder"):
        list_pairs(tmp_path)


def test_empty_dataset(tmp_path: Path) -> None:
    (tmp_path / "rgb").mkdir()
    (tmp_path / "depth").mkdir()
    with pytest.raises(UserError, match="is empty"):
        list_pairs(tmp_path)


@pytest.mark.parametrize(
    ("missing", "says"),
    [("rgb/a.png", "depth map a has no photo"), ("depth/a.png", "photo a has no depth map")],
)
def test_half_a_pair(folder: Path, missing: str, says: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(UserError, match=says):
        list_pairs(folder)


def test_two_photos_of_one_name(folder: Path) -> None:
    cv2.imwrite(str(folder / "rgb" / "a.jpg"), np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(UserError, match="two photos are called a"):
        list_pairs(folder)


def test_eight_bit_depth(folder: Path) -> None:
    cv2.imwrite(str(folder / "depth" / "a.png"), np.zeros((6, 8), np.uint8))
    with pytest.raises(UserError, match=r"a\.png is 8-bit, 1 channels; .* 16-bit"):
        read_pair(list_pairs(folder)[0])


def test_sizes_that_differ(folder: Path) -> None:
    write_depth(folder / "depth" / "a.png", np.ones((3, 4)))
    with pytest.raises(UserError, match=r"8x6 but .* 4x3"):
        read_pair(list_pairs(folder)[0])


def test_truncated_photo(folder: Path) -> None:
    path = folder / "rgb" / "a.png"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(UserError, match="not a readable picture"):
        read_rgb(path)

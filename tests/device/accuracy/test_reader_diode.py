from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench_depth.accuracy.readers import find_frames
from bench_depth.core.errors import UserError

from tests.device.accuracy.sources import (
    HEIGHT,
    WIDTH,
    exact_millimetres,
    photo,
    steps,
    write_diode,
    write_diode_pair,
)

INDOORS = "indoors/scene_00019/scan_00183"


@pytest.fixture
def diode(tmp_path: Path) -> Path:
    return write_diode(tmp_path / "diode")


def test_pairs_are_named_by_path_and_invalid_depth_is_unknown(diode: Path) -> None:
    frames = find_frames("diode", diode)
    assert [frame.name for frame in frames] == [
        "indoors-scene_00019-scan_00183-300_010",
        "outdoor-scene_00022-scan_00193-300_010",
    ]
    ground_truth = exact_millimetres(steps(), 250)
    ground_truth[:, -1] = 0
    for frame in frames:
        rgb, depth = frame.read()
        assert (rgb.dtype, depth.dtype) == (np.uint8, np.uint16)
        np.testing.assert_array_equal(rgb, photo())
        np.testing.assert_array_equal(depth, ground_truth)


def test_masked_pixels_may_hold_anything(tmp_path: Path) -> None:
    mask = np.ones((HEIGHT, WIDTH))
    mask[3, 3] = 0
    picture = write_diode_pair(tmp_path / "diode", "a", mask)
    depth = np.full((HEIGHT, WIDTH, 1), 2.5, np.float32)
    depth[3, 3], depth[4, 4], depth[5, 5] = np.nan, np.nan, 225.0
    np.save(picture.with_name("a_depth.npy"), depth)
    (frame,) = find_frames("diode", tmp_path / "diode")
    _, found = frame.read()
    assert [found[i, i] for i in (2, 3, 4, 5)] == [2500, 0, 0, 0]


@pytest.mark.parametrize("missing", ["300_010.png", "300_010_depth.npy", "300_010_depth_mask.npy"])
def test_a_file_that_is_missing_is_named(diode: Path, missing: str) -> None:
    (diode / INDOORS / missing).unlink()
    with pytest.raises(UserError, match=rf"scan_00183/{missing} is missing"):
        find_frames("diode", diode)


@pytest.mark.parametrize("file", ["300_010_depth.npy", "300_010_depth_mask.npy"])
@pytest.mark.parametrize("left", [0, 40, 500])
def test_a_truncated_array_is_named(diode: Path, file: str, left: int) -> None:
    path = diode / INDOORS / file
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(UserError, match=rf"{file} is not a readable"):
        find_frames("diode", diode)[0].read()


def test_a_mask_of_another_size_is_refused(diode: Path) -> None:
    np.save(diode / INDOORS / "300_010_depth_mask.npy", np.ones((HEIGHT, WIDTH - 1)))
    with pytest.raises(UserError, match=r"300_010_depth_mask\.npy is \(24, 39\)"):
        find_frames("diode", diode)[0].read()


def test_pairs_that_would_share_a_name_are_refused(tmp_path: Path) -> None:
    mask = np.ones((HEIGHT, WIDTH))
    write_diode_pair(tmp_path / "diode" / "a-b", "c", mask)
    write_diode_pair(tmp_path / "diode" / "a", "b-c", mask)
    with pytest.raises(UserError, match="a-b-c"):
        find_frames("diode", tmp_path / "diode")


def _header(text: str) -> bytes:
    head = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"PK\x03\x04" + bytes(99),
        b"\x80\x04N.",
        _header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
        _header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000, 1)}"),
        _header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3, 1)}"),
        _header("{'descr': '<f4', 'shape': (3,)}"),
        *(_header(mark * 90) for mark in "([{'\\-~\t\0"),
        _header("__import__('os')"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("end", ["_depth.npy", "_depth_mask.npy"])
def test_a_damaged_array_is_a_line(diode: Path, end: str, data: bytes) -> None:
    (diode / INDOORS / f"300_010{end}").write_bytes(data)
    with pytest.raises(UserError, match=rf"300_010{end} is not a readable \.npy file"):
        find_frames("diode", diode)[0].read()


@pytest.mark.parametrize("value", ["x", None, 1j, np.datetime64("2020")])
def test_a_mask_of_other_than_numbers_is_a_line(diode: Path, value: object) -> None:
    array = np.full((HEIGHT, WIDTH), value)
    np.save(diode / INDOORS / "300_010_depth_mask.npy", array)
    with pytest.raises(UserError, match=r"300_010_depth_mask\.npy is"):
        find_frames("diode", diode)[0].read()

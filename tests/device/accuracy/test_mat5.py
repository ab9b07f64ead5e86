"""Our reader of MATLAB 5 files against SciPy, which writes them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from bench_depth.accuracy.readers.mat5 import read_numbers

scipy_io = pytest.importorskip("scipy.io")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64", "int64"]
)
def test_numbers_are_those_that_scipy_wrote(tmp_path: Path, dtype: str, compressed: bool) -> None:
    values = np.array([[1, 2, 3], [40, 50, 127]], dtype)
    other = {"before": np.arange(1000.0), "text": "trainNdxs", "x": values, "after": [[1.0]]}
    scipy_io.savemat(tmp_path / "a.mat", other, do_compression=compressed)
    found = read_numbers(tmp_path / "a.mat", "x")
    assert found is not None
    np.testing.assert_array_equal(found, values.flatten("F").astype(float))
    assert read_numbers(tmp_path / "a.mat", "y") is None


def test_text_is_not_numeric(tmp_path: Path) -> None:
    scipy_io.savemat(tmp_path / "a.mat", {"x": "words"})
    with pytest.raises(ValueError, match="x is not numeric"):
        read_numbers(tmp_path / "a.mat", "x")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, compressed: bool) -> None:
    scipy_io.savemat(tmp_path / "a.mat", {"x": np.arange(40.0)}, do_compression=compressed)
    data = (tmp_path / "a.mat").read_bytes()
    for length in range(len(data)):
        (tmp_path / "a.mat").write_bytes(data[:length])
        with pytest.raises(ValueError):
            read_numbers(tmp_path / "a.mat", "x")


def test_damaged_bytes_give_numbers_or_a_value_error(tmp_path: Path) -> None:
    """Nothing else, and no endless loop."""
    path = tmp_path / "a.mat"
    for compressed in (False, True):
        scipy_io.savemat(path, {"x": np.arange(40.0)}, do_compression=compressed)
        whole, rng = path.read_bytes(), random.Random(0)
        for _ in range(500):
            data = bytearray(whole)
            for _ in range(rng.randint(1, 8)):
                data[rng.randrange(120, len(data))] = rng.randrange(256)
            path.write_bytes(data)
            try:
                read_numbers(path, "x")
            except ValueError:
                continue


def test_a_bomb_is_not_inflated(tmp_path: Path) -> None:
    scipy_io.savemat(tmp_path / "a.mat", {"x": np.zeros(4 << 20)}, do_compression=True)
    assert (tmp_path / "a.mat").stat().st_size < 1 << 20
    with pytest.raises(ValueError, match="16 MB"):
        read_numbers(tmp_path / "a.mat", "x")

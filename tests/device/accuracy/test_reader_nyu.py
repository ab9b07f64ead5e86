from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from bench_depth.accuracy.readers import find_frames, open_dataset
from bench_depth.core.errors import UserError

from tests.device.accuracy.sources import (
    HEIGHT,
    WIDTH,
    damage_depth_of_nyu,
    exact_millimetres,
    photo,
    steps,
    write_nyu,
)

h5py = pytest.importorskip("h5py")


@pytest.fixture
def nyu(tmp_path: Path) -> Path:
    return write_nyu(tmp_path / "nyu" / "nyu_depth_v2_labeled.mat")


def write_splits(nyu: Path, **indices: object) -> Path:
    path = nyu.parent / "splits.mat"
    pytest.importorskip("scipy.io").savemat(path, indices)
    return path


def test_every_photo_and_depth_is_the_right_way_up(nyu: Path) -> None:
    frames = find_frames("nyu", nyu)
    assert [frame.name for frame in frames] == ["0000", "0001", "0002"]
    for i, frame in enumerate(frames):
        rgb, depth = frame.read()
        assert (rgb.dtype, depth.dtype) == (np.uint8, np.uint16)
        np.testing.assert_array_equal(rgb, np.roll(photo(), i, axis=2))
        np.testing.assert_array_equal(depth, exact_millimetres(steps(i), 2500))


def test_the_official_split_counts_from_one(nyu: Path) -> None:
    write_splits(nyu, trainNdxs=np.array([[1], [3]]), testNdxs=np.array([[2]]))
    assert [frame.name for frame in find_frames("nyu", nyu, "train")] == ["0000", "0002"]
    (frame,) = find_frames("nyu", nyu, "test")
    assert frame.name == "0001"
    np.testing.assert_array_equal(frame.read()[1], exact_millimetres(steps(1), 2500))


def test_depth_that_is_not_a_number_is_unknown(nyu: Path) -> None:
    with h5py.File(nyu, "r+") as file:
        for x, value in enumerate((np.nan, np.inf, -np.inf, -1.0, 65.535, 65.536)):
            file["depths"][0, x, 1] = value
    _, depth = find_frames("nyu", nyu)[0].read()
    np.testing.assert_array_equal(depth[1, :6], [0, 0, 0, 0, 65535, 0])


@pytest.mark.parametrize("left", [100, 3000, 0.5, 0.99])
def test_a_truncated_file_is_refused_by_name(nyu: Path, left: float) -> None:
    data = nyu.read_bytes()
    nyu.write_bytes(data[: int(left if left > 1 else left * len(data))])
    with pytest.raises(UserError, match=r"nyu_depth_v2_labeled\.mat.*truncated"):
        find_frames("nyu", nyu)


def test_a_damaged_picture_is_named_when_it_is_read(nyu: Path) -> None:
    damage_depth_of_nyu(nyu, 1)
    frames = find_frames("nyu", nyu)
    frames[0].read()
    with pytest.raises(UserError, match="cannot read depths 1"):
        frames[1].read()


def test_a_file_without_depths_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "some.mat", "w") as file:
        file["images"] = np.zeros((1, 3, 4, 4), np.uint8)
    with pytest.raises(UserError, match=r"some\.mat has no array 'depths'"):
        find_frames("nyu", tmp_path / "some.mat")


def test_arrays_in_matlab_order_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "some.mat", "w") as file:
        file["images"] = np.zeros((HEIGHT, WIDTH, 3, 5), np.uint8)
        file["depths"] = np.zeros((HEIGHT, WIDTH, 5), np.float32)
    with pytest.raises(UserError, match="must be uint8 N x 3 x W x H"):
        find_frames("nyu", tmp_path / "some.mat")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "some.mat", "w") as file:
        file["images"] = np.zeros((0, 3, 4, 4), np.uint8)
        file["depths"] = np.zeros((0, 4, 4), np.float32)
    with pytest.raises(UserError, match="is empty"):
        find_frames("nyu", tmp_path / "some.mat")


def test_a_split_without_its_file_says_where_it_belongs(nyu: Path) -> None:
    with pytest.raises(UserError, match=r"needs .*splits\.mat"):
        find_frames("nyu", nyu, "test")


@pytest.mark.parametrize("damage", ["text", "truncated", "foreign", "other set", "words"])
def test_a_damaged_splits_file_is_refused_by_name(nyu: Path, damage: str) -> None:
    numbers = np.arange(3, 903)[:, None]  # names pictures that the .mat file lacks
    values = "words" if damage == "words" else numbers
    splits = write_splits(nyu, **{"foreign" if damage == "foreign" else "testNdxs": values})
    if damage == "text":
        splits.write_text("1 2 3\n" * 100)
    if damage == "truncated":
        splits.write_bytes(splits.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"splits\.mat"):
        find_frames("nyu", nyu, "test")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_splits_file_cut_off_anywhere_is_a_user_error(nyu: Path, compressed: bool) -> None:
    splits, scipy_io = write_splits(nyu), pytest.importorskip("scipy.io")
    scipy_io.savemat(splits, {"testNdxs": np.arange(1.0, 4.0)}, do_compression=compressed)
    whole = splits.read_bytes()
    for length in range(len(whole)):
        splits.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"splits\.mat"):
            find_frames("nyu", nyu, "test")


@pytest.mark.parametrize("module", ["h5py", "scipy.io"])
def test_without_a_library_one_line_says_how_to_get_it(
    nyu: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    write_splits(nyu)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=f"pip install {module.partition('.')[0]}"):
        open_dataset(nyu, split="test")


def test_the_folder_of_the_file_is_recognised_and_the_file_asked_for(nyu: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder; give the file nyu_depth_v2_labeled\.mat"):
        open_dataset(nyu.parent)


def _elsewhere(kind: str, name: str, fifo: Path, shape: tuple[int, ...], dtype: str) -> object:
    """What `name` becomes: something that is not an array within the file."""
    return {
        "soft link": h5py.SoftLink(f"/{name}"),
        "external link": h5py.ExternalLink(str(fifo), f"/{name}"),
        "external data": (shape, dtype, [(str(fifo), 0, h5py.h5f.UNLIMITED)]),
        "group": "group",
    }[kind]


@pytest.mark.parametrize("name", ["images", "depths"])
@pytest.mark.parametrize("kind", ["soft link", "external link", "external data", "group"])
def test_an_array_that_is_not_within_the_file_is_refused_without_opening_another(
    nyu: Path, tmp_path: Path, kind: str, name: str
) -> None:
    # Whoever opens the pipe waits for its other end without end.
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(nyu, "r+") as file:
        shape, dtype = file[name].shape, file[name].dtype
        del file[name]
        made = _elsewhere(kind, name, tmp_path / "pipe", shape, dtype)
        if made == "group":
            file.create_group(name)
        elif isinstance(made, tuple):
            file.create_dataset(name, shape=made[0], dtype=made[1], external=made[2])
        else:
            file[name] = made
    with pytest.raises(UserError, match=f"'{name}' is no array within the file"):
        find_frames("nyu", nyu)


@pytest.mark.parametrize("dtype", ["uint16", "complex64", "bool", "S3", "O"])
def test_depth_that_is_no_metres_is_refused(nyu: Path, dtype: str) -> None:
    with h5py.File(nyu, "r+") as file:
        shape = file["depths"].shape
        del file["depths"]
        kind = h5py.string_dtype() if dtype == "O" else dtype
        file.create_dataset("depths", shape=shape, dtype=kind)
    with pytest.raises(UserError, match="float N x W x H"):
        find_frames("nyu", nyu)


@pytest.mark.parametrize(("count", "side"), [(10**9, 8), (1, 10**5), (1, 0)])
def test_a_size_that_the_set_does_not_have_is_refused(
    tmp_path: Path, count: int, side: int
) -> None:
    path = tmp_path / "nyu.mat"
    with h5py.File(path, "w") as file:
        for name, shape, dtype in (
            ("images", (count, 3, side, side), np.uint8),
            ("depths", (count, side, side), np.float32),
        ):
            chunks = tuple(min(each, 8) for each in shape) if side else None
            file.create_dataset(name, shape=shape, dtype=dtype, chunks=chunks)
    with pytest.raises(UserError, match=f"claims {count} photos of {side}x{side} pixels"):
        find_frames("nyu", path)

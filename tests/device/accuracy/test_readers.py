from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_depth.accuracy.readers import (
    DATASET_FORMATS,
    FORMAT_NAMES,
    evenly_spaced,
    find_frames,
    open_dataset,
    recognise,
)
from bench_depth.commands import arguments
from bench_depth.core.dataset import read_depth
from bench_depth.core.errors import UserError

from tests.device.accuracy.sources import (
    two_matches_of_three,
    write_diode,
    write_folder,
    write_kitti,
    write_kitti_selection,
    write_nyu,
)


def nyu(folder: Path) -> Path:
    pytest.importorskip("h5py")
    return write_nyu(folder / "renamed.mat")


MAKERS: dict[str, Callable[[Path], Path]] = {
    "folder": write_folder,
    "nyu": nyu,
    "tum": two_matches_of_three,
    "kitti": write_kitti,
    "diode": write_diode,
}


def test_the_options_choices_are_those_of_the_library() -> None:
    assert FORMAT_NAMES == arguments._FORMATS == ("auto", *MAKERS)


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_a_dataset_is_recognised_by_what_is_in_it(kind: str, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path / "data")
    assert recognise(path) == kind
    looked, named = open_dataset(path), open_dataset(path, kind)
    assert looked.label == named.label == (str(path) if kind == "folder" else f"{path} ({kind})")
    assert [frame.name for frame in looked.frames] == [frame.name for frame in named.frames]
    for frame in looked.frames:
        photo, depth = frame.read()
        assert photo.dtype == np.uint8 and depth.dtype == np.uint16
        assert photo.shape == (*depth.shape, 3)


@pytest.mark.parametrize(
    "below", ["", "indoors", "indoors/scene_00019", "indoors/scene_00019/scan_00183"]
)
def test_diode_is_recognised_at_each_of_its_levels(below: str, tmp_path: Path) -> None:
    write_diode(tmp_path / "val")
    assert recognise(tmp_path / "val" / below) == "diode"


@pytest.mark.parametrize("below", ["", "depth_selection/val_selection_cropped"])
def test_kittis_selection_is_recognised(below: str, tmp_path: Path) -> None:
    assert recognise(write_kitti_selection(tmp_path / "kitti") / below) == "kitti"


def test_the_projects_samples_are_a_dataset_folder() -> None:
    samples = Path(__file__).parents[3] / "samples"
    if not samples.is_dir():
        pytest.skip("the samples are not beside these tests")
    dataset = open_dataset(samples)
    assert dataset.label == str(samples)
    frame = dataset.frames[0]
    np.testing.assert_array_equal(
        frame.read()[1], read_depth(samples / "depth" / f"{frame.name}.png")
    )


def test_the_error_of_an_unknown_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(UserError, match="is no dataset") as error:
        open_dataset(tmp_path)
    assert error.value.exit_code == 2
    text = str(error.value)
    assert "\n" not in text
    for words in ("rgb/NAME.jpg", "nyu_depth_v2_labeled.mat", "rgb.txt", "KITTI", "DIODE"):
        assert words in text


def test_an_unknown_file_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(600))
    with pytest.raises(UserError, match=r"a\.mat is no dataset"):
        open_dataset(tmp_path / "a.mat")


def test_the_error_of_half_a_dataset_folder_says_what_is_missing(tmp_path: Path) -> None:
    write_folder(tmp_path / "data")
    for path in (tmp_path / "data" / "depth").iterdir():
        path.unlink()
    (tmp_path / "data" / "depth").rmdir()
    with pytest.raises(UserError, match="depth is not a folder"):
        open_dataset(tmp_path / "data")


def test_a_format_that_is_named_is_not_guessed(tmp_path: Path) -> None:
    write_folder(tmp_path / "data")
    with pytest.raises(UserError, match=r"cannot read .*rgb\.txt"):
        open_dataset(tmp_path / "data", "tum")


def test_no_picture_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data")
    dataset = open_dataset(folder)
    (folder / "depth" / "1.png").write_bytes(b"")
    dataset.frames[0].read()
    with pytest.raises(UserError, match=r"1\.png"):
        dataset.frames[1].read()


def test_a_split_and_a_limit_stand_in_the_label(tmp_path: Path) -> None:
    kitti = write_kitti(tmp_path / "kitti")
    dataset = open_dataset(kitti, split="val")
    assert dataset.label == f"{kitti} (kitti, val)"
    assert "65.535 m" in dataset.note
    limited = open_dataset(kitti, limit=1)
    assert limited.label == f"{kitti} (kitti, 1 of 2)"
    assert len(limited.frames) == 1
    assert open_dataset(kitti, limit=2).label == f"{kitti} (kitti)"


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_a_split_that_is_not_there_is_refused(kind: str, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path / "data")
    with pytest.raises(UserError, match="split"):
        open_dataset(path, split="holiday")


@pytest.mark.parametrize(
    ("count", "limit", "expected"),
    [(10, 1, [5]), (10, 2, [2, 7]), (10, 5, [1, 3, 5, 7, 9]), (3, 3, [0, 1, 2])],
)
def test_a_limit_spreads_evenly(count: int, limit: int, expected: list) -> None:
    assert evenly_spaced(range(count), limit) == expected


@pytest.mark.parametrize("limit", range(1, 655, 31))
def test_a_limit_takes_different_pictures_with_gaps_that_differ_by_one(limit: int) -> None:
    taken = np.array(evenly_spaced(range(654), limit))
    assert len(set(taken)) == limit
    gaps = np.diff(taken)
    assert limit == 1 or gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("source", sorted(DATASET_FORMATS))
def test_an_empty_folder_is_refused(source: str, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match=r"/bare.*(is empty|is a folder|No such file)") as error:
        find_frames(source, tmp_path / "bare")
    assert error.value.exit_code == 2


def test_an_unknown_source_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nyu, tum, kitti, diode"):
        find_frames("sun", tmp_path)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere does not exist"):
        find_frames("kitti", tmp_path / "nowhere")
    with pytest.raises(UserError, match="nowhere does not exist"):
        open_dataset(tmp_path / "nowhere")

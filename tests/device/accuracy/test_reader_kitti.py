from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_depth.accuracy.readers import find_frames
from bench_depth.core.errors import UserError

from tests.device.accuracy.sources import (
    TRAIN_DRIVE,
    VAL_DRIVE,
    exact_millimetres,
    kitti_depth,
    photo,
    write_kitti,
    write_kitti_selection,
    write_png,
)


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    return write_kitti(tmp_path / "kitti")


def ground_truth_of_training(kitti: Path) -> Path:
    ground_truth = kitti / "train" / TRAIN_DRIVE / "proj_depth" / "groundtruth"
    return ground_truth / "image_02" / "0000000005.png"


def test_the_benchmark_finds_the_raw_photo_of_each_depth_map(kitti: Path) -> None:
    frames = find_frames("kitti", kitti)
    expected = [f"{TRAIN_DRIVE}_0000000005", f"{VAL_DRIVE}_0000000005"]
    assert [frame.name for frame in frames] == expected
    for frame in frames:
        rgb, depth = frame.read()
        assert (rgb.dtype, depth.dtype) == (np.uint8, np.uint16)
        np.testing.assert_array_equal(rgb, photo())
        np.testing.assert_array_equal(depth, exact_millimetres(kitti_depth(), 256))


def test_depth_beyond_what_uint16_millimetres_hold_is_unknown(kitti: Path) -> None:
    (frame,) = find_frames("kitti", kitti, "train")
    np.testing.assert_array_equal(frame.read()[1][2, :6], [62, 188, 1000, 65531, 65535, 0])


@pytest.mark.parametrize(("split", "drive"), [("train", TRAIN_DRIVE), ("val", VAL_DRIVE)])
def test_a_split_takes_its_drives_only(kitti: Path, split: str, drive: str) -> None:
    assert [frame.name for frame in find_frames("kitti", kitti, split)] == [f"{drive}_0000000005"]


@pytest.mark.parametrize("given", ["", "depth_selection/val_selection_cropped"])
def test_the_validation_selection_is_matched_by_name(tmp_path: Path, given: str) -> None:
    folder = write_kitti_selection(tmp_path / "kitti")
    (frame,) = find_frames("kitti", folder / given)
    assert frame.name == "2011_09_26_drive_0002_sync_image_0000000005_image_03"
    rgb, depth = frame.read()
    np.testing.assert_array_equal(rgb, photo())
    np.testing.assert_array_equal(depth, exact_millimetres(kitti_depth(), 256))


def test_depth_without_photo_names_both(kitti: Path) -> None:
    data = kitti / "2011_10_03" / VAL_DRIVE / "image_02" / "data"
    (data / "0000000005.png").unlink()
    with pytest.raises(UserError, match=r"data/0000000005\.png is missing.*groundtruth/image_02"):
        find_frames("kitti", kitti)


def test_raw_photos_that_were_converted_to_jpg_are_found(kitti: Path) -> None:
    for png in kitti.glob("2011_*/*/image_02/data/*.png"):
        picture = cv2.imread(str(png))
        cv2.imwrite(str(png.with_suffix(".jpg")), picture, [cv2.IMWRITE_JPEG_QUALITY, 100])
        png.unlink()
    frames = find_frames("kitti", kitti)
    assert len(frames) == 2
    for frame in frames:
        assert np.abs(frame.read()[0].astype(int) - photo()).mean() < 5


def test_8_bit_depth_is_refused(kitti: Path) -> None:
    write_png(ground_truth_of_training(kitti), (kitti_depth() // 256).astype(np.uint8))
    with pytest.raises(UserError, match=r"0000000005\.png is 8-bit.*256 steps per metre"):
        find_frames("kitti", kitti)[0].read()


def test_a_photo_of_another_size_is_refused(kitti: Path) -> None:
    write_png(ground_truth_of_training(kitti), kitti_depth()[:, 1:])
    with pytest.raises(UserError, match="is 40x24 but its depth map is 39x24"):
        find_frames("kitti", kitti)[0].read()

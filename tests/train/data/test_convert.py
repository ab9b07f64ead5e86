"""Sources are written by the test in their own format; how they are read is tested in
tests/device/accuracy/test_reader_*.py, here what becomes of them in a dataset folder."""

import numpy as np
import pytest
from bench_depth.accuracy.readers import find_frames
from bench_depth.core.dataset import list_pairs, read_pair
from bench_depth.core.errors import UserError
from ghostdepth_train.data.convert import convert
from ghostdepth_train.run_folder import run_folder

from tests.device.accuracy.sources import (
    TRAIN_DRIVE,
    VAL_DRIVE,
    damage_depth_of_nyu,
    exact_millimetres,
    photo,
    steps,
    two_matches_of_three,
    write_diode,
    write_kitti,
    write_nyu,
)


def names(folder):
    return [pair.name for pair in list_pairs(folder)]


@pytest.fixture
def nyu(tmp_path):
    return write_nyu(tmp_path / "nyu" / "nyu_depth_v2_labeled.mat")


@pytest.fixture
def tum(tmp_path):
    return two_matches_of_three(tmp_path / "tum")


@pytest.fixture
def kitti(tmp_path):
    return write_kitti(tmp_path / "kitti")


@pytest.fixture
def diode(tmp_path):
    return write_diode(tmp_path / "diode")


@pytest.mark.parametrize("source", ["tum", "kitti", "diode"])
def test_the_folder_holds_what_the_reader_gives(source, request, tmp_path):
    path, out = request.getfixturevalue(source), tmp_path / "out"
    frames = find_frames(source, path)
    assert convert(source, path, out) == len(frames) == 2
    assert names(out) == [frame.name for frame in frames]
    for frame, pair in zip(frames, list_pairs(out), strict=True):
        for read, written in zip(frame.read(), read_pair(pair), strict=True):
            np.testing.assert_array_equal(read, written)


def test_nyu_photos_become_jpeg_and_depth_stays_exact(nyu, tmp_path):
    out = tmp_path / "out"
    assert convert("nyu", nyu, out) == 3
    assert names(out) == ["0000", "0001", "0002"]
    for i, pair in enumerate(list_pairs(out)):
        rgb, depth = read_pair(pair)
        assert pair.rgb.suffix == ".jpg"
        truth = np.roll(photo(), i, axis=2)
        # JPEG blurs colour edges, so the middles of the four fields are compared.
        for y, x in ((5, 6), (5, 33), (18, 6), (18, 33)):
            assert np.abs(rgb[y, x].astype(int) - truth[y, x]).max() <= 8
        np.testing.assert_array_equal(depth, exact_millimetres(steps(i), 2500))


def test_a_source_that_cannot_be_read_leaves_no_folder(nyu, tmp_path):
    nyu.write_bytes(nyu.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"nyu_depth_v2_labeled\.mat.*truncated"):
        convert("nyu", nyu, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_nyu_picture_is_named_and_leaves_no_half_pair(nyu, tmp_path):
    damage_depth_of_nyu(nyu, 1)
    with pytest.raises(UserError, match="cannot read depths 1"):
        convert("nyu", nyu, tmp_path / "out")
    assert names(tmp_path / "out") == ["0000"]


def test_truncated_tum_depth_is_named_and_leaves_no_half_pair(tum, tmp_path):
    file = tum / "depth" / "1305.190000.png"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(UserError, match=r"1305\.190000\.png .*truncated"):
        convert("tum", tum, tmp_path / "out")
    assert names(tmp_path / "out") == ["1305_000000"]


def test_photos_are_copied_byte_by_byte(tum, tmp_path):
    convert("tum", tum, tmp_path / "out")
    copy = tmp_path / "out" / "rgb" / "1305_000000.png"
    assert copy.read_bytes() == (tum / "rgb" / "1305.000000.png").read_bytes()


@pytest.mark.parametrize(("split", "drive"), [("train", TRAIN_DRIVE), ("val", VAL_DRIVE)])
def test_kitti_split_takes_its_drives_only(kitti, tmp_path, split, drive):
    assert convert("kitti", kitti, tmp_path / "out", split=split) == 1
    assert names(tmp_path / "out") == [f"{drive}_0000000005"]


def test_writing_into_the_source_is_refused(tum):
    before = sorted(tum.rglob("*"))
    with pytest.raises(UserError, match="inside the source"):
        convert("tum", tum, tum)
    # Before a lock, of which a process at work in the source would learn.
    with run_folder(tum, "a download"), pytest.raises(UserError, match="inside the source"):
        convert("tum", tum, tum)
    assert sorted(tum.rglob("*")) == before


def test_a_folder_that_another_process_works_in_is_refused(tum, tmp_path):
    out = tmp_path / "out"
    with run_folder(out, "the other one"), pytest.raises(UserError, match="by the other one"):
        convert("tum", tum, out)
    assert not out.exists()


def test_a_second_run_reads_only_what_is_missing(diode, tmp_path):
    out = tmp_path / "out"
    convert("diode", diode, out)
    first, second = list_pairs(out)
    kept = first.depth.stat()
    second.depth.unlink()
    assert convert("diode", diode, out) == 2
    assert first.depth.stat().st_ino == kept.st_ino
    assert len(list_pairs(out)) == 2


def test_progress_counts_from_none_to_all(diode, tmp_path):
    calls = []
    convert("diode", diode, tmp_path / "out", progress=lambda *numbers: calls.append(numbers))
    assert calls == [(0, 2), (1, 2), (2, 2)]


def test_only_finished_files_are_left(kitti, tmp_path):
    convert("kitti", kitti, tmp_path / "out")
    files = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    pairs = [f"{TRAIN_DRIVE}_0000000005.png", f"{VAL_DRIVE}_0000000005.png"]
    assert files == sorted(pairs * 2)

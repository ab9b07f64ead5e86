"""Each adapter reads a tiny source that the test writes in that source's own format.

The pictures are asymmetric and not square, so that a transposition, a flip or a swap of colours
shows. Millimetres are compared with Python's own exact arithmetic.
"""

from fractions import Fraction

import cv2
import h5py
import numpy as np
import pytest
from bench_depth.dataset import list_pairs, read_depth, read_pair, read_rgb
from bench_depth.errors import UserError
from bench_depth.readers import SOURCES
from bench_depth.readers.tum import associate
from ghostdepth_train.convert import convert
from scipy.io import savemat

HEIGHT, WIDTH = 24, 40
RED, GREEN, BLUE, GREY = (220, 30, 20), (20, 200, 40), (30, 40, 210), (120, 120, 120)


def photo():
    """Red at the top left, green at the top right, blue at the bottom left, else grey."""
    image = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    image[:12, :16], image[:12, 24:], image[12:, :16] = RED, GREEN, BLUE
    return image


def steps(seed=0):
    """uint16 values, all different in rows and columns, with a known corner and an unknown one."""
    values = np.random.default_rng(seed).integers(500, 16000, (HEIGHT, WIDTH)).astype(np.uint16)
    values[0, 0], values[0, -1], values[-1, 0] = 12345, 777, 0
    return values


def exact_millimetres(values, per_metre):
    """What the PNG's values are in millimetres; Fraction rounds exact ties to even."""
    whole = [round(Fraction(int(v) * 1000, per_metre)) for v in values.flat]
    return np.array([v if v <= 65535 else 0 for v in whole]).reshape(values.shape)


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = image[:, :, ::-1] if image.ndim == 3 else image
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


def names(folder):
    return [pair.name for pair in list_pairs(folder)]


# --- NYU Depth v2 ---------------------------------------------------------------------------


def write_nyu(path, count=3):
    """A MATLAB 7.3 file: HDF5 behind a 512-byte header, compressed, axes from last to first."""
    images = np.stack([np.roll(photo(), i, axis=2) for i in range(count)], axis=3)  # H W 3 N
    depths = np.stack([steps(i) / 2500 for i in range(count)], axis=2)  # H W N
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("images", data=images.transpose(3, 2, 1, 0), compression="gzip")
        metres = depths.transpose(2, 1, 0).astype(np.float32)
        file.create_dataset("depths", data=metres, compression="gzip", chunks=(1, WIDTH, HEIGHT))
    return path


@pytest.fixture
def nyu(tmp_path):
    (tmp_path / "nyu").mkdir()
    return write_nyu(tmp_path / "nyu" / "nyu_depth_v2_labeled.mat")


def test_nyu_gives_every_photo_and_depth_the_right_way_up(nyu, tmp_path):
    out = tmp_path / "out"
    assert convert("nyu", nyu, out) == 3
    assert names(out) == ["0000", "0001", "0002"]
    for i, pair in enumerate(list_pairs(out)):
        rgb, depth = read_pair(pair)
        truth = np.roll(photo(), i, axis=2)
        # JPEG blurs colour edges, so the middles of the four fields are compared.
        for y, x in ((5, 6), (5, 33), (18, 6), (18, 33)):
            assert np.abs(rgb[y, x].astype(int) - truth[y, x]).max() <= 8
        np.testing.assert_array_equal(depth, exact_millimetres(steps(i), 2500))


def test_nyu_takes_the_official_split_whose_indices_count_from_one(nyu, tmp_path):
    indices = {"trainNdxs": np.array([[1], [3]]), "testNdxs": np.array([[2]])}
    savemat(nyu.parent / "splits.mat", indices)
    assert convert("nyu", nyu, tmp_path / "train", split="train") == 2
    assert convert("nyu", nyu, tmp_path / "test", split="test") == 1
    assert names(tmp_path / "train") == ["0000", "0002"]
    assert names(tmp_path / "test") == ["0001"]


def test_nyu_depth_that_is_not_a_number_becomes_unknown(nyu, tmp_path):
    with h5py.File(nyu, "r+") as file:
        for x, value in enumerate((np.nan, np.inf, -np.inf, -1.0, 65.535, 65.536)):
            file["depths"][0, x, 1] = value
    convert("nyu", nyu, tmp_path / "out")
    depth = read_depth(tmp_path / "out" / "depth" / "0000.png")
    np.testing.assert_array_equal(depth[1, :6], [0, 0, 0, 0, 65535, 0])


@pytest.mark.parametrize("left", [100, 3000, 0.5, 0.99])
def test_truncated_nyu_file_is_refused_by_name(nyu, tmp_path, left):
    data = nyu.read_bytes()
    nyu.write_bytes(data[: left if left > 1 else int(left * len(data))])
    with pytest.raises(UserError, match=r"nyu_depth_v2_labeled\.mat.*truncated"):
        convert("nyu", nyu, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_nyu_picture_is_named_and_leaves_no_half_pair(nyu, tmp_path):
    with h5py.File(nyu) as file:
        chunk = file["depths"].id.get_chunk_info(1)
    data = bytearray(nyu.read_bytes())
    start = chunk.byte_offset + chunk.size // 2
    data[start : start + 64] = bytes(64)
    nyu.write_bytes(data)
    with pytest.raises(UserError, match="cannot read depths 1"):
        convert("nyu", nyu, tmp_path / "out")
    assert names(tmp_path / "out") == ["0000"]


def test_nyu_file_without_depths_is_refused(tmp_path):
    with h5py.File(tmp_path / "some.mat", "w") as file:
        file["images"] = np.zeros((1, 3, 4, 4), np.uint8)
    with pytest.raises(UserError, match=r"some\.mat has no array 'depths'"):
        convert("nyu", tmp_path / "some.mat", tmp_path / "out")


def test_nyu_arrays_in_matlab_order_are_refused(tmp_path):
    with h5py.File(tmp_path / "some.mat", "w") as file:
        file["images"] = np.zeros((HEIGHT, WIDTH, 3, 5), np.uint8)
        file["depths"] = np.zeros((HEIGHT, WIDTH, 5), np.float32)
    with pytest.raises(UserError, match="must be uint8 N x 3 x W x H"):
        convert("nyu", tmp_path / "some.mat", tmp_path / "out")


def test_empty_nyu_file_is_refused(tmp_path):
    write_nyu(tmp_path / "some.mat", count=1)
    with h5py.File(tmp_path / "some.mat", "w") as file:
        file["images"] = np.zeros((0, 3, 4, 4), np.uint8)
        file["depths"] = np.zeros((0, 4, 4), np.float32)
    with pytest.raises(UserError, match="is empty"):
        convert("nyu", tmp_path / "some.mat", tmp_path / "out")


def test_nyu_split_without_its_file_says_where_it_belongs(nyu, tmp_path):
    with pytest.raises(UserError, match=r"needs .*splits\.mat"):
        convert("nyu", nyu, tmp_path / "out", split="test")


@pytest.mark.parametrize("damage", ["text", "truncated", "foreign", "other set"])
def test_damaged_nyu_splits_file_is_refused_by_name(nyu, tmp_path, damage):
    splits = nyu.parent / "splits.mat"
    numbers = np.arange(3, 903)[:, None]  # names pictures that the .mat file lacks
    savemat(splits, {"foreign" if damage == "foreign" else "testNdxs": numbers})
    if damage == "text":
        splits.write_text("1 2 3\n" * 100)
    if damage == "truncated":
        splits.write_bytes(splits.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"splits\.mat"):
        convert("nyu", nyu, tmp_path / "out", split="test")


# --- TUM RGB-D ------------------------------------------------------------------------------


def write_tum(folder, photo_times, depth_times):
    for name, times in (("rgb", photo_times), ("depth", depth_times)):
        lines = [f"# {name} images", "# timestamp filename"]
        for i, time in enumerate(times):
            image = photo() if name == "rgb" else steps(i)
            write_png(folder / name / f"{time:.6f}.png", image)
            lines.append(f"{time:.6f} {name}/{time:.6f}.png")
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def tum(tmp_path):
    # The second photo has no depth within 0.02 s; the third's is the second map.
    return write_tum(tmp_path / "tum", [1305.0, 1305.1, 1305.2], [1305.004, 1305.19])


def test_tum_pairs_nearest_times_and_keeps_millimetres_exact(tum, tmp_path):
    out = tmp_path / "out"
    assert convert("tum", tum, out) == 2
    assert names(out) == ["1305_000000", "1305_200000"]
    for i, pair in enumerate(list_pairs(out)):
        rgb, depth = read_pair(pair)
        np.testing.assert_array_equal(rgb, photo())
        np.testing.assert_array_equal(depth, exact_millimetres(steps(i), 5000))


def test_tum_photos_are_copied_byte_by_byte(tum, tmp_path):
    convert("tum", tum, tmp_path / "out")
    copy = tmp_path / "out" / "rgb" / "1305_000000.png"
    assert copy.read_bytes() == (tum / "rgb" / "1305.000000.png").read_bytes()


def greedy_over_all_combinations(first, second):
    """The benchmark's rule, spelled out: sort every close combination, take what is still free."""
    close = sorted((abs(a - b), a, b) for a in first for b in second if abs(a - b) < 0.02)
    taken = []
    for _, a, b in close:
        if all(a != x and b != y for x, y in taken):
            taken.append((a, b))
    return sorted(taken)


@pytest.mark.parametrize("seed", range(5))
def test_tum_association_equals_the_greedy_rule(seed):
    rng = np.random.default_rng(seed)
    first, second = (list(1e9 + rng.permutation(np.cumsum(rng.uniform(0, 0.03, 80)))) for _ in "ab")
    assert associate(first, second) == greedy_over_all_combinations(first, second)


def test_tum_depth_is_given_to_the_closest_photo_only():
    assert associate([1.000, 1.010], [1.008]) == [(1.010, 1.008)]


def test_tum_lists_of_other_times_are_refused(tmp_path):
    folder = write_tum(tmp_path / "tum", [10.0], [10.5])
    with pytest.raises(UserError, match=r"within 0\.02 s"):
        convert("tum", folder, tmp_path / "out")


def test_tum_listed_file_that_is_missing_is_named(tum, tmp_path):
    (tum / "rgb" / "1305.200000.png").unlink()
    with pytest.raises(UserError, match=r"1305\.200000\.png is missing.*rgb\.txt lists it"):
        convert("tum", tum, tmp_path / "out")


def test_tum_malformed_line_is_named(tum, tmp_path):
    (tum / "depth.txt").write_text("# depth\n1305.0 depth/a.png\nnonsense\n")
    with pytest.raises(UserError, match=r"depth\.txt line 3"):
        convert("tum", tum, tmp_path / "out")


def test_tum_list_without_entries_is_refused(tum, tmp_path):
    (tum / "rgb.txt").write_text("# color images\n")
    with pytest.raises(UserError, match=r"rgb\.txt is empty"):
        convert("tum", tum, tmp_path / "out")


def test_truncated_tum_depth_is_named_and_leaves_no_half_pair(tum, tmp_path):
    file = tum / "depth" / "1305.190000.png"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(UserError, match=r"1305\.190000\.png .*truncated"):
        convert("tum", tum, tmp_path / "out")
    assert names(tmp_path / "out") == ["1305_000000"]


# --- KITTI depth ----------------------------------------------------------------------------

TRAIN_DRIVE, VAL_DRIVE = "2011_09_26_drive_0001_sync", "2011_10_03_drive_0047_sync"


def kitti_depth():
    """Values whose millimetres are exact ties (v = 16 mod 32) and ones beyond 65.535 m."""
    values = steps()
    values[2, :6] = 16, 48, 256, 16776, 16777, 65535
    return values


@pytest.fixture
def kitti(tmp_path):
    folder = tmp_path / "kitti"
    for part, drive in (("train", TRAIN_DRIVE), ("val", VAL_DRIVE)):
        data = folder / drive[:10] / drive / "image_02" / "data"
        for frame in (0, 5):  # The benchmark has no depth for the first five frames.
            write_png(data / f"{frame:010d}.png", photo())
        truth = folder / part / drive / "proj_depth" / "groundtruth"
        write_png(truth / "image_02" / "0000000005.png", kitti_depth())
        write_png(truth / "image_03" / "0000000005.png", kitti_depth())
    return folder


def test_kitti_benchmark_finds_the_raw_photo_of_each_depth_map(kitti, tmp_path):
    out = tmp_path / "out"
    assert convert("kitti", kitti, out) == 2
    assert names(out) == [f"{TRAIN_DRIVE}_0000000005", f"{VAL_DRIVE}_0000000005"]
    for pair in list_pairs(out):
        rgb, depth = read_pair(pair)
        np.testing.assert_array_equal(rgb, photo())
        np.testing.assert_array_equal(depth, exact_millimetres(kitti_depth(), 256))


def test_kitti_depth_beyond_what_uint16_millimetres_hold_is_unknown(kitti, tmp_path):
    convert("kitti", kitti, tmp_path / "out", split="train")
    depth = read_depth(tmp_path / "out" / "depth" / f"{TRAIN_DRIVE}_0000000005.png")
    np.testing.assert_array_equal(depth[2, :6], [62, 188, 1000, 65531, 65535, 0])


@pytest.mark.parametrize(("split", "drive"), [("train", TRAIN_DRIVE), ("val", VAL_DRIVE)])
def test_kitti_split_takes_its_drives_only(kitti, tmp_path, split, drive):
    assert convert("kitti", kitti, tmp_path / "out", split=split) == 1
    assert names(tmp_path / "out") == [f"{drive}_0000000005"]


@pytest.mark.parametrize("given", ["", "depth_selection/val_selection_cropped"])
def test_kitti_validation_selection_is_matched_by_name(tmp_path, given):
    folder = tmp_path / "kitti" / "depth_selection" / "val_selection_cropped"
    name = "2011_09_26_drive_0002_sync_{}_0000000005_image_03.png"
    write_png(folder / "image" / name.format("image"), photo())
    write_png(folder / "groundtruth_depth" / name.format("groundtruth_depth"), kitti_depth())
    assert convert("kitti", tmp_path / "kitti" / given, tmp_path / "out") == 1
    (pair,) = list_pairs(tmp_path / "out")
    assert pair.name == "2011_09_26_drive_0002_sync_image_0000000005_image_03"
    np.testing.assert_array_equal(read_rgb(pair.rgb), photo())
    np.testing.assert_array_equal(read_depth(pair.depth), exact_millimetres(kitti_depth(), 256))


def test_kitti_depth_without_photo_names_both(kitti, tmp_path):
    data = kitti / "2011_10_03" / VAL_DRIVE / "image_02" / "data"
    (data / "0000000005.png").unlink()
    with pytest.raises(UserError, match=r"data/0000000005\.png is missing.*groundtruth/image_02"):
        convert("kitti", kitti, tmp_path / "out")


def test_8_bit_kitti_depth_is_refused(kitti, tmp_path):
    truth = kitti / "train" / TRAIN_DRIVE / "proj_depth" / "groundtruth" / "image_02"
    write_png(truth / "0000000005.png", (kitti_depth() // 256).astype(np.uint8))
    with pytest.raises(UserError, match=r"0000000005\.png is 8-bit.*256 steps a metre"):
        convert("kitti", kitti, tmp_path / "out")


def test_kitti_photo_of_another_size_is_refused(kitti, tmp_path):
    truth = kitti / "train" / TRAIN_DRIVE / "proj_depth" / "groundtruth" / "image_02"
    write_png(truth / "0000000005.png", kitti_depth()[:, 1:])
    with pytest.raises(UserError, match="is 40x24 but its depth map is 39x24"):
        convert("kitti", kitti, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- DIODE ----------------------------------------------------------------------------------


def write_diode(folder, name, mask):
    write_png(folder / f"{name}.png", photo())
    np.save(folder / f"{name}_depth.npy", (steps() / 250).astype(np.float32)[:, :, None])
    np.save(folder / f"{name}_depth_mask.npy", mask)
    return folder / f"{name}.png"


@pytest.fixture
def diode(tmp_path):
    """Two places with one name: depths reach 64 m; the last column is invalid."""
    mask = np.ones((HEIGHT, WIDTH))
    mask[:, -1] = 0
    for place in ("indoors/scene_00019/scan_00183", "outdoor/scene_00022/scan_00193"):
        write_diode(tmp_path / "diode" / place, "300_010", mask)
    return tmp_path / "diode"


def test_diode_names_pairs_by_path_and_drops_invalid_depth(diode, tmp_path):
    out = tmp_path / "out"
    assert convert("diode", diode, out) == 2
    assert names(out) == [
        "indoors-scene_00019-scan_00183-300_010",
        "outdoor-scene_00022-scan_00193-300_010",
    ]
    truth = exact_millimetres(steps(), 250)
    truth[:, -1] = 0
    for pair in list_pairs(out):
        rgb, depth = read_pair(pair)
        np.testing.assert_array_equal(rgb, photo())
        np.testing.assert_array_equal(depth, truth)


def test_diode_masked_pixels_may_hold_anything(tmp_path):
    mask = np.ones((HEIGHT, WIDTH))
    mask[3, 3] = 0
    picture = write_diode(tmp_path / "diode", "a", mask)
    depth = np.full((HEIGHT, WIDTH, 1), 2.5, np.float32)
    depth[3, 3], depth[4, 4], depth[5, 5] = np.nan, np.nan, 225.0
    np.save(picture.with_name("a_depth.npy"), depth)
    convert("diode", tmp_path / "diode", tmp_path / "out")
    found = read_depth(tmp_path / "out" / "depth" / "a.png")
    assert [found[i, i] for i in (2, 3, 4, 5)] == [2500, 0, 0, 0]


@pytest.mark.parametrize("missing", ["300_010.png", "300_010_depth.npy", "300_010_depth_mask.npy"])
def test_diode_file_that_is_missing_is_named(diode, tmp_path, missing):
    (diode / "indoors" / "scene_00019" / "scan_00183" / missing).unlink()
    with pytest.raises(UserError, match=rf"scan_00183/{missing} is missing"):
        convert("diode", diode, tmp_path / "out")


@pytest.mark.parametrize("file", ["300_010_depth.npy", "300_010_depth_mask.npy"])
@pytest.mark.parametrize("left", [0, 40, 500])
def test_truncated_diode_array_is_named(diode, tmp_path, file, left):
    path = diode / "indoors" / "scene_00019" / "scan_00183" / file
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(UserError, match=rf"{file} is not a readable"):
        convert("diode", diode, tmp_path / "out")


def test_diode_mask_of_another_size_is_refused(diode, tmp_path):
    path = diode / "indoors" / "scene_00019" / "scan_00183" / "300_010_depth_mask.npy"
    np.save(path, np.ones((HEIGHT, WIDTH - 1)))
    with pytest.raises(UserError, match=r"300_010_depth_mask\.npy is \(24, 39\)"):
        convert("diode", diode, tmp_path / "out")


# --- all of them ----------------------------------------------------------------------------


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_empty_folder_is_refused(source, tmp_path):
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match=r"/bare.*(is empty|is a folder|No such file)") as error:
        convert(source, tmp_path / "bare", tmp_path / "out")
    assert error.value.exit_code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_unknown_split_is_refused(source, nyu, tmp_path):
    with pytest.raises(UserError, match="split"):
        convert(source, nyu, tmp_path / "out", split="holiday")


def test_unknown_source_lists_the_known_ones(tmp_path):
    with pytest.raises(UserError, match="nyu, tum, kitti, diode"):
        convert("sun", tmp_path, tmp_path / "out")


def test_missing_source_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist"):
        convert("kitti", tmp_path / "nowhere", tmp_path / "out")


def test_writing_into_the_source_is_refused(tum):
    before = sorted(tum.rglob("*"))
    with pytest.raises(UserError, match="inside the source"):
        convert("tum", tum, tum)
    assert sorted(tum.rglob("*")) == before


def test_pairs_that_would_share_a_name_are_refused(tmp_path):
    mask = np.ones((HEIGHT, WIDTH))
    write_diode(tmp_path / "diode" / "a-b", "c", mask)
    write_diode(tmp_path / "diode" / "a", "b-c", mask)
    with pytest.raises(UserError, match="a-b-c"):
        convert("diode", tmp_path / "diode", tmp_path / "out")


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

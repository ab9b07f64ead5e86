"""Photos without depth, and labels made for them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest
import torch
from bench_depth.core.dataset import read_depth, write_depth
from bench_depth.core.errors import WARNED, UserError
from ghostdepth_train.augment import augment
from ghostdepth_train.config import AugmentConfig
from ghostdepth_train.data import EpochSampler, training_loader
from ghostdepth_train.distillation import Teacher, TeacherLabels
from ghostdepth_train.distillation.labelling import LARGEST_SIDE, label_images
from ghostdepth_train.distillation.labels import metric_labels
from ghostdepth_train.distillation.unlabelled import (
    UnlabelledDataset,
    list_unlabelled,
    require_usable_images,
    survey_labels,
    upsample_label,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.train.making import StopHere

SIZE = (48, 64)


def write_photo(path: Path, seed: int, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos; the first two have labels of a quarter of their size."""
    folder = tmp_path / "photos"
    for index in range(4):
        write_photo(folder / "rgb" / f"{index}.png", index)
    for index in range(2):
        ramp = np.tile(np.linspace(1000, 4000, SIZE[1] // 4), (SIZE[0] // 4, 1))
        write_depth(folder / "pseudo_depth" / f"{index}.png", ramp + 100 * index)
    return folder


def dataset(folder: Path, config: AugmentConfig | None = None) -> UnlabelledDataset:
    return UnlabelledDataset(list_unlabelled(folder), (32, 48), config or AugmentConfig(), seed=1)


def test_an_item_depends_on_epoch_and_index_alone(photos: Path) -> None:
    first, second = dataset(photos), dataset(photos)
    second[(0, 1)], second[(4, 0)]
    for a, b in zip(first[(3, 0)], second[(3, 0)], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(first[(3, 0)][0], first[(4, 0)][0])


def test_a_label_follows_its_photo_through_augmentation(photos: Path) -> None:
    config = AugmentConfig(colour=0, noise=0)
    pair = list_unlabelled(photos)[1]
    rgb = np.ascontiguousarray(cv2.imread(str(pair.rgb))[:, :, ::-1])
    full = cv2.resize(read_depth(pair.depth).astype(np.float32), SIZE[::-1])
    chance = np.random.default_rng((1, 5, 1))
    expected = augment(rgb, full / 1000, (32, 48), config, chance)
    item = dataset(photos, config)[(5, 1)]
    np.testing.assert_array_equal(item[0].permute(1, 2, 0), expected[0])
    np.testing.assert_allclose(item[1][0], expected[1], atol=1e-3)


def test_a_photo_without_a_label_has_unknown_depth(photos: Path) -> None:
    rgb, depth = dataset(photos)[(0, 3)]
    assert rgb.shape == (3, 32, 48)
    assert depth.shape == (1, 32, 48)
    assert not depth.any()


def test_photos_come_in_batches_like_pairs(photos: Path) -> None:
    loader = training_loader(dataset(photos), EpochSampler(4, 2, seed=0), workers=0)
    shapes = [(tuple(rgb.shape), tuple(depth.shape)) for rgb, depth in loader]
    assert shapes == [((2, 3, 32, 48), (2, 1, 32, 48))] * 2


def test_upsampling_a_label_averages_known_pixels_only() -> None:
    label = np.full((6, 8), 3000, np.uint16)
    label[:, :3] = 0
    large = upsample_label(label, 60, 80)
    assert set(np.unique(large)) == {0, 3000}
    assert (large > 0).mean() == pytest.approx((label > 0).mean(), abs=0.02)


def test_upsampling_a_label_is_bilinear_where_all_is_known() -> None:
    label = np.random.default_rng(0).integers(500, 9000, (12, 16)).astype(np.uint16)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(label.astype(np.float32))[None, None], (48, 64), mode="bilinear"
    )
    np.testing.assert_allclose(upsample_label(label, 48, 64), expected[0, 0], atol=1)


def test_what_is_no_folder_of_photos_is_an_error(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        list_unlabelled(tmp_path / "nowhere")
    (tmp_path / "empty" / "rgb").mkdir(parents=True)
    with pytest.raises(UserError, match="has no image"):
        list_unlabelled(tmp_path / "empty")
    write_depth(photos / "pseudo_depth" / "other.png", np.full(SIZE, 1000))
    with pytest.raises(UserError, match=r"other\.png labels no image"):
        list_unlabelled(photos)
    write_photo(photos / "rgb" / "other.png", 9)
    write_photo(photos / "rgb" / "other.jpg", 9)
    with pytest.raises(UserError, match="two images are called other"):
        list_unlabelled(photos)


class Brightness(Teacher):
    """Labels bright pixels as far, and the first row as unknown; counts its photos."""

    quantity = "metric"

    def __init__(self, name: str = "brightness") -> None:
        self.name = self.identity = name
        self.asked = 0

    def __call__(self, rgb: Tensor) -> TeacherLabels:
        self.asked += 1
        metres = 1 + rgb.float().mean(1, keepdim=True) / 100
        metres[:, :, 0] = 0
        return metric_labels(metres)


def label(teacher: Teacher, photos: Path, out: Path) -> int:
    return label_images(teacher, list_unlabelled(photos, out), out)


def test_labels_are_the_teachers_depth_in_millimetres(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    assert label(Brightness(), photos, out) == 4
    photo = cv2.imread(str(photos / "rgb" / "2.png")).astype(np.float64)
    expected = 1000 + photo.mean(2) * 10
    expected[0] = 0
    np.testing.assert_allclose(read_depth(out / "2.png"), expected, atol=0.51)


def test_a_teacher_that_gives_the_same_depth_everywhere_is_warned_of_once_and_refused_where_strict(
    photos: Path, tmp_path: Path
) -> None:
    class Constant(Brightness):
        def __call__(self, images: Tensor) -> TeacherLabels:
            return metric_labels(torch.full_like(images[:, :1], 2.0, dtype=torch.float32))

    out, lines = tmp_path / "labels", list[str]()
    label_images(Constant(), list_unlabelled(photos, out), out, log=lines.append)
    assert len(lines) == 1
    assert "[output-constant]" in lines[0]

    strict = tmp_path / "strict"
    for _ in range(2):
        with pytest.raises(UserError, match="output-constant") as caught:
            label_images(Constant(), list_unlabelled(photos, strict), strict, strict=True)
        assert caught.value.exit_code == WARNED and not list(strict.glob("*.png"))


def test_labelling_goes_on_where_it_was(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels"

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise StopHere

    with pytest.raises(StopHere):
        label_images(Brightness(), list_unlabelled(photos, out), out, stop)
    assert sorted(path.name for path in out.iterdir()) == ["0.png", "1.png", "teacher.json"]
    teacher = Brightness()
    assert label(teacher, photos, out) == teacher.asked == 2
    assert label(teacher, photos, out) == 0


def test_labels_of_two_teachers_are_never_mixed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    label(Brightness("a"), photos, out)
    with pytest.raises(UserError, match="holds labels of a, not of b; choose another --out"):
        label(Brightness("b"), photos, out)
    with pytest.raises(UserError, match="names their teacher; choose another --out"):
        label(Brightness("a"), photos, photos / "pseudo_depth")


def test_a_relative_teacher_cannot_say_millimetres(photos: Path, tmp_path: Path) -> None:
    teacher = Brightness()
    teacher.quantity = "relative-inverse"
    with pytest.raises(UserError, match="add a metric teacher"):
        label(teacher, photos, tmp_path / "labels")
    assert not (tmp_path / "labels").exists()


def test_labels_of_large_photos_are_made_small(tmp_path: Path) -> None:
    write_photo(tmp_path / "p" / "rgb" / "a.png", 0, (600, 800))
    label(Brightness(), tmp_path / "p", tmp_path / "labels")
    assert read_depth(tmp_path / "labels" / "a.png").shape == (LARGEST_SIDE * 3 // 4, LARGEST_SIDE)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_image_or_label_among_good_ones_is_refused_before_work_starts(
    data: st.DataObject,
) -> None:
    with TemporaryDirectory() as root:
        folder = Path(root)
        for index in range(8):
            write_photo(folder / "rgb" / f"{index}.png", index)
        images = list_unlabelled(folder)
        label_images(Brightness(), images, folder / "pseudo_depth")
        require_usable_images(images)
        image = data.draw(st.sampled_from(images))
        path = data.draw(st.sampled_from([image.rgb, image.depth]))
        good = path.read_bytes()
        faults = st.integers(0, len(good) - 13).map(lambda size: good[:size])
        if path == image.depth:
            kinds = [np.zeros((6, 8), np.uint8), np.zeros((6, 8, 3), np.uint16)]
            faults |= st.sampled_from([png(kind) for kind in kinds])
        damaged = data.draw(faults | st.none())
        path.unlink()
        if damaged is None:
            os.mkfifo(path)
        else:
            path.write_bytes(damaged)
        with pytest.raises(UserError, match=re.escape(str(path))):
            require_usable_images(images)
        with pytest.raises(UserError, match=re.escape(str(path))):
            label_images(Brightness(), images, folder / "pseudo_depth")


@pytest.mark.parametrize(
    ("label", "codes"),
    [
        (np.add.outer(np.arange(12), np.arange(16)) * 50 + 1000, set()),
        (np.full((12, 16), 2000), {"depth-ceiling", "depth-constant"}),
        (np.full((12, 16), 65535), {"depth-constant", "depth-far"}),
        (np.add.outer(np.arange(12), np.arange(16)) // 4 + 1, {"depth-metres"}),
    ],
)
def test_labels_are_warned_of_as_the_depth_of_pairs_is(
    photos: Path, label: np.ndarray, codes: set[str]
) -> None:
    for index in range(2):
        write_depth(photos / "pseudo_depth" / f"{index}.png", label + index * (label.max() < 9000))
    found = survey_labels(list_unlabelled(photos)[:2], "the labels")
    assert {finding.code for finding in found} == codes


def test_labels_that_are_all_unknown_are_refused(photos: Path) -> None:
    for index in range(2):
        write_depth(photos / "pseudo_depth" / f"{index}.png", np.zeros((12, 16)))
    with pytest.raises(UserError, match="no depth map of the labels has a valid pixel"):
        survey_labels(list_unlabelled(photos)[:2], "the labels")

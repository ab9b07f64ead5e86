"""Pictures that a page carries: colours, unknown depth, and which images are kept as the worst."""

from __future__ import annotations

import base64
import dataclasses
import re

import cv2
import numpy as np
import pytest
from bench_depth.accuracy.evaluation import EvaluatedImage
from bench_depth.core.metrics import depth_metrics
from bench_depth.report.html import pictures
from bench_depth.report.html.pictures import WorstImages, make_scene


def decode(uri: str) -> np.ndarray:
    """RGB or RGBA."""
    head, _, text = uri.partition(",")
    assert re.fullmatch(r"data:image/(jpeg|webp);base64", head)
    data = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert image is not None
    order = [2, 1, 0, 3][: image.shape[2]]
    return image[..., order].astype(int)


def evaluated(name: str, spread: float, align: str = "none") -> EvaluatedImage:
    """Too far by `spread` on the left half; 2 m, 4 m on the right, unknown at the top."""
    truth = np.full((48, 64), 2000, np.uint16)
    truth[:, 40:] = 4000
    truth[0] = 0
    depth = np.where(np.arange(64) < 32, 1 + spread, 1) * np.where(truth == 0, 900, truth)
    metrics = depth_metrics(depth, truth, align)
    assert metrics is not None
    photo = np.full((48, 64, 3), (200, 40, 20), np.uint8)
    return EvaluatedImage(name, photo, truth, depth, align, metrics)


def test_the_colour_maps_run_from_near_to_far() -> None:
    depth, error = pictures.depth_colours(), pictures.error_colours()
    # matplotlib's plasma_r and RdBu_r.
    assert depth[[0, 128, 255]].tolist() == [[240, 249, 33], [203, 70, 121], [13, 8, 135]]
    assert error[[0, 255]].tolist() == [[5, 48, 97], [103, 0, 31]]
    assert error[127:129].min() > 240
    assert pictures.gradient(depth, 2) == "linear-gradient(90deg, #f0f921, #0d0887)"


def test_depth_takes_the_colour_map_and_unknown_is_transparent() -> None:
    depth = np.array([[0, 1.0, 2.0], [3.0, 0.5, 9.0]], np.float32)
    image = decode(pictures.depth_picture(depth, near=1.0, far=3.0))
    assert image[0, 0, 3] == 0
    # Beyond the scale the end's colour holds.
    for place, index in (((0, 1), 0), ((1, 0), 255), ((1, 1), 0), ((1, 2), 255), ((0, 2), 128)):
        assert image[place].tolist() == [*pictures.depth_colours()[index], 255]


def test_the_error_map_is_white_where_right_blue_where_near_red_where_far() -> None:
    truth = np.array([[2.0, 2.0, 2.0, 0.0]], np.float32)
    depth = np.array([[2.0, 2.0 / 1.5, 2.0 * 1.5, 2.0]], np.float32)
    for scale in (1.0, 0.7):
        uri, found = pictures.error_picture(depth * np.float32(scale), truth)
        assert found == pytest.approx(scale)
        right, near, far, unknown = decode(uri)[0]
        assert right[:3].min() > 240
        assert near[2] > 2 * near[0]
        assert far[0] > 2 * far[2]
        assert unknown[3] == 0
    # A wider scale is paler.
    assert decode(pictures.error_picture(depth, truth, 2.0)[0])[0, 2, 1] > far[1]


def test_without_known_depth_the_error_map_is_empty() -> None:
    nothing = np.zeros((4, 4), np.float32)
    uri, scale = pictures.error_picture(nothing + 1, nothing)
    assert scale == 1
    assert not decode(uri)[..., 3].any()


def test_the_scale_spans_the_known_depth() -> None:
    truth = np.linspace(1.0, 4.0, 301, dtype=np.float32).reshape(7, 43)
    truth[0, 0] = 0
    near, far = pictures.depth_range(truth)
    assert (near, far) == (pytest.approx(1.0), pytest.approx(4.0))
    assert pictures.depth_range(np.zeros((2, 2), np.float32)) == (0.0, 1.0)


def test_large_pictures_are_made_smaller_with_their_shape_kept() -> None:
    image = decode(pictures.photo_picture(np.zeros((480, 640, 3), np.uint8)))
    assert image.shape == (300, 400, 3)


def test_a_scene_has_photo_ground_truth_each_prediction_and_the_last_ones_error() -> None:
    image = evaluated("a", 0.6)
    predictions = [("fp32", image.depth_mm, "si-RMSE 0.1"), ("int8", image.depth_mm * 2, "")]
    scene = make_scene("room", image.photo, image.ground_truth_mm, predictions)
    captions = [(each.caption, each.figure) for each in scene.pictures]
    scale = pictures.error_picture(
        np.asarray(image.depth_mm * 2, np.float32), np.asarray(image.ground_truth_mm, np.float32)
    )[1]
    assert captions == [
        ("photo", ""),
        ("ground truth", ""),
        ("fp32", "si-RMSE 0.1"),
        ("int8", ""),
        ("error of int8", f"scale × {scale:.2f}"),
    ]
    photo, truth, _, _, error = [decode(each.uri) for each in scene.pictures]
    assert np.abs(photo[30, 20] - (200, 40, 20)).max() < 12
    # Near is lighter than far, the unknown row is transparent.
    assert truth[30, 36, :3].sum() > truth[30, 60, :3].sum() + 100
    assert not truth[0, :, 3].any() and not error[0, :, 3].any()
    # Too far on the left, too near on the right.
    assert error[30, 10, 0] > error[30, 10, 2] + 50 and error[30, 60, 2] > error[30, 60, 0] + 50
    assert all(each.alt for each in scene.pictures)
    assert scene.ticks == ["2.0", "2.5", "3.0", "3.5", "4.0"]


def test_the_worst_images_come_first_and_are_at_most_ten() -> None:
    worst = WorstImages()
    for i in np.random.default_rng(0).permutation(30):
        worst.add(0, evaluated(str(i), i / 20))
    assert [scene.name for scene in worst.scenes(["m"])[0]] == [str(i) for i in range(29, 19, -1)]
    metrics = evaluated("29", 29 / 20).metrics
    assert worst.scenes(["m"])[0][0].note.startswith(f"si-RMSE {metrics.si_rmse:.3f}, RMSE ")


def test_of_equally_bad_images_the_first_are_kept_in_their_order() -> None:
    worst = WorstImages()
    for i in range(12):
        worst.add(0, evaluated(str(i), 0.5))
    assert [scene.name for scene in worst.scenes(["m"])[0]] == [str(i) for i in range(10)]


def test_a_scene_is_made_only_of_what_is_among_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    real = pictures.make_scene
    monkeypatch.setattr(
        pictures, "make_scene", lambda *args, **more: made.append(0) or real(*args, **more)
    )
    worst = WorstImages()
    for i in range(40, 0, -1):
        worst.add(0, evaluated(str(i), i / 20))
    assert len(made) == 10


def test_an_aligned_prediction_is_shown_aligned() -> None:
    image = evaluated("a", 0.0, "median")
    worst = WorstImages()
    worst.add(0, dataclasses.replace(image, depth_mm=3 * image.depth_mm))
    ((scene,),) = worst.scenes(["m"]).values()
    _, truth, prediction, error = (decode(each.uri) for each in scene.pictures)
    np.testing.assert_array_equal(prediction[1:, :, :3], truth[1:, :, :3])
    assert error[1:].min() > 230
    assert scene.pictures[-1].figure == "scale × 1.00"


def test_the_worst_images_of_the_first_model_are_shown_side_by_side() -> None:
    worst = WorstImages()
    for index in range(2):
        for i in range(12):
            # The second model is worst at the images that the first one is best at.
            worst.add(index, evaluated(str(i), (i if index == 0 else 12 - i) / 20))
    first, second = worst.scenes(["a", "b"]).values()
    assert [scene.name for scene in first] == [str(i) for i in range(11, 1, -1)]
    assert [scene.name for scene in second] == ["0", "1"]
    captions = [picture.caption for picture in first[0].pictures]
    assert captions == ["photo", "ground truth", "a", "error", "b", "error"]
    metrics = evaluated("11", 1 / 20).metrics
    assert first[0].pictures[4].figure == f"si-RMSE {metrics.si_rmse:.3f}"

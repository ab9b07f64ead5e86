"""Augmentation keeps the geometry of a pair."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from ghostdepth_train.augment import augment, recolour, smear, stand_before, tilt, zoom_crop
from ghostdepth_train.augment.geometry import FOCAL, crop_matrix, turned
from ghostdepth_train.config import AugmentConfig

STILL = AugmentConfig(flip=0, zoom=1, colour=0, noise=0)


def wall(distance: float, size: tuple[int, int] = (120, 160)) -> tuple[np.ndarray, np.ndarray]:
    """A pinhole camera's view of a square 1 m wide, in front of a far, dark background."""
    height, width = size
    focal = 0.8 * width
    y, x = np.mgrid[:height, :width]
    inside = (np.abs(x - width / 2 + 0.5) <= focal * 0.5 / distance) & (
        np.abs(y - height / 2 + 0.5) <= focal * 0.5 / distance
    )
    rgb = np.where(inside[..., None], 200, 20).astype(np.uint8).repeat(3, axis=2)
    return rgb, np.where(inside, distance, 8.0).astype(np.float32)


def test_zooming_shows_the_scene_from_nearer() -> None:
    rgb, depth = wall(4.0)
    _, zoomed = zoom_crop(rgb, depth, 2.0, (0.5, 0.5), depth.shape)
    _, expected = wall(2.0)
    square = zoomed == 2.0
    assert square.sum() == pytest.approx((expected == 2.0).sum(), rel=0.05)


@pytest.mark.parametrize("place", [(0.5, 0.5), (0.0, 1.0), (0.3, 0.8)])
@pytest.mark.parametrize("frame", [0, 2])
def test_a_wider_view_has_the_picture_farther_away_amid_its_mirror_image(
    place: tuple[float, float], frame: int
) -> None:
    rng, (height, width) = np.random.default_rng(0), (60, 80)
    rgb = rng.integers(0, 200, (height, width, 3), np.uint8)
    depth = rng.uniform(1, 5, (height, width)).astype(np.float32)
    inner = np.s_[frame : height - frame, frame : width - frame]
    if frame:
        framed, hidden = np.full_like(rgb, 255), np.zeros_like(depth)
        framed[inner], hidden[inner] = rgb[inner], depth[inner]
        rgb, depth = framed, hidden
    # Half as large on twice as many pixels: each pixel keeps its size.
    seen, far = zoom_crop(rgb, depth, 0.5, place, (2 * height, 2 * width))
    x, y = crop_matrix(height, width, 0.5, place, (2 * height, 2 * width))[:2, 2].astype(int)
    around = [(y + frame, height + frame - y), (x + frame, width + frame - x)]
    mirrored = np.pad(rgb[inner], [*around, (0, 0)], mode="symmetric")
    np.testing.assert_array_equal(seen, mirrored)
    np.testing.assert_array_equal(far, np.pad(2 * depth[inner], around))


def test_depth_is_never_averaged() -> None:
    rgb, depth = wall(3.0)
    _, small = zoom_crop(rgb, depth, 1.3, (0.2, 0.7), (37, 53))
    assert set(np.unique(np.round(small * 1.3, 4))) <= {3.0, 8.0}


def test_flip_mirrors_photo_and_depth_together() -> None:
    rng = np.random.default_rng(0)
    depth = rng.random((24, 32)).astype(np.float32) + 1
    rgb = (depth[..., None] * 100).astype(np.uint8).repeat(3, axis=2)
    config = STILL.model_copy(update={"flip": 1.0})
    flipped_rgb, flipped_depth = augment(rgb, depth, (24, 32), config, rng)
    np.testing.assert_array_equal(flipped_rgb, rgb[:, ::-1])
    np.testing.assert_array_equal(flipped_depth, depth[:, ::-1])


def test_unknown_depth_stays_unknown() -> None:
    rgb, depth = wall(3.0)
    depth[:30] = 0
    _, zoomed = zoom_crop(rgb, depth, 1.5, (0, 0), depth.shape)
    assert (zoomed[:40] == 0).all()


def test_recolour_leaves_shapes_and_range() -> None:
    rgb, _ = wall(3.0)
    changed = recolour(rgb, 0.5, np.random.default_rng(3))
    assert changed.shape == rgb.shape
    assert changed.dtype == np.uint8
    assert (changed != rgb).any()


def test_recolour_is_its_steps_one_after_the_other() -> None:
    source = np.random.default_rng(0).integers(60, 190, (24, 32, 3), np.uint8)
    got = recolour(source, 0.2, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    x = source / 255 * rng.uniform(1 - 0.2 / 3, 1 + 0.2 / 3, 3)
    saturation, contrast, brightness, gamma = rng.uniform(0.8, 1.2, 4)
    grey = (x @ [0.299, 0.587, 0.114])[..., None]
    x = grey + saturation * (x - grey)
    x = x.mean() + contrast * (x - x.mean())
    expected = np.clip(brightness * x, 0, 1) ** gamma * 255
    # Two roundings to bytes, the first of them enlarged by gamma.
    assert np.abs(got - expected).max() < 1.6


def test_nothing_to_change_changes_nothing() -> None:
    rgb, depth = wall(3.0)
    same_rgb, same_depth = augment(rgb, depth, depth.shape, STILL, np.random.default_rng(0))
    np.testing.assert_array_equal(same_rgb, rgb)
    np.testing.assert_array_equal(same_depth, depth)


def plane(normal: np.ndarray, distance: float, size: tuple[int, int]) -> np.ndarray:
    """HxW depth of the plane normal . X = distance."""
    height, width = size
    y, x = np.mgrid[:height, :width] + 0.5
    focal = FOCAL * width
    along = (x - width / 2) / focal * normal[0] + (y - height / 2) / focal * normal[1] + normal[2]
    return (distance / along).astype(np.float32)


@pytest.mark.parametrize("angles", [(0.1, 0, 0), (0, -0.15, 0), (0, 0, 0.2), (0.1, 0.1, -0.1)])
def test_a_plane_seen_by_a_turned_camera_is_the_plane_turned(angles: tuple[float, ...]) -> None:
    size, normal = (96, 128), np.array([0.1, 0.2, np.sqrt(0.95)])
    depth = plane(normal, 2.0, size)
    _, got = tilt(np.zeros((*size, 3), np.uint8), depth, angles)
    known = got > 0
    assert 0.6 < known.mean() < 1
    # X_old = turn @ X_new, so the plane's normal is turned back.
    expected = plane(turned(angles).T @ normal, 2.0, size)
    np.testing.assert_allclose(got[known], expected[known], rtol=0.02)


def test_near_things_hide_only_what_is_farther() -> None:
    rgb, depth = wall(3.0)
    depth[:20] = 0.2
    for seed in range(20):
        shown, now = stand_before(rgb, depth, np.random.default_rng(seed))
        changed = now != depth
        assert (now[changed] < depth[changed]).all()
        assert (now > 0).all()
        assert (shown[:19] == rgb[:19]).all()


def sharpness(picture: np.ndarray, where: np.ndarray) -> float:
    """Mean strength of the finest detail of an HxW picture at some pixels."""
    return float(np.abs(cv2.Laplacian(picture.astype(np.float32), cv2.CV_32F))[where].mean())


def test_what_is_near_is_not_softer_than_what_is_far() -> None:
    # A network tells depth by whatever tells it: near things that were enlarged made every picture
    # that is a little out of focus look near (docs/LOG.md).
    near, far = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        noise = cv2.GaussianBlur(rng.normal(128, 60, (160, 224)), (0, 0), 1.0)
        rgb = np.repeat(np.clip(noise, 0, 255).astype(np.uint8)[..., None], 3, 2)
        shown, now = stand_before(rgb, np.full((160, 224), 3.0, np.float32), rng)
        inside = cv2.erode((now < 3).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        outside = cv2.erode((now == 3).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)
        if inside.sum() > 500 and outside.sum() > 500:
            near.append(sharpness(grey, inside))
            far.append(sharpness(grey, outside))
    assert len(near) > 40
    assert np.median(near) > 0.5 * np.median(far)
    # Neither side alone is enough to tell which it is.
    assert 0.15 < np.mean(np.array(near) > np.array(far)) < 0.85


def test_a_blur_keeps_what_is_even_and_smooths_what_is_not() -> None:
    rgb, _ = wall(3.0)
    blurred = smear(rgb, 2.0, 0.5, 0.3)
    assert (blurred[60, 80] == 200).all()
    assert len(np.unique(blurred)) > len(np.unique(rgb))


def test_all_changes_together_come_out_in_the_size_asked_for() -> None:
    rgb, depth = wall(3.0)
    config = AugmentConfig(
        zoom=4, widen=1.5, near=1, tilt=30, blur=10, grey=1, colour=0.9, noise=20
    )
    for seed in range(10):
        shown, now = augment(rgb, depth, (64, 96), config, np.random.default_rng(seed))
        assert (shown.shape, shown.dtype) == ((64, 96, 3), np.uint8)
        assert (now.shape, now.dtype) == ((64, 96), np.float32)
        assert np.isfinite(now).all() and (now >= 0).all()

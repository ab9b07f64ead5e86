"""The committed sample set: whole, small, and geometrically exact.

The depth proof needs no renderer: samples/scenes.json tells where the camera stood in which
box-shaped room, so every pixel can be put back into its room, where floor, walls and ceiling must
lie on known planes and nothing behind them.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SCENES = json.loads((SAMPLES / "scenes.json").read_text())
NAMES = sorted(SCENES["frames"])


def read_depth(name):
    return cv2.imread(str(SAMPLES / "depth" / f"{name}.png"), cv2.IMREAD_UNCHANGED)


def to_room(name, as_distance=False):
    """Back-projects the known pixels of a frame: (N, 3) float64, metres in the room's axes.

    Args:
        name: Frame.
        as_distance: Take the values for distances from the camera's centre, which they are not.
    """
    camera = SCENES["camera"]
    pose = np.array(SCENES["frames"][name]["camera_to_world"])
    depth = read_depth(name)
    v, u = np.nonzero(depth)
    rays = np.stack(
        [(u - camera["cx"]) / camera["fx"], (v - camera["cy"]) / camera["fy"], np.ones(u.size)],
        axis=-1,
    )
    if as_distance:
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return (rays * depth[v, u, None] / 1000) @ pose[:3, :3].T + pose[:3, 3]


def inside(name, points):
    """Distance of points from the nearest plane of the room's box, metres, < 0 outside: (N,)."""
    size = np.array(SCENES["frames"][name]["room_size"])
    return np.minimum(points, size - points).min(axis=-1)


def test_both_folders_hold_the_same_frames_as_the_scene_list():
    assert sorted(p.name for p in (SAMPLES / "rgb").iterdir()) == [f"{n}.jpg" for n in NAMES]
    assert sorted(p.name for p in (SAMPLES / "depth").iterdir()) == [f"{n}.png" for n in NAMES]
    assert len(NAMES) == 48


def test_the_set_stays_under_six_megabytes():
    kept = [p for p in SAMPLES.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in kept) < 6e6


def test_photos_are_colour_and_depths_are_16_bit_of_the_camera_size():
    for name in NAMES:
        photo = cv2.imread(str(SAMPLES / "rgb" / f"{name}.jpg"), cv2.IMREAD_UNCHANGED)
        assert (photo.shape, photo.dtype) == ((480, 640, 3), np.uint8), name
        depth = read_depth(name)
        assert (depth.shape, depth.dtype) == ((480, 640), np.uint16), name


@pytest.mark.parametrize("name", NAMES)
def test_photo_is_exposed_and_has_content(name):
    photo = cv2.imread(str(SAMPLES / "rgb" / f"{name}.jpg"), cv2.IMREAD_GRAYSCALE)
    assert 55 < photo.mean() < 165
    assert photo.std() > 20
    assert (photo > 250).mean() < 0.15
    assert (photo < 5).mean() < 0.35


@pytest.mark.parametrize("name", NAMES)
def test_depth_is_known_nearly_everywhere_and_indoors(name):
    depth = read_depth(name)
    known = depth[depth > 0]
    assert known.size > 0.9 * depth.size
    assert known.min() > 400
    assert known.max() < 11000
    assert 1000 < np.median(known) < 6000


@pytest.mark.parametrize("name", NAMES)
def test_nothing_lies_behind_the_walls_except_in_window_reveals(name):
    distance = inside(name, to_room(name))
    assert distance.min() > -0.141  # a wall is 14 cm thick
    assert (distance < -0.002).mean() < 0.15


@pytest.mark.parametrize("name", NAMES)
def test_floor_walls_and_ceiling_lie_on_their_planes_to_the_millimetre(name):
    distance = np.abs(inside(name, to_room(name)))
    # Nothing in a room is thinner than this on a wall or the floor: a rug is 8 mm thick.
    bare = distance[distance < 0.004]
    assert bare.size > 0.1 * distance.size
    assert (bare < 0.001).mean() > 0.99


def test_depth_is_not_the_distance_from_the_camera_centre():
    planar = distance = 0
    for name in NAMES:
        planar += (np.abs(inside(name, to_room(name))) < 0.001).sum()
        distance += (np.abs(inside(name, to_room(name, as_distance=True))) < 0.001).sum()
    assert distance < 0.1 * planar


def test_no_photo_or_depth_map_occurs_twice():
    for folder in ("rgb", "depth"):
        files = {p.read_bytes() for p in (SAMPLES / folder).iterdir()}
        assert len(files) == len(NAMES)

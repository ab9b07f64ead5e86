from __future__ import annotations

import json
import struct
import zlib

import cv2
import numpy as np
import pytest
from bench_depth.depth import colours
from bench_depth.depth.scale import Scale, to_millimetres
from bench_depth.live.frames.meter import Meter
from bench_depth.live.web.message import encode, pack, sample, to_codes
from bench_depth.live.web.view import words
from bench_depth.machine.board import Health


def unpack(data: bytes, width: int, height: int) -> np.ndarray:
    """The map as the page undoes it, written the other way round."""
    high, low = np.frombuffer(zlib.decompress(data), np.uint8).reshape(2, height, width)
    steps = high.astype(np.int64) * 256 + low
    return (np.cumsum(steps, axis=1) % 65536).astype(np.uint16)


def test_a_map_comes_back_bit_for_bit() -> None:
    codes = np.random.default_rng(1).integers(0, 65536, (31, 47)).astype(np.uint16)
    assert np.array_equal(unpack(pack(codes), 47, 31), codes)


def test_a_frame_holds_photo_depth_and_figures_together() -> None:
    photo = np.zeros((600, 800, 3), np.uint8)
    photo[..., 0] = 200
    depth = np.tile(np.linspace(1, 2, 320, dtype=np.float32), (240, 1))
    data = encode(photo, depth, Scale(), {"fps": 7.5})
    (length,) = struct.unpack(">I", data[:4])
    head = json.loads(data[4 : 4 + length])
    assert (head["fps"], head["size"], head["depth"]) == (7.5, [800, 600], [160, 120])
    jpeg = data[4 + length : 4 + length + head["photo"]]
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (480, 640, 3)
    assert image[0, 0] == pytest.approx([0, 0, 200], abs=4)
    codes = unpack(data[4 + length + head["photo"] :], *head["depth"])
    assert codes[5, 80] == round(1000 * float(depth[10, 161]))


@pytest.mark.parametrize("shape", [(120, 160), (7, 5), (480, 640), (1, 1), (333, 1000), (1000, 3)])
def test_what_is_sent_are_values_of_the_map_at_their_places(shape: tuple[int, int]) -> None:
    rows, columns = np.indices(shape)
    depth = (rows * 10000 + columns).astype(np.float32)
    small = sample(depth)
    assert max(small.shape) <= 160
    for row in range(small.shape[0]):
        y = (row + 0.5) * shape[0] / small.shape[0]
        x = 0.5 * shape[1] / small.shape[1]
        assert small[row, 0] == depth[int(y), int(x)]


def test_metres_become_millimetres_and_nonsense_becomes_unknown() -> None:
    depth = np.array([[1.2344, 0.0001, 70, 0, -1, np.nan, np.inf, -np.inf]], np.float32)
    assert to_millimetres(depth).tolist() == [[1234, 1, 65535, 0, 0, 0, 0, 0]]


def test_relative_depth_keeps_its_values_and_may_be_negative() -> None:
    depth = np.array([[-3.5, 0.0, 812.25, np.nan]], np.float32)
    codes, base, step = to_codes(depth, Scale(relative=True, inverse=True))
    assert codes[0, 3] == 0
    assert (codes[0, :3] > 0).all()
    assert base + step * codes[0, :3] == pytest.approx(depth[0, :3], abs=0.01)


@pytest.mark.parametrize("value", [np.nan, 0.25])
def test_relative_depth_that_is_the_same_everywhere(value: float) -> None:
    codes, base, step = to_codes(np.full((2, 2), value, np.float32), Scale(relative=True))
    assert step > 0
    assert np.isnan(value) == (not codes.any())
    assert np.isnan(value) or base + step * codes[0, 0] == pytest.approx(value)


def test_the_ends_of_the_colours_leave_out_wild_pixels() -> None:
    depth = np.full((10, 100), 2.0, np.float32)
    depth[:, :10] = 1.0
    depth[0, :5], depth[1, :5] = 90.0, np.nan
    assert Scale().ends(depth) == pytest.approx((1.0, 2.0))
    assert Scale(relative=True, inverse=True).ends(depth) == pytest.approx((2.0, 1.0))


def test_the_ends_follow_slowly_and_never_meet() -> None:
    depth = np.full((4, 4), 3.0, np.float32)
    near, far = Scale().ends(depth, before=(1.0, 2.0), elapsed=0.5)
    assert near == pytest.approx(3 - 2 * np.exp(-1))
    assert far == pytest.approx(3 - 1 * np.exp(-1))
    assert Scale().ends(depth) == pytest.approx((3.0, 3.01))
    assert Scale().ends(np.zeros((2, 2), np.float32), before=(1.0, 2.0)) == (1.0, 2.0)


def test_near_is_light_far_is_dark_unknown_is_grey() -> None:
    depth = np.array([[1.0, 3.0, 9.0, np.nan]], np.float32)
    near, far, beyond, unknown = colours.paint(depth, Scale().known(depth), 1.0, 3.0)[0]
    assert near.sum() > 2 * far.sum()
    assert (far == beyond).all()
    assert (unknown == 128).all()


def test_the_meter_forgets_after_three_seconds() -> None:
    now = 0.0
    meter = Meter(lambda: now)
    for _ in range(40):
        meter.add([100.0] * 4, 400.0, dropped=1)
        now += 0.25
    for _ in range(12):
        meter.add([1.0, 2.0, 3.0, 4.0], 11.0, dropped=0)
        now += 0.25
    figures = meter.now()
    assert figures["fps"] == pytest.approx(4.0)
    assert figures["given"] == pytest.approx(4.0)
    assert figures["possible"] == pytest.approx(100.0)
    assert figures["stages"] == {"capture": 1, "preprocess": 2, "invoke": 3, "postprocess": 4}
    assert (figures["latency"], figures["frames"], figures["dropped"]) == (11, 52, 40)
    assert "52 frames, 4.0 per second, 40 dropped" in meter.summary()


def test_the_meter_tells_what_the_source_gives_and_what_the_board_could_do() -> None:
    now = 0.0
    meter = Meter(lambda: now)
    for _ in range(20):
        meter.add([10.0] * 4, 40.0, dropped=2)
        now += 0.1
    assert meter.now()["given"] == pytest.approx(30.0)
    assert "10.0 per second (could do 25.0), 40 dropped" in meter.summary()
    # A thread decodes while the model runs: more is run than the sum of the times allows.
    for _ in range(40):
        meter.add([50.0] * 4, 200.0, dropped=0)
        now += 0.1
    assert meter.now()["possible"] == pytest.approx(meter.now()["fps"])


def test_a_meter_without_frames() -> None:
    assert Meter().summary() == "no frames"
    assert (Meter().now()["fps"], Meter().now()["possible"]) == (None, None)


@pytest.mark.parametrize(
    ("flags", "troubles"),
    [
        (None, None),
        (0, []),
        (0x50005, ["low voltage", "throttled"]),
        (0x80000, ["was slowed since boot"]),
    ],
)
def test_throttling_in_words(flags: int | None, troubles: list[str] | None) -> None:
    assert words(Health(1500.0, 61.2, flags))["troubles"] == troubles

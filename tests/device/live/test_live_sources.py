from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.live.source import cameras, sources
from bench_depth.live.source.sources import ImageSource, open_source

from tests.device.live.live_helpers import write_pictures, write_video


def names(source: ImageSource, most: int = 100) -> list[str]:
    found = []
    while len(found) < most and (name := source.grab()) is not None:
        found.append(name)
    return found


def greys(source: ImageSource, most: int = 100) -> list[int]:
    found = []
    while len(found) < most and source.grab() is not None:
        found.append(int(source.take()[20, 20, 0]))
    return found


# ---- Folders


def test_a_folder_gives_its_pictures_by_name(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", [10, 20, 30])
    (folder / "notes.txt").touch()
    (folder / ".hidden.png").touch()
    assert greys(open_source(str(folder))) == [10, 20, 30]
    assert names(open_source(str(folder))) == ["p0", "p1", "p2"]


def test_a_dataset_folder_is_its_photos(tmp_path: Path) -> None:
    write_pictures(tmp_path / "rgb", [10, 20])
    write_pictures(tmp_path / "depth", [99])
    assert greys(open_source(str(tmp_path))) == [10, 20]


def test_one_picture_is_a_source(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", [10, 20])
    assert greys(open_source(str(folder / "p1.png"))) == [20]


def test_a_looped_folder_never_gives_a_name_twice(tmp_path: Path) -> None:
    source = open_source(str(write_pictures(tmp_path / "pictures", [1, 2])), loop=True)
    assert names(source, 5) == ["p0", "p1", "p0-2", "p1-2", "p0-3"]


def test_photos_are_rgb(tmp_path: Path) -> None:
    photo = np.zeros((4, 4, 3), np.uint8)
    photo[..., 0] = 255  # Blue to OpenCV.
    cv2.imwrite(str(tmp_path / "blue.png"), photo)
    source = open_source(str(tmp_path))
    source.grab()
    assert tuple(source.take()[0, 0]) == (0, 0, 255)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no pictures"):
        open_source(str(tmp_path))


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", [10, 20])
    (folder / "p1.png").write_bytes((folder / "p1.png").read_bytes()[:40])
    with pytest.raises(UserError, match=r"p1\.png is not a readable picture"):
        greys(open_source(str(folder)))


# ---- Videos


def test_a_video_gives_every_frame_in_order_and_its_rate(tmp_path: Path) -> None:
    source = open_source(str(write_video(tmp_path / "v.avi", 12, fps=8, numbered=True)))
    assert source.interval == pytest.approx(1 / 8)
    assert greys(source) == pytest.approx([5 * n for n in range(12)], abs=2)
    source.close()


def test_a_looped_video_counts_on(tmp_path: Path) -> None:
    source = open_source(str(write_video(tmp_path / "v.avi", 2, numbered=True)), loop=True)
    assert names(source, 5) == [f"{n:06d}" for n in range(5)]
    assert greys(source, 3) == pytest.approx([5, 0, 5], abs=2)


def test_a_truncated_video_is_an_error_after_what_it_has(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_source(str(path))
    found = 0
    with pytest.raises(UserError, match=r"v\.avi stops after frame \d+ of 40; it is truncated"):
        while source.grab() is not None:
            found += 1
    assert 0 < found < 40


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"v\.mp4 is not a readable video"):
        open_source(str(path))


@pytest.mark.parametrize("playlist", ["ffconcat version 1.0", "#EXTM3U"])
def test_a_playlist_under_a_videos_name_opens_nothing(playlist: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "part.ts")  # Would be waited for.
    (tmp_path / "v.mp4").write_text(f"{playlist}\nfile part.ts\npart.ts\n\0")
    with pytest.raises(UserError, match=r"v\.mp4 is not a readable video"):
        open_source(str(tmp_path / "v.mp4"))


def test_a_pipe_and_a_device_that_is_no_camera_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "v.mp4")
    for path, what in ((tmp_path / "v.mp4", "a pipe"), (Path("/dev/zero"), "a device")):
        with pytest.raises(UserError, match=f"cannot read {path}: it is {what}"):
            open_source(str(path))


# ---- Which source


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("rtsp://127.0.0.1/x", {}, "rtsp://127.0.0.1/x is an address, and streams of a network"),
        ("missing.mp4", {}, "there is no source missing.mp4; check the name"),
        ("/dev/video987", {}, "there is no source /dev/video987; it may be unplugged"),
        ("987", {}, "there is no source /dev/video987; it may be unplugged"),
        (".", {"size": (320, 240)}, "--size applies to cameras"),
        ("auto", {"loop": True}, "a camera has no end"),
    ],
)
def test_what_cannot_be_opened_is_one_line(text: str, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_source(text, **options)


# ---- The Pi's camera


class FakeRequest:
    def __init__(self, camera: FakePicamera2) -> None:
        self._camera = camera
        camera.out += 1

    def make_array(self, name: str) -> np.ndarray:
        assert name == "main"
        width, height = self._camera.main["size"]
        photo = np.zeros((height, width, 3), np.uint8)
        # libcamera's BGR888 lies in memory as R, G, B, and its RGB888 as B, G, R.
        photo[..., 0 if self._camera.main["format"] == "BGR888" else 2] = 200
        return photo

    def release(self) -> None:
        self._camera.out -= 1


class FakePicamera2:
    """What `bench_depth.live` uses of picamera2 0.3, as its manual tells it. It shows red."""

    cameras = ({"Model": "imx708", "Num": 0, "Id": "/base/soc/i2c0mux/imx708"},)
    busy = False
    made: list[FakePicamera2]

    def __init__(self) -> None:
        if self.busy:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.state = "open"
        self.out = 0
        self.made.append(self)

    @classmethod
    def global_camera_info(cls) -> list[dict]:
        return list(cls.cameras)

    def create_video_configuration(self, main: dict) -> dict:
        return {"main": main}

    def configure(self, config: dict) -> None:
        self.main = config["main"]

    def start(self) -> None:
        self.state = "started"

    def capture_request(self) -> FakeRequest:
        assert self.state == "started"
        assert self.out == 0, "a buffer is still held"
        return FakeRequest(self)

    def stop(self) -> None:
        self.state = "stopped"

    def close(self) -> None:
        assert self.state != "started"
        self.state = "closed"


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[FakePicamera2]:
    class Fake(FakePicamera2):
        made: ClassVar[list] = []

    module = types.ModuleType("picamera2")
    module.Picamera2 = Fake
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return Fake


@pytest.mark.parametrize("text", ["picamera2", "auto"])
def test_the_pis_camera(picamera2: type[FakePicamera2], text: str) -> None:
    source = open_source(text, (320, 240))
    assert source.name == "picamera2 (imx708)"
    assert source.interval is None
    assert names(source, 3) == ["000000", "000001", "000002"]
    photo = source.take()
    assert photo.shape == (240, 320, 3)
    assert tuple(photo[0, 0]) == (200, 0, 0)
    source.grab()
    source.close()
    source.close()
    assert (picamera2.made[0].state, picamera2.made[0].out) == ("closed", 0)


def test_no_camera_on_the_ribbon(picamera2: type[FakePicamera2]) -> None:
    picamera2.cameras = ()
    with pytest.raises(UserError, match="finds no camera; check the ribbon cable"):
        open_source("picamera2")


def test_a_camera_that_is_in_use(picamera2: type[FakePicamera2]) -> None:
    picamera2.busy = True
    with pytest.raises(UserError, match=r"imx708.* cannot be started: .*; another program may"):
        open_source("picamera2")


def test_a_camera_that_stops_working(
    picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self) -> None:
        raise RuntimeError("Camera frontend has timed out!")

    source = open_source("picamera2")
    monkeypatch.setattr(picamera2, "capture_request", fail)
    with pytest.raises(UserError, match="stopped working: Camera frontend has timed out!"):
        source.grab()


def test_without_picamera2_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(UserError, match="apt install python3-picamera2"):
        open_source("picamera2")


@pytest.mark.parametrize("text", ["picamera2", "auto"])
def test_a_picamera2_for_another_numpy_is_not_to_be_installed_again(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(cameras, "DEVICES", tmp_path)
    changed = "numpy.dtype size changed, may indicate binary incompatibility"
    (tmp_path / "picamera2.py").write_text(f"raise ValueError({changed!r})\n")
    with pytest.raises(UserError, match=r"built for another numpy .*pip install 'numpy") as no:
        open_source(text)
    assert "apt install" not in str(no.value)


# ---- Other cameras


class FakeCapture:
    """An OpenCV capture of a device that gives `photos` green photos."""

    photos = 3
    opens = True
    made: list[FakeCapture]

    def __init__(self, path: str, backend: int) -> None:
        assert backend == cv2.CAP_V4L2
        self.path = path
        self.asked: dict[int, float] = {}
        self.released = False
        self.made.append(self)

    def isOpened(self) -> bool:  # noqa: N802
        return self.opens

    def set(self, what: int, value: float) -> bool:
        self.asked[what] = value
        return True

    def grab(self) -> bool:
        self.photos -= 1
        return self.photos >= 0

    def retrieve(self) -> tuple[bool, np.ndarray]:
        photo = np.zeros((240, 320, 3), np.uint8)
        photo[..., 0] = 50  # Blue.
        return True, photo

    def release(self) -> None:
        self.released = True


@pytest.fixture
def usb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[FakeCapture]:
    class Fake(FakeCapture):
        made: ClassVar[list] = []

    monkeypatch.setattr(cv2, "VideoCapture", Fake)
    monkeypatch.setattr(sources, "_is_device", lambda path: True)
    monkeypatch.setattr(cameras.os, "access", lambda path, mode: True)
    monkeypatch.setattr(cameras, "DEVICES", tmp_path)
    monkeypatch.setattr(cameras, "SYSFS", tmp_path / "sys")
    monkeypatch.setitem(sys.modules, "picamera2", None)
    return Fake


@pytest.mark.parametrize("text", ["/dev/video2", "2"])
def test_a_usb_camera_until_it_is_unplugged(usb: type[FakeCapture], text: str) -> None:
    source = open_source(text, (320, 240))
    assert names(source, 3) == ["000000", "000001", "000002"]
    assert tuple(source.take()[0, 0]) == (0, 0, 50)
    with pytest.raises(UserError, match="/dev/video2 stopped working: no photo came; check its"):
        source.grab()
    source.close()
    (made,) = usb.made
    assert (made.path, made.released) == ("/dev/video2", True)
    assert made.asked[cv2.CAP_PROP_FRAME_WIDTH] == 320
    assert made.asked[cv2.CAP_PROP_FRAME_HEIGHT] == 240


def test_a_device_that_gives_nothing_is_released(usb: type[FakeCapture]) -> None:
    usb.photos = 0
    with pytest.raises(UserError, match="/dev/video0 gives no photo"):
        open_source("0")
    assert usb.made[0].released


def test_a_device_that_is_no_camera(usb: type[FakeCapture]) -> None:
    usb.opens = False
    with pytest.raises(UserError, match="/dev/video0 is no camera, or another program is using"):
        open_source("0")


def test_a_device_without_permission_names_the_group(
    usb: type[FakeCapture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cameras.os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match="no permission to use /dev/video0; run: sudo usermod"):
        open_source("0")


def test_auto_takes_the_first_camera_and_leaves_codecs_alone(
    usb: type[FakeCapture], tmp_path: Path
) -> None:
    for name, driver in (("video10", "HD Webcam"), ("video2", "bcm2835-codec-decode")):
        (tmp_path / name).touch()
        (tmp_path / "sys" / name).mkdir(parents=True)
        (tmp_path / "sys" / name / "name").write_text(f"{driver}\n")
    assert open_source("auto").name == str(tmp_path / "video10")


def test_auto_without_any_camera_tells_what_it_tried(
    usb: type[FakeCapture], tmp_path: Path
) -> None:
    usb.photos = 0
    (tmp_path / "video0").touch()
    with pytest.raises(UserError, match=r"no camera found \(picamera2 .*; .*video0 gives no photo"):
        open_source("auto")

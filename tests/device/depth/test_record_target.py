"""Where a recording may be written, and what is left when its disk is full."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.core.files import PARTIAL
from bench_depth.depth.record import check_target, make_recorder
from bench_depth.depth.scale import Scale

pytestmark = pytest.mark.same_everywhere


@pytest.mark.parametrize("part", ["rgb", "depth"])
def test_what_a_killed_recording_left_half_written_is_no_recording(
    tmp_path: Path, part: str
) -> None:
    (tmp_path / part / f"{PARTIAL}0a1b2c3d").mkdir(parents=True)
    check_target(tmp_path, Scale(relative=False))
    (tmp_path / part / "0001").touch()
    with pytest.raises(UserError, match=rf"{part} is not empty; name another folder"):
        check_target(tmp_path, Scale(relative=False))


def test_a_video_ends_when_its_disk_is_nearly_full_and_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([1 << 30, 1 << 30, 1000])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free)))
    target = tmp_path / "out.avi"
    recorder = make_recorder(target, Scale(relative=False), 0.1, every=True)
    photo, depth = np.zeros((48, 64, 3), np.uint8), np.ones((48, 64), np.float32)
    recorder.write("0", photo, depth)
    recorder.write("1", photo, depth)
    with pytest.raises(UserError, match=r"the disk of .*out\.avi is full; make room there"):
        recorder.write("2", photo, depth)
    recorder.close()
    video = cv2.VideoCapture(str(target))
    assert [video.read()[0] for _ in range(3)] == [True, True, False]

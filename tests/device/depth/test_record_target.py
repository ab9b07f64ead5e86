"""Where a recording may be written."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from bench_depth.core.files import PARTIAL
from bench_depth.depth.record import check_target
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

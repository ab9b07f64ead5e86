"""Images of the tests of pretraining."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Fourteen pictures of rectangles in a folder of folders, and a depth map."""
    rng = np.random.default_rng(0)
    for index in range(14):
        folder = tmp_path / "images" / ("rgb" if index % 2 else "more")
        folder.mkdir(parents=True, exist_ok=True)
        picture = np.full((72, 96, 3), rng.integers(0, 256, 3), np.uint8)
        for _ in range(12):
            low = rng.integers(0, 80, 2).tolist()
            cv2.rectangle(picture, low, rng.integers(0, 96, 2).tolist(), rng.uniform(0, 255, 3), -1)
        assert cv2.imwrite(str(folder / f"{index:02}.png"), picture)
    (tmp_path / "images" / "depth").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "depth" / "00.png"), np.zeros((9, 9), np.uint16))
    return tmp_path / "images"

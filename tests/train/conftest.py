"""A small dataset folder and a config that trains in seconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_depth.core.dataset import write_depth
from ghostdepth_train.compress import Work
from ghostdepth_train.config import TrainConfig, load_train_config

from tests.train import making


def write_dataset(folder: Path, count: int, size: tuple[int, int] = (48, 64)) -> Path:
    """Rooms in which brightness tells the depth, so that a network can learn something."""
    rng = np.random.default_rng(count)
    (folder / "rgb").mkdir(parents=True)
    for index in range(count):
        ramp = np.linspace(rng.uniform(1, 2), rng.uniform(3, 6), size[1])
        depth = np.tile(ramp, (size[0], 1)) * 1000
        depth[:2] = 0
        grey = np.clip(255 - depth / 25 + rng.normal(0, 5, size), 0, 255)
        cv2.imwrite(str(folder / "rgb" / f"{index:03}.png"), grey[..., None].repeat(3, axis=2))
        write_depth(folder / "depth" / f"{index:03}.png", depth)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "data" / "train", 10)
    write_dataset(tmp_path / "data" / "val", 3)
    return tmp_path / "data"


@pytest.fixture
def config() -> TrainConfig:
    return making.short_config({"epochs": 3, "batch_size": 4})


@pytest.fixture
def tiny_config() -> TrainConfig:
    """`tiny` with all its blocks, where their number counts."""
    return load_train_config("tiny", {"epochs": 3, "batch_size": 4})


@pytest.fixture
def work(data: Path, tmp_path: Path) -> Work:
    return making.work(data, tmp_path / "work")

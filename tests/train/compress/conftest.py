"""The checkpoint that masked training starts from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ghostdepth_train.models.network import DepthNet

from tests.train.making import SMALL


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    torch.manual_seed(3)
    network = DepthNet(SMALL)
    save_checkpoint(tmp_path / "c", network, name="c", training_data="t", metrics={})
    return load_checkpoint(tmp_path / "c")

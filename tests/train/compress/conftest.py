"""The checkpoint that masked training starts from."""

from __future__ import annotations

from pathlib import Path

import pytest
from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint

from tests.train.making import saved


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return load_checkpoint(saved(tmp_path / "c", seed=3, training_data="t"))

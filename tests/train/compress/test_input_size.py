"""The method `input_size`: the same weights, another size of the network's input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ghostdepth_train.compress import Work, compress
from ghostdepth_train.compress.methods import method_config
from ghostdepth_train.models.summary import layer_costs

from tests.train.making import SMALL, random_network


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    save_checkpoint(tmp_path, random_network(SMALL), name="n", training_data="", metrics={})
    return load_checkpoint(tmp_path)


def size(height: int, width: int) -> dict[str, object]:
    return {"method": "input_size", "height": height, "width": width}


def test_the_network_sees_the_same_picture_in_another_size(
    checkpoint: Checkpoint, work: Work
) -> None:
    larger = compress(checkpoint, method_config(size(64, 128), ""), work).network
    assert larger.config.input_size == (64, 128)
    picture = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (1, 3, 64, 128))).float()
    with torch.no_grad():
        # A network of convolutions takes any size.
        torch.testing.assert_close(larger(picture), checkpoint.network(picture))
    macs = [sum(row.macs for row in layer_costs(n)) for n in (checkpoint.network, larger)]
    assert macs[1] == pytest.approx(4 * macs[0], rel=0.01)


@pytest.mark.parametrize(
    ("height", "width", "message"),
    [(16, 64, "height"), (64, 10**6, "width"), (0, 0, "height")],
)
def test_a_size_that_no_network_has_is_one_clear_line_before_the_first_step(
    height: int, width: int, message: str
) -> None:
    with pytest.raises(UserError, match=f"input_size: {message}: Input should be"):
        method_config(size(height, width), "a recipe, step 5")

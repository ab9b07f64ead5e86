"""The methods `input_size` and `border`: the same weights, another size of the picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ghostdepth_train.compress import Work, compress
from ghostdepth_train.compress.method import Method
from ghostdepth_train.compress.methods import method_config
from ghostdepth_train.models.network import decode_depth
from ghostdepth_train.models.summary import layer_costs
from torch.nn import functional as F

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


def border(rows: int, columns: int) -> Method:
    return method_config({"method": "border", "rows": rows, "columns": columns}, "")


@pytest.mark.parametrize("encoding", ["log", "inverse"])
def test_a_border_makes_the_picture_smaller_and_what_is_seen_no_farther(
    checkpoint: Checkpoint, work: Work, tmp_path: Path, encoding: str
) -> None:
    changes = {"depth_encoding": encoding, "input_height": 64, "input_width": 96}
    network = random_network(SMALL.model_copy(update=changes))
    save_checkpoint(tmp_path / "n", network, name="n", training_data="", metrics={})
    start = load_checkpoint(tmp_path / "n")
    height, width = start.config.input_size
    inner = compress(start, border(8, 16), work).network
    assert inner.config.input_size == (height - 16, width - 32)
    macs = [sum(row.macs for row in layer_costs(n)) for n in (start.network, inner)]
    assert macs[0] == macs[1]
    x = torch.randn(1, 3, *inner.config.input_size)
    with torch.no_grad():
        around = start.network(F.pad(x, (16, 16, 8, 8), mode="reflect"))
        seen = decode_depth(around, start.config)[:, :, 1:-1, 2:-2]
        found = decode_depth(inner(x), inner.config)
    smaller = ((height - 16) / height * (width - 32) / width) ** 0.5
    known = (seen > 0.35) & (seen < 10)
    assert known.any()
    torch.testing.assert_close(found[known], seen[known] * smaller)
    back = compress(dataclasses.replace(start, network=inner), border(0, 0), work).network
    assert back.config == start.config
    torch.testing.assert_close(back.head.bias, start.network.head.bias)


@pytest.mark.parametrize("rows", [3, 24])
def test_a_border_that_no_network_has_is_one_clear_line(
    checkpoint: Checkpoint, work: Work, rows: int
) -> None:
    with pytest.raises(UserError, match=r"^border: .*(multiple of|input_height)"):
        compress(checkpoint, border(rows, 0), work)

"""Packed weights come back to the bit, are small, and are refused when damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import (
    load_checkpoint,
    read_tensors,
    save_checkpoint,
    write_tensors,
)
from ghostdepth_train.config import load_train_config
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.packed_weights import pack, stored_bytes, unpack
from ghostdepth_train.pruning.masks import weights
from torch import Tensor


def same_bits(a: Tensor, b: Tensor) -> bool:
    whole = {2: torch.int16, 4: torch.int32, 8: torch.int64}[a.itemsize]
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.view(whole), b.view(whole))


def sparse_tensor(dtype: torch.dtype, zeros: float) -> Tensor:
    torch.manual_seed(0)
    x = torch.randn(7, 3, 3, 3)
    return torch.where(torch.rand(x.shape) < zeros, 0.0, x).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.9, 1.0])
def test_round_trip_is_exact(dtype: torch.dtype, zeros: float) -> None:
    tensors = {"w": sparse_tensor(dtype, zeros), "bias": torch.zeros(5)}
    back = unpack(*pack(tensors), "file")
    assert back.keys() == tensors.keys()
    assert all(same_bits(back[key], value) for key, value in tensors.items())


def test_negative_zero_nan_and_denormals_survive() -> None:
    odd = torch.zeros(10, 10)
    odd[0, :4] = torch.tensor([-0.0, float("nan"), 1e-45, float("-inf")])
    packed, note = pack({"w": odd})
    assert set(packed) == {"w.bitmap", "w.values"}
    assert same_bits(unpack(packed, note, "file")["w"], odd)


def test_the_layout_is_the_documented_one() -> None:
    w = torch.zeros(2, 50)
    w[0, 0], w[0, 9], w[1, 49] = 1.0, 2.0, 3.0
    packed, note = pack({"w": w})
    assert note == {"sparse": {"w": [2, 50]}}
    assert packed["w.values"].tolist() == [1.0, 2.0, 3.0]
    assert packed["w.bitmap"].tolist() == [0b10000000, 0b01000000] + [0] * 10 + [0b00010000]


def test_dense_weights_biases_and_counters_stay_as_they_are() -> None:
    tensors = {"w": torch.ones(4, 4), "b": torch.zeros(99), "n": torch.zeros(9, 9).long()}
    packed, note = pack(tensors)
    assert note is None
    assert packed.keys() == tensors.keys()


@pytest.fixture
def pruned() -> DepthNet:
    torch.manual_seed(0)
    network = DepthNet(load_train_config("tiny").network)
    with torch.no_grad():
        for weight in weights(network).values():
            weight.masked_fill_(torch.rand(weight.shape) < 0.9, 0.0)
    return network


@pytest.mark.parametrize("half", [False, True])
def test_a_sparse_checkpoint_is_small_and_loads_the_same(
    tmp_path: Path, pruned: DepthNet, half: bool
) -> None:
    save_checkpoint(tmp_path, pruned, name="n", training_data="", metrics={}, half=half)
    loaded = load_checkpoint(tmp_path).network.state_dict()
    for key, value in pruned.state_dict().items():
        expected = value.half().float() if half and value.ndim > 1 else value
        assert torch.equal(loaded[key], expected), key
    number = sum(w.numel() for w in weights(pruned).values())
    values, bitmap = 0.1 * number * (2 if half else 4), number / 8
    with torch.no_grad():
        for weight in weights(pruned).values():
            weight.fill_(1.0)
    save_checkpoint(tmp_path / "dense", pruned, name="n", training_data="", metrics={}, half=half)
    size = (tmp_path / "model.safetensors").stat().st_size
    dense = (tmp_path / "dense" / "model.safetensors").stat().st_size
    saved = number * (2 if half else 4) - values - bitmap
    assert dense - size == pytest.approx(saved, rel=0.1)  # the header grows a little


def test_stored_bytes_is_the_size_of_the_file(tmp_path: Path, pruned: DepthNet) -> None:
    save_checkpoint(tmp_path, pruned, name="n", training_data="", metrics={})
    assert stored_bytes(pruned.state_dict()) == (tmp_path / "model.safetensors").stat().st_size


def drop_values(tensors: dict[str, Tensor]) -> None:
    del tensors["conv.weight.values"]


def shorten_values(tensors: dict[str, Tensor]) -> None:
    tensors["conv.weight.values"] = tensors["conv.weight.values"][:-1]


def shorten_bitmap(tensors: dict[str, Tensor]) -> None:
    tensors["conv.weight.bitmap"] = tensors["conv.weight.bitmap"][:-1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_values, r"lacks tensor 'conv\.weight\.values'"),
        (shorten_values, "does not fit its bitmap"),
        (shorten_bitmap, r"bitmap does not fit \[8, 8\]"),
    ],
)
def test_damaged_parts_are_named(
    tmp_path: Path, damage: Callable[[dict[str, Tensor]], None], message: str
) -> None:
    tensors, note = pack({"conv.weight": torch.eye(8)})
    damage(tensors)
    path = tmp_path / "model.safetensors"
    write_tensors(path, tensors, note)
    with pytest.raises(UserError, match=rf"model\.safetensors.*{message}"):
        unpack(*read_tensors(path), str(path))

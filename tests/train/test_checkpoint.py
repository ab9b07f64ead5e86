"""Checkpoint folders: round trip, and the ways in which they are broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import (
    load_checkpoint,
    read_tensors,
    read_validation,
    save_checkpoint,
    write_tensors,
)
from ghostdepth_train.config import NetworkConfig, load_train_config
from ghostdepth_train.models.network import DepthNet
from safetensors.torch import save_file

WIDE = {"kernel": 5, "mid": 8192, "out": 8192}
HEADS = {"heads": 64, "head_channels": 512}


@pytest.fixture
def network() -> DepthNet:
    return DepthNet(load_train_config("tiny").network)


@pytest.fixture
def folder(tmp_path: Path, network: DepthNet) -> Path:
    save_checkpoint(tmp_path / "c", network, name="n", training_data="t", metrics={"si_rmse": 0.2})
    return tmp_path / "c"


@torch.no_grad()
def test_round_trip_gives_the_same_network(folder: Path, network: DepthNet) -> None:
    loaded = load_checkpoint(folder)
    x = torch.randn(1, 3, 64, 96)
    torch.testing.assert_close(loaded.network(x), network.eval()(x), rtol=0, atol=0)
    assert (loaded.name, loaded.training_data) == ("n", "t")
    assert loaded.metrics == {"si_rmse": 0.2}
    assert len(loaded.sha256) == 64


def test_hand_pruned_widths_load(folder: Path) -> None:
    value = json.loads((folder / "config.json").read_text())["network"]
    value["encoder"]["stages"][3][0]["mid"] = 12
    value["encoder"]["stages"][3][0]["se"] = 4
    pruned = DepthNet(NetworkConfig.model_validate(value))
    save_checkpoint(folder, pruned, name="p", training_data="", metrics={})
    assert load_checkpoint(folder).config.encoder.stages[3][0].mid == 12


def test_truncated_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"model\.safetensors.*truncated"):
        load_checkpoint(folder)


def test_nan_weights(folder: Path, network: DepthNet) -> None:
    with torch.no_grad():
        network.head.weight[0, 0, 0, 0] = float("nan")
    save_checkpoint(folder, network, name="n", training_data="", metrics={})
    with pytest.raises(UserError, match=r"head\.weight holds NaN"):
        load_checkpoint(folder)


def test_weights_of_another_network(folder: Path) -> None:
    path = folder / "config.json"
    value = json.loads(path.read_text())
    value["network"]["encoder"]["stages"][3][0]["mid"] += 4
    path.write_text(json.dumps(value))
    with pytest.raises(UserError, match=r"the config says"):
        load_checkpoint(folder)


def test_truncated_config(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(UserError, match=r"config\.json: it is not valid JSON"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"name": "../../x"}, "name is '../../x', which is no plain file name"),
        ({"name": ["x"]}, "name must be str"),
        ({"name": "x\033[2J"}, r"name is 'x\\x1b\[2J'"),
        ({"training_data": 3}, "training_data must be str"),
        ({"network": []}, "Input should be a valid dictionary"),
    ],
)
def test_a_config_that_is_not_ours(folder: Path, change: dict[str, Any], line: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=line):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("note", "line"),
    [
        ("no JSON", "the note in the header .* not valid JSON"),
        ("[" * 100_000, "nested deeper"),
        ('{"sparse": [1]}', "no list of shapes"),
        ('{"sparse": {"head.weight": [1, "2"]}}', "no list of shapes"),
        ('{"sparse": {"head.weight": [1000000000, 1000000000]}}', "lacks tensor"),
    ],
)
def test_a_note_that_is_not_ours(folder: Path, note: str, line: str) -> None:
    weights, _ = read_tensors(folder / "model.safetensors")
    save_file(weights, folder / "model.safetensors", {"note": note})
    with pytest.raises(UserError, match=line):
        load_checkpoint(folder)


# All types of safetensors that torch has.
TYPES = "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float8_e4m3fn float8_e5m2 complex64"


@pytest.mark.parametrize(
    ("kind", "packed"),
    [*((kind, False) for kind in TYPES.split()), ("uint8", True), ("float8_e5m2", True)],
)
def test_weights_of_types_that_no_network_has(folder: Path, kind: str, packed: bool) -> None:
    weights, note = read_tensors(folder / "model.safetensors")
    other = weights.pop("head.weight").to(getattr(torch, kind))
    weights |= {"head.weight": other}
    if packed:
        bits = torch.full(((other.numel() + 7) // 8,), 255, dtype=torch.uint8)
        weights |= {"head.weight.bitmap": bits, "head.weight.values": weights.pop("head.weight")}
        note = {"sparse": {"head.weight": list(other.shape)}}
        weights["head.weight.values"] = other.flatten()
    write_tensors(folder / "model.safetensors", weights, note)
    with pytest.raises(UserError, match=r"head\.weight.* (is|are) \w+"):
        load_checkpoint(folder)


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float64"])
def test_weights_of_other_floating_point_types(folder: Path, kind: str) -> None:
    weights, note = read_tensors(folder / "model.safetensors")
    weights["head.weight"] = weights["head.weight"].to(getattr(torch, kind))
    write_tensors(folder / "model.safetensors", weights, note)
    load_checkpoint(folder)
    weights["head.weight"] = weights["head.weight"].double() * 0 + 1e300
    write_tensors(folder / "model.safetensors", weights, note)
    with pytest.raises(UserError, match="NaN or infinity"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": {"stem": 8192, "stages": [[WIDE | {"stride": 2}]] * 4 + [[WIDE] * 64] * 60}},
        {"decoder": {"widths": [8192], "attention": [{"stride": 16, **HEADS}] * 8}},
    ],
)
def test_a_network_beyond_the_memory_is_not_built(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "config.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"network": value["network"] | change}))
    with pytest.raises(UserError, match="million weights; at most 500 million are built"):
        load_checkpoint(folder)


def test_the_bound_of_the_weights_holds() -> None:
    from ghostdepth_train.config.network import _weights

    for dfc in (False, True):
        value = {"encoder": {"width_multiplier": 1.0, "dfc": dfc}, "decoder": {"widths": [96, 48]}}
        config = NetworkConfig.model_validate(value)
        weights = sum(p.numel() for p in DepthNet(config).parameters())
        assert 0.8 * weights < _weights(config) < 3 * weights


def test_metrics_that_are_not_finite_are_kept(folder: Path) -> None:
    network = load_checkpoint(folder).network
    metrics = {"loss": float("nan"), "best": float("inf")}
    save_checkpoint(folder, network, name="n", training_data="", metrics=metrics)
    assert load_checkpoint(folder).metrics == {"loss": "NaN", "best": "Infinity"}


def test_the_runs_folder_instead_of_its_checkpoint(folder: Path) -> None:
    folder.rename(folder.parent / "best")
    with pytest.raises(UserError, match=r"did you mean .*best"):
        load_checkpoint(folder.parent)


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        [],
        {"validation": None},
        {"validation": [1.0]},
        {"validation": {"si_rmse": 0.2, "rmse": 0.5}},
        {"validation": {"si_rmse": "low", "rmse": 0.5, "delta_1": 0.7}},
    ],
)
def test_metrics_without_a_validation_are_refused_by_file(tmp_path: Path, metrics: object) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(UserError, match=r"metrics\.json"):
        read_validation(tmp_path)

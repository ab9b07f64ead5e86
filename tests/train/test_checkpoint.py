"""Checkpoint folders: round trip, and the ways in which they are broken."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import load_checkpoint, load_imagenet, save_checkpoint
from ghostdepth_train.config import EncoderConfig, load_train_config
from ghostdepth_train.models.ghostnet import GhostNet
from ghostdepth_train.models.network import DepthNet


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
    from ghostdepth_train.config import NetworkConfig

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


def test_the_runs_folder_instead_of_its_checkpoint(folder: Path) -> None:
    folder.rename(folder.parent / "best")
    with pytest.raises(UserError, match=r"did you mean .*best"):
        load_checkpoint(folder.parent)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_imagenet_weights_reach_the_encoder(tmp_path: Path, suffix: str) -> None:
    from ghostdepth_train.checkpoint import write_tensors

    donor = GhostNet(EncoderConfig.model_validate({"width_multiplier": 0.25}))
    path = tmp_path / f"ghostnet{suffix}"
    if suffix == ".pth":
        torch.save(donor.state_dict(), path)
    else:
        write_tensors(path, donor.state_dict())
    network = DepthNet(load_train_config("tiny").network)
    load_imagenet(network, str(path))
    for key, value in network.encoder.state_dict().items():
        torch.testing.assert_close(value, donor.state_dict()[key])


def test_imagenet_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.pth"
    torch.save(GhostNet(EncoderConfig.model_validate({"width_multiplier": 0.5})).state_dict(), path)
    with pytest.raises(UserError, match="the config says"):
        load_imagenet(DepthNet(load_train_config("tiny").network), str(path))


def test_imagenet_weights_by_name_come_from_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    donor = GhostNet(EncoderConfig.model_validate({"width_multiplier": 0.25}))
    asked = []

    def create_model(name: str, *, pretrained: bool) -> GhostNet:
        asked.append((name, pretrained))
        return donor

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    network = DepthNet(load_train_config("tiny").network)
    load_imagenet(network, "ghostnet_025")
    assert asked == [("ghostnet_025", True)]
    torch.testing.assert_close(
        network.encoder.state_dict()["conv_stem.weight"], donor.state_dict()["conv_stem.weight"]
    )


@pytest.mark.parametrize("source", ["ghostnet_100", "missing.pth", "missing.safetensors"])
def test_imagenet_weights_out_of_reach(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=source):
        load_imagenet(DepthNet(load_train_config("tiny").network), source)

"""ImageNet weights for the encoder: of files as trainings write them, and of timm."""

from __future__ import annotations

import argparse
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import write_tensors
from ghostdepth_train.config import EncoderConfig, NetworkConfig, load_train_config
from ghostdepth_train.initial_weights import load_imagenet
from ghostdepth_train.models.network import DepthNet

from tests.train.models.classifier import GhostNet


def test_ghostnetv2_weights_of_a_file_reach_the_encoder(tmp_path: Path) -> None:
    encoder = {"width_multiplier": 0.25, "dfc": True}
    donor = GhostNet(EncoderConfig.model_validate(encoder))
    path = tmp_path / "ghostnetv2.safetensors"
    write_tensors(path, donor.state_dict())
    value = load_train_config("tiny").network.model_dump() | {"encoder": encoder}
    network = DepthNet(NetworkConfig.model_validate(value))
    load_imagenet(network, str(path))
    for key, tensor in network.encoder.state_dict().items():
        torch.testing.assert_close(tensor, donor.state_dict()[key])
    without = DepthNet(NetworkConfig.model_validate(value | {"encoder": encoder | {"dfc": False}}))
    with pytest.raises(UserError, match="GhostNetV2's, with attention that the encoder lacks"):
        load_imagenet(without, str(path))


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.model."])
@pytest.mark.parametrize("wrappers", [(), ("state_dict",), ("model",), ("model", "state_dict")])
def test_imagenet_weights_as_trainings_write_them(
    tmp_path: Path, prefix: str, wrappers: tuple[str, ...]
) -> None:
    donor = GhostNet(EncoderConfig.model_validate({"width_multiplier": 0.25}))
    value: dict[str, object] = {prefix + key: each for key, each in donor.state_dict().items()}
    for name in wrappers:
        value = {"epoch": 90, "args": argparse.Namespace(lr=0.1), "optimizer": {}, name: value}
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(value, path)
    network = DepthNet(load_train_config("tiny").network)
    load_imagenet(network, str(path))
    for key, each in network.encoder.state_dict().items():
        torch.testing.assert_close(each, donor.state_dict()[key])


@pytest.mark.parametrize("value", [[1, 2], {"state_dict": {}}, {"a": {"b": torch.ones(1)}}, 3.0])
def test_a_file_without_the_encoders_weights_is_one_line(tmp_path: Path, value: object) -> None:
    path = tmp_path / "x.pth"
    torch.save(value, path)
    with pytest.raises(UserError, match=r"x\.pth"):
        load_imagenet(DepthNet(load_train_config("tiny").network), str(path))


@pytest.mark.parametrize(
    "data",
    [b"", b"junk", pickle.dumps({"a": Path("a")}), pickle.dumps(print), b"\x80\x02}."[:2]],
    ids=["empty", "junk", "object", "function", "cut"],
)
def test_a_file_that_is_not_weights_alone_is_refused_without_advice_to_run_it(
    data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.pth").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.pth: it is damaged, or holds Python objects") as error:
        load_imagenet(DepthNet(load_train_config("tiny").network), str(tmp_path / "a.pth"))
    assert "weights_only" not in str(error.value)


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

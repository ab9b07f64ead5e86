"""The encoder against timm: golden figures always, timm itself where it imports."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from ghostdepth_train.config import EncoderConfig
from ghostdepth_train.models.ghostnet import SameConv2d

from tests.train.models.classifier import GhostNet

# Made with timm 1.0.31 and torch 2.13.0 on CPU by the rule in `reproducible_weights`.
GOLDEN = json.loads((Path(__file__).parent / "golden" / "ghostnet_timm.json").read_text())
WIDTHS = {"ghostnet_050": 0.5, "ghostnet_100": 1.0, "ghostnet_130": 1.3, "ghostnetv2_100": 1.0}


def reproducible_weights(model: torch.nn.Module) -> None:
    """Fills every tensor from its name, so that two implementations get the same weights."""
    for key, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        a = rng.standard_normal(tuple(tensor.shape))
        if key.endswith("running_var"):
            a = 0.5 + np.abs(a)
        elif key.endswith("running_mean"):
            a = 0.1 * a
        elif a.ndim == 1 and key.endswith("weight"):
            a = 1 + 0.1 * a
        elif a.ndim == 1:
            a = 0.1 * a
        else:
            a = a * np.sqrt(1 / np.prod(tensor.shape[1:]))
        tensor.copy_(torch.from_numpy(a.astype(np.float32)))


def ghostnet(name: str) -> GhostNet:
    config = EncoderConfig.model_validate(
        {"width_multiplier": WIDTHS[name], "padding": "symmetric", "dfc": "v2" in name}
    )
    return GhostNet(config).eval()


def picture() -> torch.Tensor:
    x = np.random.default_rng(0).standard_normal((1, 3, 96, 128)).astype(np.float32)
    return torch.from_numpy(x)


@pytest.mark.parametrize("name", WIDTHS)
def test_state_dict_has_timms_keys_and_shapes_in_timms_order(name: str) -> None:
    own = {key: list(value.shape) for key, value in ghostnet(name).state_dict().items()}
    assert list(own.items()) == list(GOLDEN[name]["state_dict"].items())


@pytest.mark.parametrize("name", WIDTHS)
@torch.no_grad()
def test_outputs_equal_timms(name: str) -> None:
    model = ghostnet(name)
    reproducible_weights(model)
    for kind, output in (
        ("logits", model.logits(picture())),
        ("forward_features", model.forward_features(picture())),
    ):
        golden = GOLDEN[name][kind]
        flat = output.flatten().numpy()
        assert list(output.shape) == golden["shape"]
        scale = float(np.abs(flat).max())
        np.testing.assert_allclose(flat[:16], golden["first16"], atol=1e-4 * scale, rtol=1e-4)
        np.testing.assert_allclose(flat[::997], golden["every997th"], atol=1e-4 * scale, rtol=1e-4)
        assert flat.mean() == pytest.approx(golden["mean"], abs=1e-4 * scale)
        assert flat.std(ddof=1) == pytest.approx(golden["std"], rel=1e-4)


@pytest.mark.parametrize("name", WIDTHS)
@torch.no_grad()
def test_equals_timm_itself(name: str) -> None:
    try:
        import timm
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"timm does not import here: {error}")
    theirs, own = timm.create_model(name, pretrained=False).eval(), ghostnet(name)
    own.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(own.logits(picture()), theirs(picture()), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_encoder_features_are_the_classifiers_intermediate_blocks() -> None:
    model = ghostnet("ghostnet_050")
    features = model(picture())
    assert [f.shape[1] for f in features] == model.channels
    assert [96 // f.shape[2] for f in features] == [2, 4, 8, 16, 32]
    head = model.blocks[-1](features[-1])
    torch.testing.assert_close(torch.relu(head), model.forward_features(picture()))


@pytest.mark.parametrize("size", [31, 32, 33])
@pytest.mark.parametrize("kernel", [3, 5])
@torch.no_grad()
def test_same_padding_is_tensorflows(size: int, kernel: int) -> None:
    tf = pytest.importorskip("tensorflow")
    layer = SameConv2d(4, 6, kernel, 2, kernel // 2, bias=False)
    x = torch.randn(1, 4, size, size + 2)
    theirs = tf.nn.conv2d(
        x.permute(0, 2, 3, 1).numpy(), layer.weight.permute(2, 3, 1, 0).numpy(), 2, "SAME"
    )
    own = layer(x).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(own, theirs.numpy(), atol=1e-5)

"""The border: the picture's mirror image around it, which the encoder sees and nobody else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.config import NetworkConfig, load_train_config, parse_config
from ghostdepth_train.models.network import CameraNet, CameraTrunk, DepthNet, resize, surround
from ghostdepth_train.models.network import without_border as inner
from ghostdepth_train.quantization.tracing import trace
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

ROWS, COLUMNS = 8, 4


def bordered(**changes: object) -> DepthNet:
    """A random network of 48x56 pixels within 64x64."""
    value = load_train_config("tiny").network.model_dump()
    value |= {"border": (ROWS, COLUMNS), "input_height": 48, "input_width": 56} | changes
    torch.manual_seed(0)
    network = DepthNet(parse_config(NetworkConfig, value, "test")).eval()
    nn.init.normal_(network.head.weight, std=0.1)
    return network


def picture(network: DepthNet) -> Tensor:
    size = (2, 3, *network.config.input_size)
    return torch.randn(size, generator=torch.Generator().manual_seed(1))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_border_is_what_numpy_and_torch_call_reflect(data: st.DataObject) -> None:
    height, width = (data.draw(st.integers(1, 9)) for _ in range(2))
    rows, columns = (data.draw(st.integers(0, side - 1)) for side in (height, width))
    x = torch.arange(2.0 * height * width).view(1, 2, height, width)
    found = surround(x, (rows, columns))
    pads = [(0, 0), (0, 0), (rows, rows), (columns, columns)]
    np.testing.assert_array_equal(found, np.pad(x.numpy(), pads, mode="reflect"))
    torch.testing.assert_close(found, F.pad(x, (columns, columns, rows, rows), mode="reflect"))
    torch.testing.assert_close(inner(found, (rows, columns), 1), x)


@pytest.mark.parametrize("decoder", [{"widths": [16, 8, 8]}, {"widths": [16, 8], "upsample": 4}])
@torch.no_grad()
def test_the_depth_is_the_middle_of_what_the_same_weights_see_in_the_larger_picture(
    decoder: dict[str, object],
) -> None:
    network = bordered(decoder=decoder)
    plain = bordered(decoder=decoder, border=(0, 0))
    plain.load_state_dict(network.state_dict())
    x, stride = picture(network), network.config.decoder.output_stride
    whole = plain(F.pad(x, (COLUMNS, COLUMNS, ROWS, ROWS), mode="reflect"))
    top, left = ROWS // stride, COLUMNS // stride
    found = network(x)
    torch.testing.assert_close(found, whole[:, :, top:-top, left:-left])
    assert found.shape[2:] == (48 // stride, 56 // stride)


@torch.no_grad()
def test_the_camera_sees_what_training_does() -> None:
    network = bordered()
    rgb = torch.rand(1, 96, 112, 3) * 255
    config = network.config
    small = resize(rgb.permute(0, 3, 1, 2), *config.input_size) / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (config.mean, config.std))
    metres = network((small - mean) / std).clamp(np.log(0.3), np.log(12)).exp()
    found = CameraNet(network, 24, 28)(rgb)[..., 0]
    torch.testing.assert_close(found, resize(metres, 24, 28)[:, 0], rtol=1e-4, atol=1e-4)


def test_normalisation_stays_within_the_first_convolution() -> None:
    aten, counts = torch.ops.aten, []
    for network in (bordered(), bordered(border=(0, 0))):
        graph = trace(CameraTrunk(network), (1, 96, 112, 3))
        counts.append([len(list(graph.calls(op))) for op in (aten.mul.Tensor, aten.add.Tensor)])
    assert counts[0] == counts[1]


@torch.no_grad()
def test_a_clip_is_its_frames_step_by_step() -> None:
    stream = {"kind": "minimal", "channels": 6}
    decoder = load_train_config("tiny").network.decoder.model_dump() | {"stream": stream}
    network = bordered(decoder=decoder)
    clip = torch.stack([picture(network), -picture(network)], 1)
    found = network(clip, truncate=2)
    assert network.state_shape == (6, 4, 4)
    state = torch.zeros(2, *network.state_shape)
    for index in range(2):
        encoded, state = network.step(clip[:, index], state)
        torch.testing.assert_close(found[:, index], encoded)


@pytest.mark.parametrize(("border", "side"), [((3, 0), 48), ((0, 56), 56), ((-4, 0), 48)])
def test_a_border_that_no_picture_has_is_one_clear_line(border: tuple[int, int], side: int) -> None:
    value = bordered().config.model_dump() | {"border": border}
    with pytest.raises(UserError, match=rf"multiple of 4.*less than the input's {side}|border\.0"):
        parse_config(NetworkConfig, value, "config")

"""The depth network: shapes, gradients, encodings, costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.config import (
    DecoderConfig,
    NetworkConfig,
    config_names,
    load_train_config,
    parse_config,
)
from ghostdepth_train.models.network import CameraNet, DepthNet, decode_depth, log_depth
from ghostdepth_train.models.summary import layer_costs


def network_config(**changes: object) -> NetworkConfig:
    return load_train_config("tiny").network.model_copy(update=changes)


@pytest.mark.parametrize("name", config_names())
def test_every_config_builds_and_a_gradient_reaches_every_parameter(name: str) -> None:
    # The teacher's blocks are left out at random (stochastic depth): here of no picture at once.
    torch.manual_seed(0)
    config = load_train_config(name).network
    network = DepthNet(config)
    x = torch.randn(2, 3, *config.input_size)
    out = network(x)
    stride = config.decoder.output_stride
    assert out.shape == (2, 1, config.input_height // stride, config.input_width // stride)
    out.square().mean().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # The last batch norm before a sum may start at a zero gradient only by accident: none may.
    assert without == []


@pytest.mark.parametrize("widths", [(16,), (16, 8), (16, 8, 8), (16, 8, 8, 4)])
@torch.no_grad()
def test_decoder_length_decides_the_output_stride(widths: tuple[int, ...]) -> None:
    decoder = load_train_config("tiny").network.decoder.model_copy(update={"widths": widths})
    network = DepthNet(network_config(decoder=decoder)).eval()
    assert network(torch.zeros(1, 3, 64, 96)).shape[2] == 64 // decoder.output_stride


def test_the_head_gives_the_pixels_of_each_position_row_by_row() -> None:
    decoder = DecoderConfig(widths=(16, 8), upsample=2)
    network = DepthNet(network_config(decoder=decoder)).eval()
    network.head.weight.data.zero_()
    network.head.bias.data[:] = torch.arange(4.0)
    depth = network(torch.zeros(1, 3, 64, 96))
    assert depth.shape == (1, 1, 16, 24) and decoder.output_stride == 4
    torch.testing.assert_close(depth[0, 0, :2, :4], torch.tensor([[0, 1, 0, 1.0], [2, 3, 2, 3]]))


@torch.no_grad()
def test_odd_input_sizes_work() -> None:
    network = DepthNet(network_config(input_height=120, input_width=161)).eval()
    depth = CameraNet(network, 240, 321)(torch.rand(1, 240, 321, 3) * 255)
    assert depth.shape == (1, 240, 321, 1)


@pytest.mark.parametrize("encoding", ["log", "inverse"])
def test_encodings_agree_inside_the_range_and_clamp_outside(encoding: str) -> None:
    config = network_config(depth_encoding=encoding)
    metres = torch.tensor([0.5, 2.0, 11.0])
    encoded = metres.log() if encoding == "log" else 1 / metres
    torch.testing.assert_close(decode_depth(encoded, config), metres)
    torch.testing.assert_close(log_depth(encoded, config).exp(), metres)
    extremes = decode_depth(torch.tensor([-1e4, 1e4]), config)
    assert sorted(extremes.tolist()) == pytest.approx([config.depth_min, config.depth_max])


def test_inverse_depth_below_zero_still_has_a_finite_gradient() -> None:
    encoded = torch.tensor([-0.5, 0.0, 0.01, 1.0], requires_grad=True)
    log_depth(encoded, network_config(depth_encoding="inverse")).sum().backward()
    assert encoded.grad is not None
    assert bool(encoded.grad.isfinite().all())
    assert bool((encoded.grad < 0).all())


@torch.no_grad()
def test_camera_net_is_resize_normalise_network_decode_upsample() -> None:
    cv2 = pytest.importorskip("cv2")
    config = network_config()
    network = DepthNet(config).eval()
    rgb = (np.random.default_rng(0).random((96, 144, 3)) * 255).astype(np.float32)
    small = cv2.resize(rgb, (config.input_width, config.input_height))
    x = (small / 255 - np.array(config.mean)) / np.array(config.std)
    encoded = network(torch.from_numpy(x.astype(np.float32)).permute(2, 0, 1)[None])
    metres = np.exp(np.clip(encoded[0, 0].numpy(), np.log(0.3), np.log(12)))
    expected = cv2.resize(metres, (144, 96))
    got = CameraNet(network, 96, 144)(torch.from_numpy(rgb)[None])[0, :, :, 0].numpy()
    np.testing.assert_allclose(got, expected, rtol=2e-3)


@torch.no_grad()
def test_metres_for_another_camera_are_those_of_its_own_times_the_ratio_of_focal_lengths() -> None:
    network = DepthNet(network_config(hfov=90.0)).eval()
    rgb = torch.rand(1, 48, 64, 3) * 255
    # tan(45 degrees) = 1 and tan(30 degrees) = 1 / sqrt(3).
    narrow = CameraNet(network, 48, 64, hfov=60.0)(rgb)
    torch.testing.assert_close(narrow, CameraNet(network, 48, 64)(rgb) * 3**0.5)


def test_costs_sum_to_the_parameters_and_to_hand_counted_macs() -> None:
    config = load_train_config("ghostnet-s").network
    network = DepthNet(config)
    rows = layer_costs(network)
    assert sum(r.parameters for r in rows) == sum(p.numel() for p in network.parameters())
    by_name = {r.name: r for r in rows}
    # 3x3 stem, stride 2, 3 -> 16 channels at 64x80; depthwise 3x3 of 8 channels at 64x80.
    assert by_name["encoder.conv_stem"].macs == 64 * 80 * 16 * 27
    assert by_name["encoder.blocks.0.0.ghost1.cheap_operation.0"].macs == 64 * 80 * 8 * 9
    assert by_name["encoder.conv_stem"].activations == 16 * 64 * 80
    assert network.training, "the table must not change the network's mode"


def test_total_macs_equal_torchs_flop_counter() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    network = DepthNet(network_config()).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 64, 96))
    assert sum(r.macs for r in layer_costs(network)) == counter.get_total_flops() // 2


def test_config_round_trip_keeps_every_width() -> None:
    config = network_config()
    again = NetworkConfig.model_validate(config.model_dump(mode="json"))
    assert again == config
    assert "width_multiplier" not in str(config.model_dump())


def test_a_config_with_a_base_has_its_other_fields() -> None:
    whole, finish = load_train_config("ghostnet-s"), load_train_config("ghostnet-s-finish")
    assert finish.network == whole.network and finish.batch_size == whole.batch_size
    assert (finish.epochs, finish.augment.zoom) == (48, 1.15)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"encoder": {"width_multiplier": -1}}, "encoder"),
        ({"decoder": {"widths": []}}, "decoder.widths"),
        ({"decoder": {"widths": [8, 8, 8, 8], "upsample": 4}}, "finer than the input"),
        ({"depth_min": 20.0}, "depth_min"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], field: str) -> None:
    value = network_config().model_dump(mode="json") | change
    with pytest.raises(UserError, match=field):
        parse_config(NetworkConfig, value, "config x")


def test_unknown_config_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"unknown config .xl.*ghostnet-s, ghostnet-s-finish"):
        load_train_config("xl")

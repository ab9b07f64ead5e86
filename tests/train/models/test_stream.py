"""The recurrent cell against torch's, and the network that carries its state."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.compress.recipe import run_recipe
from ghostdepth_train.config import NetworkConfig, StreamConfig, load_train_config
from ghostdepth_train.initial_weights import start_from
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.stream import StreamCell
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.train.making import work


def as_torch_has_it(cell: StreamCell, channels: int, inner: int) -> nn.GRUCell:
    """The same cell by torch, whose update gate is the fraction of the state that stays."""
    update = (-cell.update.weight, -cell.update_state.weight, -cell.update.bias)
    reset = (cell.update.weight, cell.update_state.weight, cell.update.bias)
    if cell.reset is not None:
        reset = (cell.reset.weight, cell.reset_state.weight, cell.reset.bias)
    zero = torch.zeros(inner, dtype=torch.float64)
    other = nn.GRUCell(channels, inner).double()
    with torch.no_grad():
        of_input = (reset[0], update[0], cell.new.weight)
        of_state = (reset[1], update[1], cell.new_state.weight)
        other.weight_ih.copy_(torch.cat(of_input)[..., 0, 0])
        other.weight_hh.copy_(torch.cat(of_state)[..., 0, 0])
        other.bias_ih.copy_(torch.cat((reset[2], update[2], cell.new.bias)))
        other.bias_hh.copy_(torch.cat((zero, zero, cell.new_state.bias)))
    return other


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["gru", "minimal"]),
    st.tuples(*(st.integers(1, n) for n in (3, 5, 4, 4))),
    st.integers(2, 5),
    st.integers(0, 99),
)
def test_a_cell_of_1x1_kernels_is_torchs_gru_at_every_pixel(
    kind: str, size: tuple[int, int, int, int], inner: int, seed: int
) -> None:
    torch.manual_seed(seed)
    batch, channels, height, width = size
    cell = StreamCell(channels, StreamConfig(kind=kind, channels=inner, kernel=1)).double()
    other = as_torch_has_it(cell, channels, inner)
    state = torch.zeros(batch, inner, height, width, dtype=torch.float64)
    want = torch.zeros(batch * height * width, inner, dtype=torch.float64)
    for _ in range(3):
        x = torch.randn(*size, dtype=torch.float64)
        y, state = cell(x, state)
        want = other(x.permute(0, 2, 3, 1).reshape(-1, channels), want)
        found = state.permute(0, 2, 3, 1).reshape(-1, inner)
        torch.testing.assert_close(found, want)
        torch.testing.assert_close(y - x, cell.project(state))
    assert state.abs().max() < 1


def stream_network(kind: str = "minimal") -> DepthNet:
    """A random network whose state has an effect."""
    value = load_train_config("tiny").network.model_dump()
    value["decoder"]["stream"] = {"kind": kind, "channels": 6}
    torch.manual_seed(0)
    network = DepthNet(NetworkConfig.model_validate(value)).eval()
    assert network.stream is not None
    nn.init.normal_(network.stream.project.weight)
    nn.init.normal_(network.head.weight, std=0.1)
    return network


def frames(network: DepthNet, clips: int, count: int) -> Tensor:
    config = network.config
    generator = torch.Generator().manual_seed(1)
    size = (clips, count, 3, *config.input_size)
    return torch.randn(size, generator=generator)


@pytest.mark.parametrize("kind", ["gru", "minimal"])
@torch.no_grad()
def test_a_clip_is_its_frames_step_by_step_and_a_photo_its_first_one(kind: str) -> None:
    network = stream_network(kind)
    x = frames(network, 2, 3)
    found, states = network(x, truncate=1), []
    assert network.state_shape is not None
    state = torch.zeros(2, *network.state_shape)
    for index in range(3):
        encoded, state = network.step(x[:, index], state)
        torch.testing.assert_close(found[:, index], encoded)
        states.append(state)
    torch.testing.assert_close(network(x[:, 0]), found[:, 0])
    assert not torch.allclose(states[0], states[1])
    assert not torch.allclose(network(x[:, 1]), found[:, 1])


def test_the_gradient_goes_back_as_many_frames_as_truncate_says() -> None:
    network = stream_network()
    for truncate, reaches in ((1, False), (2, False), (3, True)):
        x = frames(network, 1, 3).requires_grad_()
        network(x, truncate)[:, 2].sum().backward()
        assert x.grad is not None
        assert bool(x.grad[:, 0].any()) == reaches, truncate
        assert bool(x.grad[:, 1].any()) == reaches, truncate


def test_a_network_starts_as_the_one_without_a_state(tmp_path: Path) -> None:
    plain = DepthNet(load_train_config("tiny").network).eval()
    folder = tmp_path / "plain"
    save_checkpoint(folder, plain, name="plain", training_data="", metrics={})
    value = plain.config.model_dump()
    value["decoder"]["stream"] = {}
    network = DepthNet(NetworkConfig.model_validate(value)).eval()
    start_from(network, folder)
    x = frames(plain, 1, 2)
    with torch.no_grad():
        torch.testing.assert_close(network(x, 1)[0], plain(x[0]))
        assert network.stream is not None and not network.stream.project.weight.any()


def test_compression_refuses_a_network_with_a_state(data: Path, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "s", stream_network(), name="s", training_data="", metrics={})
    with pytest.raises(UserError, match=r"compress works on networks that take every picture by"):
        run_recipe(tmp_path / "s", (), work(data, tmp_path / "work"))

"""Adder convolutions against the paper's formulas, spelled out one number at a time."""

from __future__ import annotations

import itertools

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.models.adder_conv import (
    AdderAdamW,
    AdderConv2d,
    adder_candidates,
    adders,
    use_adders,
)
from ghostdepth_train.models.ghostnet import conv
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.optimization import make_optimizer
from torch import Tensor, nn
from torch.nn import functional as F

SHAPES = [
    # channels, out, kernel, stride, groups, SAME?
    (5, 3, 1, 1, 1, False),
    (2, 3, 3, 1, 1, False),
    (2, 3, 3, 2, 1, True),
    (2, 3, 3, 2, 1, False),
    (3, 3, 3, 1, 3, False),
    (3, 3, 5, 2, 3, True),
    (1, 1, 3, 1, 1, False),
    (3, 40, 1, 1, 1, False),  # more filters than pixels
]


def layer(shape: tuple[int, int, int, int, int, bool]) -> tuple[AdderConv2d, Tensor, Tensor]:
    channels, out, kernel, stride, groups, same = shape
    torch.manual_seed(0)
    adder = AdderConv2d(channels, out, kernel, stride, groups, same=same).double()
    x = (1.5 * torch.randn(2, channels, 4, 3, dtype=torch.double)).requires_grad_()
    y = adder(x)
    g = torch.randn_like(y)
    y.backward(g)
    return adder, x, g


def by_loops(adder: AdderConv2d, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Output, gradient of the input and of the weights by equations 2, 5, 6 and 7."""
    k, s, weight = adder.kernel_size[0], adder.stride[0], adder.weight.detach()
    n, c, height, width = x.shape
    top = left = k // 2
    if adder.same:
        top = max((g.shape[2] - 1) * s + k - height, 0) // 2
        left = max((g.shape[3] - 1) * s + k - width, 0) // 2
    big = torch.zeros(n, c, height + 2 * k, width + 2 * k, dtype=x.dtype)
    big[:, :, top : top + height, left : left + width] = x.detach()
    y, gx, gw = torch.zeros_like(g), torch.zeros_like(big), torch.zeros_like(weight)
    for b, t, m, q in itertools.product(*map(range, g.shape)):
        for i, j, channel in itertools.product(range(k), range(k), range(weight.shape[1])):
            source = channel if adder.groups == 1 else t
            place = (b, source, m * s + i, q * s + j)
            difference = big[place] - weight[t, channel, i, j]
            y[b, t, m, q] -= difference.abs()
            gw[t, channel, i, j] += g[b, t, m, q] * difference
            gx[place] += g[b, t, m, q] * max(-1.0, min(1.0, float(-difference)))
    return y, gx[:, :, top : top + height, left : left + width], gw


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_output_and_gradients_are_the_papers(
    shape: tuple[int, int, int, int, int, bool],
) -> None:
    adder, x, g = layer(shape)
    y, gx, gw = by_loops(adder, x, g)
    torch.testing.assert_close(adder(x), y)
    torch.testing.assert_close(x.grad, gx)
    torch.testing.assert_close(adder.weight.grad, gw)


def test_a_pointwise_adder_is_the_negative_l1_distance_of_scipy() -> None:
    from scipy.spatial.distance import cdist

    torch.manual_seed(0)
    adder, x = AdderConv2d(7, 5), torch.randn(2, 7, 3, 4)
    distance = cdist(
        x.permute(0, 2, 3, 1).reshape(-1, 7), adder.weight.detach()[:, :, 0, 0], "cityblock"
    )
    expected = -torch.from_numpy(distance).float().view(2, 3, 4, 5).permute(0, 3, 1, 2)
    torch.testing.assert_close(adder(x).detach(), expected)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_an_adder_takes_a_convolutions_place(kernel: int, stride: int, padding: str) -> None:
    for groups in (1, 4):
        replaced = conv(4, 4, kernel, stride, groups, padding)
        adder = AdderConv2d.like(replaced)
        x = torch.randn(1, 4, 9, 6)
        assert adder(x).shape == replaced(x).shape
        assert adder.state_dict().keys() == replaced.state_dict().keys()
        assert adder.weight.shape == replaced.weight.shape


@pytest.mark.parametrize("inputs", [True, False])
def test_only_the_gradient_that_is_needed_is_made(inputs: bool) -> None:
    adder, x = AdderConv2d(2, 3, 3), torch.randn(1, 2, 4, 4, requires_grad=inputs)
    adder.weight.requires_grad_(not inputs)
    adder(x).sum().backward()
    assert (x.grad is not None) == inputs
    assert (adder.weight.grad is not None) == (not inputs)


def test_bfloat16_inputs_are_summed_in_float32() -> None:
    adder = AdderConv2d(300, 2)
    x = torch.randn(1, 300, 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        y = adder(x.bfloat16())
    torch.testing.assert_close(y, adder(x.bfloat16().float()))


def peak_bytes(module: nn.Module, x: Tensor) -> int:
    """The most memory that torch holds beyond `x` and the weights during one training step."""
    from torch.profiler import ProfilerActivity, profile

    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        module(x).sum().backward()
    held = itertools.accumulate(
        event.nbytes()
        for event in record.profiler.kineto_results.events()  # type: ignore[union-attr]
        if event.name() == "[memory]"
    )
    return max(held)


@pytest.mark.parametrize(
    ("channels", "out", "kernel", "groups", "size"),
    [
        (16, 8, 1, 1, (64, 80)),
        (160, 480, 1, 1, (4, 5)),
        (960, 80, 1, 1, (4, 5)),
        (16, 16, 3, 1, (32, 40)),
        (48, 48, 3, 48, (32, 40)),
    ],
)
def test_training_takes_at_most_ten_times_a_convolutions_memory(
    channels: int, out: int, kernel: int, groups: int, size: tuple[int, int]
) -> None:
    x = torch.randn(4, channels, *size).contiguous(memory_format=torch.channels_last)
    plain = conv(channels, out, kernel, groups=groups).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adder = AdderConv2d(channels, out, kernel, groups=groups)
    assert peak_bytes(adder, x) <= 10 * peak_bytes(plain, x)


def test_the_memory_test_notices_an_unfold() -> None:
    class Unfolded(AdderConv2d):
        def forward(self, input: Tensor) -> Tensor:
            patches = F.unfold(input, 3, padding=1)[:, None]
            filters = self.weight.view(1, self.out_channels, -1, 1)
            return -(patches - filters).abs().sum(2).view(len(input), -1, *input.shape[-2:])

    x = torch.randn(1, 16, 32, 40)
    assert peak_bytes(Unfolded(16, 16, 3), x) > 10 * peak_bytes(conv(16, 16, 3), x)


def test_an_adders_step_is_the_papers_local_learning_rate_with_momentum() -> None:
    torch.manual_seed(0)
    adder = AdderConv2d(3, 4)
    start = adder.weight.detach().clone()
    optimizer = AdderAdamW([{"params": [adder.weight], "eta": 2.0}], lr=0.1)
    first, second = torch.randn_like(start), torch.randn_like(start)
    for gradient in (first, second):
        adder.weight.grad = gradient.clone()
        optimizer.step()
    # alpha = eta sqrt(k) / ||G||; the momentum's buffer is as torch.optim.SGD's.
    steps = [2.0 * 12**0.5 / g.norm() * g for g in (first, second)]
    expected = start - 0.1 * steps[0] - 0.1 * (0.9 * steps[0] + steps[1])
    torch.testing.assert_close(adder.weight.detach(), expected)


def test_an_adders_step_does_not_depend_on_the_gradients_size() -> None:
    moved = []
    for size in (1e-6, 1e6):
        adder = AdderConv2d(3, 4)
        nn.init.zeros_(adder.weight)
        adder.weight.grad = torch.full_like(adder.weight, size)
        AdderAdamW([{"params": [adder.weight], "eta": 1.0}], lr=0.1).step()
        moved.append(adder.weight.detach().clone())
    torch.testing.assert_close(moved[0], moved[1])


def test_a_gradient_of_zero_moves_nothing() -> None:
    adder = AdderConv2d(3, 4)
    before = adder.weight.detach().clone()
    adder.weight.grad = torch.zeros_like(before)
    AdderAdamW([{"params": [adder.weight], "eta": 1.0}], lr=0.1).step()
    torch.testing.assert_close(adder.weight.detach(), before, rtol=0, atol=0)


def with_adders(config: TrainConfig, *names: str) -> DepthNet:
    return DepthNet(config.network.model_copy(update={"adder": names}))


DECODER = "decoder.0.narrow.0"


def test_other_weights_are_trained_by_adamw_as_ever(config: TrainConfig) -> None:
    network = with_adders(config, DECODER)
    optimizer = make_optimizer(network, config)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(map(id, network.parameters()))
    own = [group["params"] for group in optimizer.param_groups if "eta" in group]
    assert own == [[network.get_submodule(DECODER).weight]]
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = network.head.weight.detach().clone()
    optimizer.step()
    reference = before.clone().requires_grad_()
    reference.grad = torch.ones_like(reference)
    decay = config.weight_decay
    torch.optim.AdamW([reference], lr=config.learning_rate, weight_decay=decay).step()
    torch.testing.assert_close(network.head.weight, reference)


def test_the_config_says_which_layers_are_adders(config: TrainConfig) -> None:
    names = ("encoder.blocks.0.0.ghost1.primary_conv.0", DECODER)
    network = with_adders(config, *names)
    assert [n for n, m in network.named_modules() if isinstance(m, AdderConv2d)] == list(names)
    assert network.state_dict().keys() == DepthNet(config.network).state_dict().keys()
    kinds = {row.name: row.kind for row in layer_costs(network)}
    assert kinds[DECODER] == "adder 1x1"


def test_first_last_and_squeeze_excitation_layers_are_no_candidates(config: TrainConfig) -> None:
    names = adder_candidates(DepthNet(config.network))
    assert DECODER in names
    assert not {"encoder.conv_stem", "head"} & names.keys()
    assert not any("conv_reduce" in name or "conv_expand" in name for name in names)


@pytest.mark.parametrize("name", ["encoder.conv_stem", "head", "decoder.0.narrow.1", "nowhere", ""])
def test_what_cannot_be_an_adder_is_refused_by_name(config: TrainConfig, name: str) -> None:
    network = DepthNet(config.network)
    with pytest.raises(UserError, match=rf"no convolution '{name}'.*summary"):
        use_adders(network, [DECODER, name])
    assert not adders(network)

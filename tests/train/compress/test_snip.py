"""SNIP: its formula, the fraction that it keeps, and what a masked training learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint, read_tensors, save_checkpoint
from ghostdepth_train.compress import compress
from ghostdepth_train.compress.snip import (
    SnipConfig,
    connection_sensitivity,
    sensitivity,
    starting_network,
    training_batches,
)
from ghostdepth_train.config import LossConfig, TrainingConfig
from ghostdepth_train.data import read_split
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.losses import network_loss
from ghostdepth_train.pruning.masks import count, weights
from torch import Tensor, nn

from tests.train.making import work

# Two steps an epoch: there are 10 pairs.
QUICK = TrainingConfig(epochs=2, batch_size=4, ema_decay=0.9)


def zeros(network: nn.Module) -> int:
    return sum(int((w == 0).sum()) for w in weights(network).values())


def squared_error(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return (network(batch[0]) - batch[1]).square().sum() / 2


def test_sensitivity_of_a_linear_layer_computed_by_hand() -> None:
    # y = w x, L = (y - t)^2 / 2, dL/dw_ij = (y_i - t_i) x_j, so |w dL/dw| by hand:
    network = nn.Linear(2, 2, bias=False)
    network.weight.data = torch.tensor([[1.0, 2.0], [-3.0, 0.5]])
    x, t = torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    # y = (4, -5.5), y - t = (3, -5.5)
    products = torch.tensor([[1 * 3 * 2, 2 * 3 * 1], [3 * 5.5 * 2, 0.5 * 5.5 * 1]])
    scores = connection_sensitivity(network, squared_error, [(x, t)])
    torch.testing.assert_close(scores["weight"], products / products.sum())


def test_sensitivity_is_the_derivative_by_the_connections_factor() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    batch = (torch.randn(5, 3).double(), torch.randn(5, 2).double())
    scores = connection_sensitivity(network, squared_error, [batch])
    slopes: dict[str, Tensor] = {}
    for name, weight in weights(network).items():
        slope, step = torch.zeros_like(weight), 1e-6
        for index in range(weight.numel()):
            flat, before = weight.data.view(-1), weight.data.view(-1)[index].item()
            flat[index] = before * (1 + step)
            up = squared_error(network, batch).item()
            flat[index] = before * (1 - step)
            down = squared_error(network, batch).item()
            flat[index] = before
            slope.view(-1)[index] = abs(up - down) / (2 * step)
        slopes[name] = slope.detach()
    total = sum(s.sum() for s in slopes.values())
    for name, score in scores.items():
        torch.testing.assert_close(score, slopes[name] / total, rtol=1e-4, atol=1e-8)


def test_gradients_of_several_batches_are_summed_before_the_absolute_value() -> None:
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(1.0)
    opposite = [(torch.ones(1, 1), torch.zeros(1, 1)), (torch.ones(1, 1), 2 * torch.ones(1, 1))]
    with pytest.raises(UserError, match=r"sum to 0\.0"):
        connection_sensitivity(network, squared_error, opposite)


def test_depth_sensitivity_is_that_of_the_training_loss(data: Path, checkpoint: Checkpoint) -> None:
    network, split = checkpoint.network, read_split(data)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    (batch,) = training_batches(split, network.config, QUICK, 0, 1)
    scores = sensitivity(network, [batch])
    assert sum(float(s.sum()) for s in scores.values()) == pytest.approx(1, rel=1e-4)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert not network.training
    network.train()
    network_loss(network, *batch, LossConfig()).backward()
    products = {n: (w.detach() * w.grad).abs() for n, w in weights(network).items()}
    total = sum(float(p.sum()) for p in products.values())
    for name, product in products.items():
        torch.testing.assert_close(scores[name], product / total, rtol=1e-4, atol=1e-8)


def test_snip_keeps_its_fraction_through_training_and_in_the_average(
    data: Path, checkpoint: Checkpoint
) -> None:
    lines: list[str] = []
    config = SnipConfig(keep=0.25, batches=2, training=QUICK)
    result = compress(checkpoint, config, work(data, "run", log=lines.append))
    total = sum(w.numel() for w in weights(result.network).values())
    masks = read_tensors(data.parent / "run" / "masks.safetensors")[0]
    assert count(masks) == round(0.25 * total) == result.notes["kept_weights"]
    for folder in ("start", "best", "last"):
        trained = load_checkpoint(data.parent / "run" / "run" / folder).network
        for name, weight in weights(trained).items():
            assert not weight[~masks[name]].any()
    state, _ = read_tensors(data.parent / "run" / "run" / "last" / "training.safetensors")
    for name, mask in masks.items():
        assert not state[f"model.{name}"][~mask].any()
        assert not state[f"optimizer.exp_avg.network.{name}"][~mask].any()
    assert any("neither smaller nor faster" in line for line in lines)


def test_snip_starts_from_random_weights_or_from_the_checkpoints(
    data: Path, checkpoint: Checkpoint
) -> None:
    for start, same in (("random", False), ("checkpoint", True)):
        config = SnipConfig(keep=0.5, batches=1, start=start, training=QUICK)
        compress(checkpoint, config, work(data, start))
        began = load_checkpoint(data.parent / start / "run" / "start").network
        w, own = weights(began)["head.weight"], weights(checkpoint.network)["head.weight"]
        assert torch.equal(w[w != 0], own[w != 0]) is same


def test_what_was_zero_stays_zero(data: Path, checkpoint: Checkpoint) -> None:
    first = compress(
        checkpoint, SnipConfig(keep=0.5, batches=1, training=QUICK), work(data, "first")
    )
    save_checkpoint(data.parent / "half", first.network, name="h", training_data="", metrics={})
    half = load_checkpoint(data.parent / "half")
    again = starting_network(half.network, "random", 1)
    assert zeros(again) == zeros(half.network)
    config = SnipConfig(keep=0.2, batches=1, training=QUICK)
    second = compress(half, config, work(data, "second")).network
    for name, weight in weights(second).items():
        assert not weight[weights(half.network)[name] == 0].any()
    more = SnipConfig(keep=0.7, batches=1, training=QUICK)
    with pytest.raises(UserError, match="that are not zero; choose another fraction"):
        compress(half, more, work(data, "third"))


def test_snip_pruned_to_nothing_is_a_clear_line(data: Path, checkpoint: Checkpoint) -> None:
    config = SnipConfig(keep=5e-4, batches=1, training=QUICK)
    with pytest.raises(UserError, match=r"pruned to nothing.*larger fraction"):
        compress(checkpoint, config, work(data, "run"))


def test_structured_snip_removes_channels(data: Path, checkpoint: Checkpoint) -> None:
    # No fewer than pruning's floors leave of so small a network: 75 %.
    config = SnipConfig(keep=0.8, batches=1, structured=True, training=QUICK)
    result = compress(checkpoint, config, work(data, "run")).network
    before, after = (
        sum(p.numel() for p in network.parameters()) for network in (checkpoint.network, result)
    )
    assert after < 0.85 * before
    assert zeros(result) == 0


def test_a_masked_run_learns(data: Path, checkpoint: Checkpoint) -> None:
    training = TrainingConfig(epochs=10, batch_size=2, learning_rate=0.01, eval_every=10)
    config = SnipConfig(keep=0.3, batches=1, training=training)
    start = evaluate(checkpoint.network, read_split(data).val)
    trained = compress(checkpoint, config, work(data, "run")).network
    assert evaluate(trained, read_split(data).val).si_rmse < 0.8 * start.si_rmse

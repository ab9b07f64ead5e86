"""SNIP and lottery tickets: their formulas, counts, rewinding, and runs that were killed."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint, read_tensors, save_checkpoint
from ghostdepth_train.compress import compress, run_recipe
from ghostdepth_train.compress.lottery import LotteryConfig, prune_smallest, rewind, unprunable
from ghostdepth_train.compress.method import Method
from ghostdepth_train.compress.methods import method_config
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
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.masks import (
    Masking,
    count,
    empty_layers,
    keep_top,
    kept_fraction,
    present,
    require_path,
    weights,
)
from torch import Tensor, nn

from tests.train.making import SMALL, StopHere, work

QUICK = TrainingConfig(epochs=2, batch_size=4, ema_decay=0.9)
# 10 pairs and a batch of 4: two steps an epoch.


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    torch.manual_seed(3)
    network = DepthNet(SMALL)
    save_checkpoint(tmp_path / "c", network, name="c", training_data="t", metrics={})
    return load_checkpoint(tmp_path / "c")


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


def test_the_highest_scores_of_all_layers_stay() -> None:
    scores = {"a": torch.tensor([[1.0, 5.0]]), "b": torch.tensor([[4.0], [2.0], [9.0]])}
    among = {"a": torch.tensor([[True, True]]), "b": torch.tensor([[True], [True], [False]])}
    masks = keep_top(scores, 2, among)
    assert masks["a"].tolist() == [[False, True]]
    assert masks["b"].tolist() == [[True], [False], [False]]
    assert (count(masks), kept_fraction(masks)) == (2, 2 / 5)


def test_equal_scores_still_give_the_exact_count() -> None:
    among = {"a": torch.ones(3, 3, dtype=torch.bool), "b": torch.ones(2, 2, dtype=torch.bool)}
    masks = keep_top({"a": torch.zeros(3, 3), "b": torch.zeros(2, 2)}, 10, among)
    assert count(masks) == 10
    assert masks["a"].all()


@pytest.mark.parametrize("keep", [0, 5])
def test_more_than_there_is_or_nothing_cannot_be_kept(keep: int) -> None:
    with pytest.raises(UserError, match=f"cannot keep {keep} weights: the network has 4"):
        keep_top({"a": torch.rand(2, 2)}, keep, {"a": torch.ones(2, 2, dtype=torch.bool)})


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_masked_weights_stay_zero_and_do_not_reach_the_optimiser(
    kind: Callable[..., torch.optim.Optimizer],
) -> None:
    network = nn.Linear(4, 3)
    mask = torch.rand(3, 4) < 0.5
    optimiser = kind(network.parameters(), lr=0.1, weight_decay=0.1)
    masking = Masking(network, {"weight": mask})
    for _ in range(3):
        optimiser.zero_grad()
        network(torch.randn(2, 4)).square().sum().backward()
        assert network.weight.grad is not None
        assert not network.weight.grad[~mask].any()
        optimiser.step()
        masking.apply()
    dropped = network.weight.detach()[~mask]
    assert torch.equal(dropped.view(torch.int32), torch.zeros_like(dropped, dtype=torch.int32))
    assert network.weight.detach()[mask].all()


def test_a_fifth_of_the_rest_is_pruned_and_excluded_layers_stay() -> None:
    network = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10))
    masks, expected = present(network), 200
    for _ in range(3):
        expected -= round(0.2 * expected)
        masks = prune_smallest(network, masks, 0.2)
        assert count(masks) == expected
    left = torch.cat([w[masks[n]].abs() for n, w in weights(network).items()])
    gone = torch.cat([w[~masks[n]].abs() for n, w in weights(network).items()])
    assert left.min() >= gone.max()
    masks = prune_smallest(network, present(network), 0.5, {"1.weight"})
    assert (int(masks["0.weight"].sum()), int(masks["1.weight"].sum())) == (50, 100)


def test_depthwise_layers_and_the_head_are_never_pruned(checkpoint: Checkpoint) -> None:
    network = checkpoint.network
    names = unprunable(network)
    assert "head.weight" in names
    assert "decoder.0.depthwise.0.weight" in names
    assert "decoder.0.pointwise.0.weight" not in names


def test_rewinding_gives_the_kept_weights_to_the_bit() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    state = {k: v.clone() for k, v in network.state_dict().items()}
    network(torch.randn(2, 2, 5, 5)).sum().backward()
    torch.optim.SGD(network.parameters(), 0.1).step()
    masks = {name: torch.rand(w.shape) < 0.5 for name, w in weights(network).items()}
    rewind(network, state, masks)
    for name, value in network.state_dict().items():
        mask = masks.get(name, torch.ones_like(value, dtype=torch.bool))
        assert torch.equal(value, torch.where(mask, state[name], torch.zeros_like(value)))


def test_a_network_without_a_path_is_refused() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    require_path(network, torch.randn(1, 2))
    network[1].weight.data.zero_()
    with pytest.raises(UserError, match="pruned to nothing"):
        require_path(network, torch.randn(1, 2))
    assert empty_layers(present(network)) == ["1.weight"]


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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "snip", "keep": 0}, "snip: keep: .*greater than 0"),
        ({"method": "snip", "keep": 1.5}, "snip: keep: .*less than 1"),
        ({"method": "lottery", "share": 1}, "lottery: share: .*less than 1"),
        ({"method": "lottery", "rounds": 0}, "lottery: rounds: .*greater than or equal to 1"),
        ({"method": "lottery", "rewind": "late"}, "lottery: rewind: .*'init', 'early' or 'rate'"),
    ],
)
def test_fields_out_of_range_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"recipe r, step 1: {message}"):
        method_config(fields, "recipe r, step 1")


def test_structured_snip_removes_channels(data: Path, checkpoint: Checkpoint) -> None:
    # No fewer than pruning's floors leave of so small a network: 75 %.
    config = SnipConfig(keep=0.8, batches=1, structured=True, training=QUICK)
    result = compress(checkpoint, config, work(data, "run")).network
    before, after = (
        sum(p.numel() for p in network.parameters()) for network in (checkpoint.network, result)
    )
    assert after < 0.85 * before
    assert zeros(result) == 0


def history(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "rounds.csv").read_text().splitlines()))


def test_lottery_tickets_start_from_the_initial_weights(data: Path, checkpoint: Checkpoint) -> None:
    config = LotteryConfig(rounds=2, rewind="init", control=True, training=QUICK)
    result = compress(checkpoint, config, work(data, "run"))
    run = data.parent / "run"
    rows = history(run)
    assert [row["kind"] for row in rows] == ["dense", "ticket", "ticket", "control"]
    kept = [int(row["kept_weights"]) for row in rows]
    assert kept[0] > kept[1] > kept[2] == kept[3] == count(present(result.network))
    initial = starting_network(checkpoint.network, "random", 0).state_dict()
    for folder in ("round-01", "round-02"):
        start = load_checkpoint(run / folder / "start").network
        for name, value in start.state_dict().items():
            live = value != 0 if name in weights(start) else torch.ones_like(value).bool()
            assert torch.equal(value[live], initial[name][live]), name
    ticket = load_checkpoint(run / "round-02" / "start").network
    control = load_checkpoint(run / "control" / "start").network
    assert not torch.equal(weights(control)["head.weight"], weights(ticket)["head.weight"])
    for name, mask in present(control).items():
        assert torch.equal(mask, present(ticket)[name])


def test_rewinding_to_step_k_goes_on_with_step_k(data: Path, checkpoint: Checkpoint) -> None:
    steps: list[int] = []
    training = QUICK.model_copy(update={"epochs": 3})
    config = LotteryConfig(rounds=1, rewind="early", rewind_step=3, training=training)
    compress(checkpoint, config, work(data, "run", on_step=lambda d, *_: steps.append(d)))
    assert steps == [1, 2, 3, 4, 5, 6, 4, 5, 6]
    early, _ = read_tensors(data.parent / "run" / "round-00" / "early.safetensors")
    start = load_checkpoint(data.parent / "run" / "round-01" / "start").network.state_dict()
    for name, value in start.items():
        dropped = name in weights(checkpoint.network) and value == 0
        assert torch.equal(value, torch.where(torch.as_tensor(dropped), 0.0, early[name])), name


def test_masking_nothing_and_skipping_nothing_is_plain_training(
    data: Path, checkpoint: Checkpoint
) -> None:
    config = LotteryConfig(rounds=1, rewind="init", start="checkpoint", training=QUICK)
    compress(checkpoint, config, work(data, "run"))
    plain = work(data, "plain").train(checkpoint.network, QUICK, 0)
    dense = load_checkpoint(data.parent / "run" / "round-00" / "best").network
    for name, value in plain.state_dict().items():
        assert torch.equal(value, dense.state_dict()[name]), name


def test_rate_rewinding_keeps_the_trained_weights(data: Path, checkpoint: Checkpoint) -> None:
    config = LotteryConfig(rounds=2, rewind="rate", start="checkpoint", training=QUICK)
    compress(checkpoint, config, work(data, "run"))
    run = data.parent / "run"
    before = checkpoint.network
    for folder in ("round-01", "round-02"):
        start = load_checkpoint(run / folder / "start").network
        for name, weight in weights(start).items():
            kept = weight != 0
            assert torch.equal(weight[kept], weights(before)[name][kept])
        before = load_checkpoint(run / folder / "best").network


def test_a_rewinding_step_after_the_end_is_refused(data: Path, checkpoint: Checkpoint) -> None:
    config = LotteryConfig(rewind="early", rewind_step=4, training=QUICK)
    with pytest.raises(UserError, match=r"rewind_step 4 is not before the end.*4 steps"):
        compress(checkpoint, config, work(data, "run"))


CASES = [
    (SnipConfig(keep=0.3, batches=1, training=QUICK), [3]),
    (LotteryConfig(rounds=1, rewind="early", rewind_step=1, control=True, training=QUICK), [4, 7]),
    (LotteryConfig(rounds=2, rewind="early", rewind_step=3, training=QUICK), [3, 3]),
    (LotteryConfig(rounds=2, rewind="rate", start="checkpoint", training=QUICK), [5]),
]


@pytest.mark.parametrize(("config", "stops"), CASES)
def test_a_stopped_run_resumes_to_the_same_result(
    data: Path, checkpoint: Checkpoint, config: Method, stops: list[int]
) -> None:
    folder = data.parent / "c"
    whole = run_recipe(folder, (config,), work(data, "whole"))
    for number, stop in enumerate(stops):
        left = stop

        def count_down(*_: float) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise StopHere

        with pytest.raises(StopHere):
            run_recipe(
                folder,
                (config,),
                work(data, "broken", on_step=count_down, resume=number > 0),
            )
    broken = run_recipe(folder, (config,), work(data, "broken", resume=True))
    first, second = (read_tensors(f / "model.safetensors")[0] for f in (whole, broken))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    for csv_file in whole.parent.rglob("rounds.csv"):
        twin = broken.parent / csv_file.relative_to(whole.parent)
        assert twin.read_text() == csv_file.read_text()


def test_a_masked_run_learns(data: Path, checkpoint: Checkpoint) -> None:
    training = TrainingConfig(epochs=10, batch_size=2, learning_rate=0.01, eval_every=10)
    config = SnipConfig(keep=0.3, batches=1, training=training)
    start = evaluate(checkpoint.network, read_split(data).val)
    trained = compress(checkpoint, config, work(data, "run")).network
    assert evaluate(trained, read_split(data).val).si_rmse < 0.8 * start.si_rmse

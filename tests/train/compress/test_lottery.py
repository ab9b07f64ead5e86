"""Lottery tickets: what a round prunes and rewinds, and masked runs that were killed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint, read_tensors
from ghostdepth_train.compress import compress, run_recipe
from ghostdepth_train.compress.lottery import LotteryConfig, prune_smallest, rewind, unprunable
from ghostdepth_train.compress.method import Method
from ghostdepth_train.compress.methods import method_config
from ghostdepth_train.compress.snip import SnipConfig, starting_network
from ghostdepth_train.config import TrainingConfig
from ghostdepth_train.pruning.masks import count, present, weights
from torch import nn

from tests.train.making import StopHere, same_tensors, stop_at, work

# Two steps an epoch: there are 10 pairs.
QUICK = TrainingConfig(epochs=2, batch_size=4, ema_decay=0.9)


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
        stopped = work(data, "broken", on_step=stop_at(stop), resume=number > 0)
        with pytest.raises(StopHere):
            run_recipe(folder, (config,), stopped)
    broken = run_recipe(folder, (config,), work(data, "broken", resume=True))
    same_tensors(whole / "model.safetensors", broken / "model.safetensors")
    for csv_file in whole.parent.rglob("rounds.csv"):
        twin = broken.parent / csv_file.relative_to(whole.parent)
        assert twin.read_text() == csv_file.read_text()

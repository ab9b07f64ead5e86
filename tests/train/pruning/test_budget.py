"""Pruning to a latency: met as predicted, or refused with the lowest latency in reach."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import load_checkpoint, save_checkpoint
from ghostdepth_train.compress import Recipe, load_recipe, run_recipe, with_budget
from ghostdepth_train.compress.prune import PruneConfig, prune
from ghostdepth_train.config import NetworkConfig, ghostnet_widths, parse_config
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.pruning.budget import (
    Sample,
    _fit,
    latency_model,
    prune_to_budget,
    sample_latencies,
    total,
)
from ghostdepth_train.pruning.channels import find_axes, prune_channels
from ghostdepth_train.pruning.latency import LatencyBudget, LayerLatency
from ghostdepth_train.pruning.widths import CostModel

from tests.train import making

FIXED = 0.4
PRUNE = "- {method: prune, macs: 0.5, importance: magnitude, round_to: 4, min_channels: 4}\n"


@pytest.fixture(scope="module")
def small() -> DepthNet:
    """A third of the released widths on a small picture; nobody changes it."""
    torch.manual_seed(0)
    encoder = {**ghostnet_widths(0.35), "padding": "same"}
    value = {"encoder": encoder, "decoder": {"widths": [32, 16]}}
    network = parse_config(NetworkConfig, value, "test")
    size = {"input_height": 32, "input_width": 32}
    return DepthNet(network.model_copy(update=size)).eval()


def steps(network: DepthNet, budget: LatencyBudget) -> list[LayerLatency]:
    """A kernel that works on 8 channels at a time: no polynomial of the widths."""
    ops = [LayerLatency("RESIZE_BILINEAR", "", False, FIXED)]
    for row in layer_costs(network):
        out = row.shape[0]
        ms = 0.0002 + row.macs / 1e5 * math.ceil(out / 8) * 8 / out
        ops.append(LayerLatency("CONV_2D", row.name, True, ms * (1 if budget.threads > 1 else 3)))
        ops.append(LayerLatency("ADD", row.name, False, row.activations / 1e6))
    return ops


work = partial(making.work, predict_latency=steps)


def config(ms: float, **more: Any) -> PruneConfig:
    widths = {"round_to": 4, "min_channels": 4, "importance": "magnitude", **more}
    return PruneConfig(budget=LatencyBudget(ms=ms), **widths)


def test_the_budget_is_met_as_the_clock_says_for_its_threads(
    small: DepthNet, data: Path, tmp_path: Path
) -> None:
    one = LatencyBudget(ms=1, threads=1)
    one = LatencyBudget(ms=0.7 * total(steps(small, one)), threads=1)
    pruned, note = prune(small, config(1).with_budget(one), work(data, tmp_path))
    got = total(steps(pruned, one))
    assert 0.95 * one.ms <= got <= one.ms
    assert note["after"] == pytest.approx(got)
    assert f"1 thread; budget {one.ms:g} ms" in note["line"]


def test_what_is_between_the_samples_is_known_where_the_times_are_bilinear(small: DepthNet) -> None:
    axes = find_axes(small)

    def clock(network: DepthNet) -> list[LayerLatency]:
        ops = [LayerLatency("RESIZE", "", False, FIXED)]
        for row in layer_costs(network):
            ops.append(LayerLatency("CONV_2D", row.name, True, 0.01 + row.macs / 1e6))
            ops.append(LayerLatency("MEAN", row.name, False, 0.02 + row.activations / 1e5))
        return ops

    def build(part: float) -> Sample:
        counts = np.array([max(1, round(part * axis.units)) for axis in axes])
        keep = {a.name: [range(n)] * len(a.parts) for a, n in zip(axes, counts, strict=True)}
        return Sample(counts, clock(prune_channels(small, axes, keep)))

    model = latency_model(axes, [build(part) for part in (1.0, 0.75, 0.5, 0.25)])
    rng = np.random.default_rng(0)
    counts = np.array([int(rng.integers(axis.units // 2, axis.units)) for axis in axes])
    keep = {a.name: [range(n)] * len(a.parts) for a, n in zip(axes, counts, strict=True)}
    assert model(counts) == pytest.approx(total(clock(prune_channels(small, axes, keep))), rel=0.01)


def test_an_op_of_two_widths_costs_the_same_for_both_where_they_shrink_together() -> None:
    units = np.array([[64, 32, 1], [48, 24, 1], [32, 16, 1]], float)
    times = 0.5 + units[:, 0] / 64 + units[:, 1] / 32
    terms = _fit(times, units, [0, 1], none=2)
    found = sum(factor * units[:, a] * units[:, b] for factor, a, b in terms)
    assert found == pytest.approx(times)
    by_axis = {a: factor * units[0, a] for factor, a, b in terms if a != b == 2}
    assert by_axis[0] == pytest.approx(by_axis[1])


def one_op(ms: float) -> list[LayerLatency]:
    return [LayerLatency("CONV_2D", "a", True, ms)]


def test_the_samples_are_the_nearest_widths_to_three_quarters_and_half() -> None:
    options = [[10, 37, 61, 80], [3, 6]]

    def build(counts: Any) -> Any:
        return counts

    samples = sample_latencies(
        LatencyBudget(ms=50), np.array([80, 6]), options, build, lambda counts: one_op(counts[0])
    )
    assert [list(sample.counts) for sample in samples] == [[80, 6], [61, 3], [37, 3], [10, 3]]


def test_a_cost_that_is_a_fifth_too_low_is_made_up_for() -> None:
    def clock(counts: Any) -> list[LayerLatency]:
        return one_op(0.012 * int(counts[0]))

    samples = [Sample(np.array([n]), clock([n])) for n in (1000, 100)]
    cost = CostModel(np.array([0.01]), np.array([0]), np.array([1]), 0.0)
    choose: Any = lambda ms: np.array([int(ms * 100)])  # noqa: E731
    build: Any = lambda counts: counts  # noqa: E731
    found = prune_to_budget(5.0, samples, cost, choose, build, clock, lambda line: None)
    assert 0.95 * 5 <= found.after <= 5
    assert len(found.tries) > 1 and found.before == pytest.approx(12)


def test_a_budget_below_the_smallest_widths_says_what_can_be_reached(
    small: DepthNet, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as error:
        prune(small, config(FIXED + 0.01, min_fraction=0.5), work(data, tmp_path))
    line = str(error.value)
    assert line.startswith("cannot meet 0.41 ms: the int8 file with 4 threads takes ")
    least = float(line.split("takes ")[1].split(" ms", maxsplit=1)[0])
    # It can: a budget a little above it is met.
    pruned, _ = prune(small, config(least + 0.01, min_fraction=0.5), work(data, tmp_path))
    assert total(steps(pruned, LatencyBudget(ms=1))) <= least + 0.01
    assert "0.40 ms of it for resizing" in line


def test_a_budget_that_is_kept_already_is_refused(
    small: DepthNet, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"before pruning, within the budget of 1000 ms"):
        prune(small, config(1000), work(data, tmp_path))


def test_without_a_clock_a_budget_is_refused_in_one_line(
    small: DepthNet, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no predictor of latency"):
        prune(small, config(1), making.work(data, tmp_path))


def test_other_ops_at_other_widths_are_refused(small: DepthNet, data: Path, tmp_path: Path) -> None:
    def inconsistent(network: DepthNet, budget: LatencyBudget) -> list[LayerLatency]:
        ops = steps(network, budget)
        return ops if network is small else ops[1:]

    job = work(data, tmp_path, predict_latency=inconsistent)
    ms = 0.8 * total(steps(small, LatencyBudget(ms=1)))
    with pytest.raises(UserError, match="other ops at other widths"):
        prune(small, config(ms), job)


def recipe(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return load_recipe(str(path))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("- {method: finetune, training: {epochs: 1}}\n", "no prune step;"),
        (2 * PRUNE, "2 prune steps;"),
    ],
)
def test_a_target_needs_one_prune_step(tmp_path: Path, text: str, count: str) -> None:
    with pytest.raises(UserError, match=count):
        with_budget(recipe(tmp_path, text), LatencyBudget(ms=1), "mine")


def test_a_budget_takes_the_place_of_the_target_alone(tmp_path: Path) -> None:
    (before,) = recipe(tmp_path, "- {method: prune, macs: 0.5, min_fraction: 0.4, seed: 3}\n")
    (after,) = with_budget((before,), LatencyBudget(ms=9), "mine")
    assert isinstance(after, PruneConfig) and isinstance(before, PruneConfig)
    assert after.macs is None and after.budget == LatencyBudget(ms=9)
    assert (after.min_fraction, after.seed, after.importance) == (0.4, 3, before.importance)
    assert before.budget is None


def test_a_run_is_resolved_and_resumed_without_another_look(
    small: DepthNet, data: Path, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "s", small, name="s", training_data="t", metrics={})
    ms = round(0.7 * total(steps(small, LatencyBudget(ms=1))), 3)
    plan = with_budget(recipe(tmp_path, PRUNE), LatencyBudget(ms=ms), "mine")
    out = tmp_path / "out"
    result = load_checkpoint(run_recipe(tmp_path / "s", plan, work(data, out)))
    (written,) = json.loads((out / "recipe.json").read_text())["steps"]
    assert written["budget"] == {"ms": ms, "threads": 4, "file": "int8", "board": "rpi4"}
    assert result.metrics["steps"][0]["notes"]["rounds"][0]["budget"]["ms"] == ms

    def broken(network: DepthNet, budget: LatencyBudget) -> list[LayerLatency]:
        raise AssertionError("looked at again")

    # Killed after pruning, before the step was complete.
    (out / "1-prune" / "result" / "metrics.json").unlink()
    again = work(data, out, predict_latency=broken, resume=True)
    assert load_checkpoint(run_recipe(tmp_path / "s", plan, again)).config == result.config


def test_rounds_go_equal_parts_of_the_way_and_end_at_the_budget(
    small: DepthNet, data: Path, tmp_path: Path
) -> None:
    before = total(steps(small, LatencyBudget(ms=1)))
    goal = config(0.5 * before, rounds=2)
    first, _ = prune(small, goal, work(data, tmp_path), 1)
    assert (
        0.95 * math.sqrt(0.5) <= total(steps(first, LatencyBudget(ms=1))) / before <= math.sqrt(0.5)
    )
    second, _ = prune(first, goal, work(data, tmp_path), 2)
    assert 0.95 * 0.5 <= total(steps(second, LatencyBudget(ms=1))) / before <= 0.5

"""Pruning: what goes together, what the engine gives, and what is asked for is what comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ghostdepth_train.compress.prune import PruneConfig, apply, prune, read_times
from ghostdepth_train.config import (
    LossConfig,
    NetworkConfig,
    TimmEncoderConfig,
    TrainConfig,
    load_train_config,
    parse_config,
)
from ghostdepth_train.data import read_split
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.pruning.channels import (
    Axis,
    best_units,
    find_axes,
    prune_channels,
)
from ghostdepth_train.pruning.importance import batch_losses, importance
from ghostdepth_train.pruning.widths import choices, cost_model

from tests.train.making import random_network, work
from tests.train.pruning.engine import pruned_as_by_the_engine, random_keep

KINDS = ("magnitude", "bn", "taylor", "snip")


@pytest.fixture
def tiny(tiny_config: TrainConfig) -> DepthNet:
    return random_network(tiny_config.network)


@pytest.fixture(scope="module")
def small() -> DepthNet:
    """The released network's widths, without its weights, on a small picture; nobody changes it."""
    network = load_train_config("ghostnet-s").network
    return random_network(network.model_copy(update={"input_height": 64, "input_width": 64}))


def macs(network: DepthNet) -> int:
    return sum(row.macs for row in layer_costs(network))


def checkpoint_of(network: DepthNet) -> Checkpoint:
    return Checkpoint("tiny", network, "test", {}, "0" * 64)


def test_a_primary_channel_takes_its_cheap_channel_along(small: DepthNet) -> None:
    axes = {axis.name: axis for axis in find_axes(small)}
    axis = axes["encoder.stages.3.0.mid"]
    half = axis.width // 2
    unit = {(piece.module, piece.side): piece.indices for piece in axis.parts[0][1][5]}
    ghost = "encoder.blocks.3.0"
    assert unit[f"{ghost}.ghost1.primary_conv.0", "out"] == (5,)
    assert unit[f"{ghost}.ghost1.cheap_operation.0", "out"] == (5,)
    # The concatenation has all primary channels first.
    for layer in ("conv_dw", "bn_dw"):
        assert unit[f"{ghost}.{layer}", "out"] == (5, half + 5)
    assert unit[f"{ghost}.se.conv_expand", "out"] == (5, half + 5)
    assert unit[f"{ghost}.se.conv_reduce", "in"] == (5, half + 5)
    assert unit[f"{ghost}.ghost2.primary_conv.0", "in"] == (5, half + 5)


def test_blocks_that_are_added_up_share_a_width(small: DepthNet) -> None:
    axes = {axis.name: axis for axis in find_axes(small)}
    # 160 channels through five blocks are one width; so are the stem's and the first block's.
    unit = {piece.module for piece in axes["encoder.stages.7.0.out"].parts[0][1][0]}
    blocks = ["7.0", "8.0", "8.1", "8.2", "8.3"]
    assert {f"encoder.blocks.{b}.ghost2.primary_conv.0" for b in blocks} <= unit
    unit = {piece.module for piece in axes["encoder.stem"].parts[0][1][0]}
    assert {"encoder.conv_stem", "encoder.blocks.0.0.ghost2.primary_conv.0"} <= unit
    assert not [name for name in axes if name.startswith("encoder.stages.8") and "out" in name]


@pytest.mark.parametrize("seed", range(3))
def test_the_plain_config_gives_what_the_engine_gives(tiny: DepthNet, seed: int) -> None:
    axes = find_axes(tiny)
    keep = random_keep(axes, np.random.default_rng(seed))
    pruned = pruned_as_by_the_engine(tiny, axes, keep)
    # The config survives a file, and pruning again works.
    value = pruned.config.model_dump(mode="json")
    again = DepthNet(parse_config(NetworkConfig, value, "test"))
    again.load_state_dict(pruned.state_dict())
    widths = {axis.name: axis.width for axis in find_axes(pruned)}
    assert widths == {axis.name: len(keep[axis.name][0]) * axis.channels for axis in axes}


def test_channels_that_are_zero_can_go_without_a_trace(tiny: DepthNet) -> None:
    axes = find_axes(tiny)
    keep = random_keep(axes, np.random.default_rng(7))
    for axis in axes:
        for (_, units), stay in zip(axis.parts, keep[axis.name], strict=True):
            for unit in (units[i] for i in range(len(units)) if i not in stay):
                for piece in unit:
                    if piece.side == "in":
                        layer = tiny.get_submodule(piece.module)
                        layer.weight.data[:, list(piece.indices)] = 0  # type: ignore[union-attr]
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        pruned = prune_channels(tiny, axes, keep)(x)
        torch.testing.assert_close(pruned, tiny(x), rtol=1e-4, atol=1e-5)


def test_a_convolution_on_a_shortcut_stays_one_where_widths_meet(small: DepthNet) -> None:
    axes = {axis.name: axis for axis in find_axes(small)}
    before, after = axes["encoder.stages.5.0.out"], axes["encoder.stages.6.3.out"]
    keep = {a.name: [list(range(32))] for a in (before, after)}
    pruned = pruned_as_by_the_engine(small, list(axes.values()), keep)
    assert pruned.config.encoder.stages[6][3].conv_shortcut  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
def test_a_unit_that_does_nothing_matters_least(tiny: DepthNet, data: Path, kind: Any) -> None:
    axes = find_axes(tiny)
    axis = next(axis for axis in axes if axis.name == "encoder.stages.4.0.mid")
    for piece in axis.parts[0][1][2]:
        layer = tiny.get_submodule(piece.module)
        indices = list(piece.indices)
        if piece.side == "in":
            layer.weight.data[:, indices] = 0  # type: ignore[union-attr]
        else:
            layer.weight.data[indices] = 0  # type: ignore[union-attr]
    split = read_split(data)
    losses = batch_losses(tiny, split, LossConfig(), batches=2, batch_size=4, seed=0)
    scores = importance(tiny, axes, kind, losses)[axis.name][0]
    assert scores[2] == scores.min() == 0
    assert (np.delete(scores, 2) > 0).all()


def test_taylor_is_the_change_of_the_loss_for_small_units(tiny: DepthNet, data: Path) -> None:
    axes = find_axes(tiny)
    axis = next(axis for axis in axes if axis.name == "decoder.widths.1")
    for name in ("decoder.1.pointwise.0", "decoder.2.narrow.0"):
        layer = tiny.get_submodule(name)
        # What reads the units: small, so that the loss is nearly linear in it.
        if name.endswith("narrow.0"):
            layer.weight.data *= 1e-3  # type: ignore[union-attr,operator]
    split = read_split(data)

    def losses() -> Any:
        return batch_losses(tiny, split, LossConfig(), batches=1, batch_size=8, seed=0)

    def value() -> float:
        return next(losses()).item()

    scores = importance(tiny, axes, "taylor", losses())[axis.name][1]
    before = value()
    reader = tiny.get_submodule("decoder.2.narrow.0").weight
    assert isinstance(reader, torch.Tensor)
    for unit in range(3):
        kept = reader.data.clone()
        reader.data[:, unit] = 0
        change = value() - before
        reader.data.copy_(kept)
        assert change**2 == pytest.approx(scores[unit], rel=0.1, abs=1e-12)


@pytest.mark.parametrize("of", ["macs", "parameters", "time"])
def test_the_cost_of_other_widths_is_known_without_building_them(tiny: DepthNet, of: Any) -> None:
    axes = find_axes(tiny)
    rows = layer_costs(tiny)
    # A table in which time goes with MACs, and something that stays.
    times = {row.name: float(row.macs) for row in rows} | {"(rest)": 1e6}
    model = cost_model(tiny, axes, of, times)
    keep = random_keep(axes, np.random.default_rng(3))
    after = layer_costs(prune_channels(tiny, axes, keep))
    expected = {
        "macs": sum(row.macs for row in after),
        "parameters": sum(row.parameters for row in after),
        "time": sum(row.macs for row in after) + 1e6,
    }
    counts = [len(keep[axis.name][0]) for axis in axes]
    assert model(counts) == pytest.approx(expected[of])


@pytest.mark.parametrize(
    ("of", "global_pruning", "part"),
    [  # Every two of them in every combination.
        *(("macs", True, 0.3), ("macs", False, 0.7)),
        *(("parameters", True, 0.7), ("parameters", False, 0.3)),
        *(("time", True, 0.3), ("time", False, 0.7)),
    ],
)
def test_the_target_is_met_within_three_percent(
    small: DepthNet, data: Path, tmp_path: Path, of: str, global_pruning: bool, part: float
) -> None:
    fields: dict[str, Any] = {of: part}
    if of == "time":
        rows = layer_costs(small)
        table = "layer,time_us\n" + "".join(f"{r.name},{r.macs / 1e4 + 1}\n" for r in rows)
        (tmp_path / "costs.csv").write_text(table)
        fields["costs"] = tmp_path / "costs.csv"
    config = PruneConfig(importance="magnitude", global_pruning=global_pruning, **fields)
    pruned, note = prune(small, config, work(data, tmp_path))
    assert part - 0.03 <= note["after"] / note["before"] <= part
    if of == "macs":
        assert note["after"] == macs(pruned)
    for axis in find_axes(small):
        width = note["widths"][axis.name][1]
        assert width == axis.width or width % 8 == 0
        assert width >= max(8, 0.25 * axis.width)


def test_floors_hold(small: DepthNet, data: Path, tmp_path: Path) -> None:
    config = PruneConfig(
        macs=0.75, min_fraction=0.7, min_channels=24, round_to=4, importance="magnitude"
    )
    _, note = prune(small, config, work(data, tmp_path))
    for before, after in note["widths"].values():
        assert after == before or (after >= 0.7 * before and after >= 24 and after % 4 == 0)


def test_choices_of_a_ghost_width_are_even() -> None:
    axis = Axis("a", 2, (("a", ((),) * 15),))
    assert choices(axis, round_to=7, min_channels=1, min_fraction=0) == [7, 14, 15]


def test_pruning_twice_goes_on_from_plain_numbers(
    small: DepthNet, data: Path, tmp_path: Path
) -> None:
    config = PruneConfig(macs=0.7, importance="magnitude")
    once, _ = prune(small, config, work(data, tmp_path))
    save_checkpoint(tmp_path / "once", once, name="x", training_data="", metrics={})
    loaded = load_checkpoint(tmp_path / "once").network
    twice, note = prune(loaded, config, work(data, tmp_path))
    assert 0.67 <= macs(twice) / macs(once) <= 0.7
    assert note["before"] == macs(once)


def test_rounds_train_between_and_resume_takes_what_is_there(
    tiny: DepthNet, data: Path, tmp_path: Path
) -> None:
    short = {"epochs": 1, "batch_size": 4}
    value = {"macs": 0.6, "rounds": 2, "batches": 2, "batch_size": 4, "between": short}
    value |= {"min_channels": 2, "round_to": 2, "training": short, "seed": 3}
    config = parse_config(PruneConfig, value, "test")
    result = apply(checkpoint_of(tiny), config, work(data, tmp_path / "out"))
    parts = [note["after"] / note["before"] for note in result.notes["rounds"]]
    assert all(part == pytest.approx(0.6**0.5, abs=0.03) for part in parts)
    assert macs(result.network) / macs(tiny) == pytest.approx(0.6, abs=0.03)
    again = apply(checkpoint_of(tiny), config, work(data, tmp_path / "out", resume=True))
    for key, weight in result.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[key], weight)
    assert again.notes == result.notes


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"macs": 0}, "macs: .*greater than 0"),
        ({"macs": 1.5}, "macs: .*less than 1"),
        ({}, "give exactly one of macs, parameters, time, budget, got none"),
        ({"macs": 0.5, "parameters": 0.5}, "exactly one"),
        ({"time": 0.5}, "time and costs go together"),
        ({"macs": 0.5, "importance": "luck"}, "importance: "),
        ({"macs": 0.5, "min_fraction": 2}, "min_fraction: "),
    ],
)
def test_a_wrong_config_is_one_line(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_config(PruneConfig, {"method": "prune", **fields}, "recipe")


def test_floors_that_forbid_the_target_are_reported(
    small: DepthNet, data: Path, tmp_path: Path
) -> None:
    config = PruneConfig(macs=0.1, min_fraction=0.8, importance="magnitude")
    with pytest.raises(
        UserError, match=r"the smallest allowed widths leave \d+% of the cost, the target is 10%"
    ):
        prune(small, config, work(data, tmp_path))


def test_a_wrong_table_of_costs_is_reported(small: DepthNet, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    with pytest.raises(UserError, match=r"cannot read .*costs\.csv"):
        read_times(path)
    path.write_text("name,ms\na,1\n")
    with pytest.raises(UserError, match="needs the columns layer and time_us"):
        read_times(path)
    path.write_text("layer,time_us\nhead,fast\n")
    with pytest.raises(UserError, match="line 2: time_us is 'fast'"):
        read_times(path)
    path.write_text("layer,time_us\nhead,-1\n")
    with pytest.raises(UserError, match="line 2: time_us is -1"):
        read_times(path)
    path.write_text("layer,time_us\nhead,1\n")
    config = PruneConfig(time=0.5, costs=path, importance="magnitude")
    with pytest.raises(UserError, match="has no time for 109 of the network's 110 layers"):
        prune(small, config, work(data, tmp_path))


def test_odd_ghost_widths_are_refused(config: TrainConfig) -> None:
    value = config.network.model_dump(mode="json")
    value["encoder"]["stages"][4][0]["mid"] = 31
    with pytest.raises(UserError, match=r"stages.4.0.mid is 31; .* needs even widths"):
        find_axes(DepthNet(parse_config(NetworkConfig, value, "test")))


def test_encoders_whose_widths_no_config_has_are_refused(tiny: DepthNet) -> None:
    encoder = TimmEncoderConfig(kind="timm", name="mobilenetv3_small_050")
    tiny.config = tiny.config.model_copy(update={"encoder": encoder})
    message = "pruning works on ghostnet and efficientnet-lite encoders; .* a timm encoder"
    with pytest.raises(UserError, match=message):
        find_axes(tiny)


def test_best_units_are_the_highest_in_their_order() -> None:
    axis = Axis("a", 1, (("x", ((),) * 4), ("y", ((),) * 4)))
    scores = {"a": [np.array([3.0, 1, 2, 0]), np.array([0.0, 1, 2, 3])]}
    assert best_units(axis, 2, scores) == [[0, 2], [2, 3]]

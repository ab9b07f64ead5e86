"""The sensitivity report: figures that agree with pruning itself, files that pruning takes."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import ghostdepth
import numpy as np
import pytest
import torch
from bench_depth.core.dataset import list_pairs
from bench_depth.core.errors import UserError
from bench_depth.timing.measure import TimingPlan
from ghostdepth import exploration
from ghostdepth_export.pages.sensitivity_page import Latency, write_page, write_tables
from ghostdepth_export.pi4.budget import layer_times as layer_times_module
from ghostdepth_export.pi4.budget.layer_times import REST, layer_times
from ghostdepth_export.pi4.budget.layers import match
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.compress.prune import read_times
from ghostdepth_train.config import NetworkConfig
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.pruning.channels import Axis, best_units, find_axes, prune_channels
from ghostdepth_train.pruning.importance import Scores, importance
from ghostdepth_train.pruning.latency import LatencyBudget
from ghostdepth_train.pruning.sensitivity import (
    FRACTIONS,
    Sensitivity,
    SensitivityFile,
    sensitivity,
)
from ghostdepth_train.pruning.widths import cost_model
from ghostdepth_train.run_folder import run_folder
from torch import nn

from tests import forks
from tests.train.making import SMALL


@pytest.fixture(scope="module")
def tiny() -> DepthNet:
    torch.manual_seed(0)
    return DepthNet(SMALL).eval()


def by_magnitude(network: DepthNet, axes: list[Axis]) -> Scores:
    return importance(network, axes, "magnitude", iter(()))


@pytest.mark.slow
def test_every_width_is_measured_alone(tiny: DepthNet, dataset: Path) -> None:
    pairs = list_pairs(dataset)[:1]
    done: list[tuple[int, int]] = []
    whole, rows = sensitivity(
        tiny,
        pairs,
        lambda axes: by_magnitude(tiny, list(axes)),
        on_step=lambda *counts: done.append(counts),
    )
    axes = find_axes(tiny)
    assert whole == evaluate(tiny, pairs).si_rmse
    assert [row.name for row in rows] == [axis.name for axis in axes]
    assert done[-1] == (3 * len(axes), 3 * len(axes))
    axis, row = axes[-1], rows[-1]
    keep = {axis.name: best_units(axis, axis.units // 2, by_magnitude(tiny, axes))}
    half = prune_channels(tiny, axes, keep)
    assert row.si_rmse[0.5] == evaluate(half, pairs).si_rmse
    for kind in ("macs", "parameters"):
        before, after = (sum(getattr(r, kind) for r in layer_costs(n)) for n in (tiny, half))
        assert row.saved[kind] == pytest.approx(1 - after / before)
    assert "time" not in row.saved


@pytest.mark.slow
def test_kill_9_then_resume_measures_no_width_twice(
    tiny: DepthNet, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def times(network: DepthNet, **_: object) -> dict[str, float]:
        """Other ones in each process."""
        return dict.fromkeys([*(row.name for row in layer_costs(network)), REST], os.getpid())

    monkeypatch.setattr(layer_times_module, "layer_times", times)
    save_checkpoint(tmp_path / "tiny", tiny, name="tiny", training_data="", metrics={})
    out = tmp_path / "out"
    words = ["sensitivity", "--checkpoint", tmp_path / "tiny", "--data", dataset, "--out", out]
    words += ["--measure", "--pictures", 1, "--importance", "magnitude"]
    kept = out / "measured.json"
    forks.kill(
        *words, once=lambda: kept.exists() and len(json.loads(kept.read_text())["rows"]) >= 2
    )
    # A figure that no measurement gives shows that its width is not measured again.
    before = json.loads(kept.read_text())
    before["rows"][0]["si_rmse"]["0.25"] = 9.0
    kept.write_text(json.dumps(before))
    forks.run(*words, "--resume")
    after = json.loads(kept.read_text())
    assert after["times"] == before["times"]
    assert after["rows"][: len(before["rows"])] == before["rows"]
    with (out / "widths.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [line["width"] for line in table] == [axis.name for axis in find_axes(tiny)]
    assert table[0]["si_rmse_0.25"] == "9.00000"


@pytest.mark.slow
def test_the_layers_are_predicted_for_the_runtime_and_board_that_are_named(
    tiny: DepthNet, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[LatencyBudget] = []

    def times(network: DepthNet, budget: LatencyBudget, log: object) -> dict[str, float]:
        asked.append(budget)
        return dict.fromkeys([*(row.name for row in layer_costs(network)), REST], 1000.0)

    monkeypatch.setattr(layer_times_module, "predicted_layer_times", times)
    save_checkpoint(tmp_path / "tiny", tiny, name="tiny", training_data="", metrics={})
    settings = {"importance": "magnitude", "pictures": 1, "board": "rpi5", "runtime": "litert"}
    out = tmp_path / "out"
    found = ghostdepth.sensitivity(tmp_path / "tiny", dataset, out, **settings)
    assert [(budget.board, budget.runtime) for budget in asked] == [("rpi5", "litert")]
    assert "of the int8 file with 4 threads in litert on rpi5." in found.page.read_text()
    with pytest.raises(UserError, match=r"measured\.json is of another checkpoint"):
        ghostdepth.sensitivity(
            tmp_path / "tiny", dataset, out, resume=True, **{**settings, "board": "rpi4"}
        )


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"board": "rpi6"}, "the predicted latency: board: Input should be 'rpi4', 'rpi4-1800'"),
        ({"runtime": "ncnn"}, "the predicted latency: runtime: Input should be '2.5', 'litert'"),
        ({"runtime": "litert", "measure": True}, "--measure times this machine; leave out"),
        ({"board": "rpi5", "measure": True}, "--measure times this machine; leave out"),
    ],
)
def test_a_board_that_cannot_be_predicted_is_refused_at_once(
    tmp_path: Path, settings: dict[str, Any], line: str
) -> None:
    with pytest.raises(UserError, match=line):
        ghostdepth.sensitivity("none", tmp_path / "none", tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_a_network_that_cannot_be_pruned_is_refused_at_once(tmp_path: Path) -> None:
    decoder = {"widths": [8, 8], "stream": {"channels": 4}}
    config = NetworkConfig.model_validate(SMALL.model_dump() | {"decoder": decoder})
    network = DepthNet(config)
    save_checkpoint(tmp_path / "one", network, name="one", training_data="", metrics={})
    with pytest.raises(UserError, match="this one carries a state"):
        ghostdepth.sensitivity(tmp_path / "one", tmp_path / "none", tmp_path / "out", measure=True)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_another_process_works_in_is_refused(
    tmp_path: Path, tiny: DepthNet, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its latency is predicted, which takes a minute."""
    save_checkpoint(tmp_path / "tiny", tiny, name="tiny", training_data="", metrics={})
    out = tmp_path / "out"
    predicted: list[DepthNet] = []
    monkeypatch.setattr(exploration, "_predicted", lambda network, *rest: predicted.append(network))
    refused = pytest.raises(UserError, match="is in use by the other one")
    with run_folder(out, "the other one"), refused:
        ghostdepth.sensitivity(tmp_path / "tiny", dataset, out, importance="magnitude", pictures=1)
    assert not predicted


def test_what_is_kept_is_read_again_by_the_same_run_alone(tmp_path: Path) -> None:
    path = tmp_path / "out" / "measured.json"
    row = Sensitivity("stem", 16, {"macs": 0.1, "parameters": 0.2}, {0.25: 0.3, 0.5: 0.4})
    first = SensitivityFile(path, {"seed": 0}, resume=False)
    first.add_times({"stem": 2.5})
    first.add(row)
    again = SensitivityFile(path, {"seed": 0}, resume=True)
    assert again.times == {"stem": 2.5} and again.rows == [row]
    with pytest.raises(UserError, match=r"out already holds a run; add --resume to continue"):
        SensitivityFile(path, {"seed": 0}, resume=False)
    with pytest.raises(UserError, match=r"measured\.json is of another checkpoint"):
        SensitivityFile(path, {"seed": 1}, resume=True)


def test_the_files_hold_the_figures_and_pruning_takes_them(tiny: DepthNet, tmp_path: Path) -> None:
    times = {row.name: 2.0 for row in layer_costs(tiny)} | {REST: 30.0}
    axes, whole = find_axes(tiny), 0.2
    rows = [
        Sensitivity(
            axis.name,
            axis.width,
            {"macs": 0.01 * place, "parameters": 0.02, "time": 0.03},
            {part: whole + part * place / 100 for part in FRACTIONS},
        )
        for place, axis in enumerate(axes)
    ]
    write_tables(tmp_path, layer_costs(tiny), times, whole, rows)
    assert read_times(tmp_path / "layers.csv") == times
    cost = cost_model(tiny, axes, "time", read_times(tmp_path / "layers.csv"))
    assert cost([axis.units for axis in axes]) == pytest.approx(sum(times.values()))
    with (tmp_path / "widths.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [line["width"] for line in table] == [row.name for row in rows]
    assert float(table[0]["si_rmse_0.75"]) == pytest.approx(rows[0].si_rmse[0.75], abs=1e-5)
    assert float(table[0]["saved_time"]) == pytest.approx(rows[0].saved["time"], abs=1e-5)
    latency = Latency(80.0, predicted="int8 file with 4 threads in litert on rpi5")
    write_page(tmp_path / "page.html", "tiny<1>", whole, rows, 1, "taylor", latency)
    page = (tmp_path / "page.html").read_text()
    assert "tiny&lt;1&gt;" in page and "<svg" in page
    assert "<td>3.0 %<small>2.40 ms</small></td>" in page and "80.00 ms" in page
    assert "predicted, not measured: of the int8 file with 4 threads in litert on rpi5." in page
    for row in rows:
        shown = row.name.replace(".", ".<wbr>")
        assert f">{shown}<" in page
        assert all(f"<td>{row.si_rmse[part]:.4f}</td>" in page for part in FRACTIONS)


def test_an_op_is_found_whatever_export_did_to_its_weights(tiny: DepthNet) -> None:
    rng = np.random.default_rng(0)
    layers = {n: m for n, m in tiny.named_modules() if isinstance(m, nn.Conv2d)}
    names = list(rng.permutation(list(layers)))
    kernels = []
    for name in names:
        weight = layers[name].weight.detach().numpy()
        # Batch norm folds a factor into each channel.
        kernels.append(weight * rng.uniform(0.2, 3, (len(weight), 1, 1, 1)).astype(np.float32))
    found = match(kernels, tiny)
    # Where a layer has one weight per channel, as a 1x1 convolution of one channel, none can tell.
    telling = [i for i, name in enumerate(names) if layers[name].weight[0].numel() > 2]
    assert [found[i] for i in telling] == [names[i] for i in telling]
    assert sorted(found) == sorted(layers)


@pytest.mark.slow
def test_every_layer_of_the_file_is_timed(tiny: DepthNet) -> None:
    plan = TimingPlan(warmup=1, min_runs=3, min_time=0)
    times = layer_times(tiny, (48, 64), plan)
    assert set(times) == {row.name for row in layer_costs(tiny)} | {REST}
    assert all(time > 0 for name, time in times.items() if name != REST)

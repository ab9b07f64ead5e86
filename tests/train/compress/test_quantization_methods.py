"""The methods `calibrate` and `qat` as a recipe runs them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from bench_depth.core.errors import UserError
from bench_depth.core.files import read_json
from ghostdepth_train.checkpoint import load_checkpoint, save_checkpoint
from ghostdepth_train.compress import Work, compress, run_recipe
from ghostdepth_train.compress.methods import method_config
from ghostdepth_train.compress.qat import QatTrainer
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.quantization import Trunk, read_ranges

from tests.train.making import SMALL

SHORT = {"epochs": 2, "batch_size": 4, "warmup_epochs": 0.5}


@pytest.fixture
def start(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = DepthNet(SMALL).eval()
    torch.nn.init.normal_(network.head.weight, std=0.05)
    folder = tmp_path / "start"
    save_checkpoint(folder, network, name="toy", training_data="rooms", metrics={})
    return folder


def test_calibrate_gives_a_range_of_every_quantized_tensor_and_leaves_its_input(
    start: Path, work: Work
) -> None:
    checkpoint = load_checkpoint(start)
    before = {k: v.clone() for k, v in checkpoint.network.state_dict().items()}
    step = {"method": "calibrate", "equalization": True, "bias_correction": True}
    result = compress(checkpoint, method_config(step, "x"), work)
    names = Trunk.of(result.network).quantized.range_names()
    assert len(read_ranges(result.ranges, names, "x")) == len(names)
    assert result.notes["photos"] == 10
    assert result.notes["int8_validation"]["si_rmse"] > 0
    after = checkpoint.network.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_calibrate_gives_the_same_twice(start: Path, work: Work) -> None:
    config = method_config({"method": "calibrate"}, "x")
    one, two = (compress(load_checkpoint(start), config, work) for _ in range(2))
    assert one.ranges == two.ranges
    states = one.network.state_dict(), two.network.state_dict()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"method": "calibrate", "percentile": 101}, "percentile: Input should be less than"),
        ({"method": "calibrate", "ranges": "best"}, "ranges: Input should be 'minmax'"),
        ({"method": "calibrate", "images": 1}, "images: Input should be greater than"),
    ],
)
def test_wrong_settings_are_named(step: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        method_config(step, "x")


def test_qat_takes_the_rule_of_its_start_only(start: Path, work: Work) -> None:
    config = method_config({"method": "qat", "start": {"equalization": True}}, "x")
    with pytest.raises(UserError, match="put a calibrate step before qat"):
        compress(load_checkpoint(start), config, work)


@pytest.mark.slow
def test_qat_learns_scales_and_goes_on_after_a_kill(
    start: Path, work: Work, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe = [
        method_config({"method": "calibrate"}, "x"),
        method_config({"method": "qat", "training": SHORT}, "x"),
    ]
    final = run_recipe(start, recipe, work)
    whole = load_checkpoint(final)
    calibrated_at = work.out / "1-calibrate" / "result"
    calibrated = load_checkpoint(calibrated_at)
    assert whole.ranges is not None
    assert whole.ranges != calibrated.ranges
    assert whole.ranges["activations"].keys() == calibrated.ranges["activations"].keys()
    log = (work.out / "2-qat" / "run" / "log.csv").read_text().splitlines()
    assert len(log) == 3
    notes = whole.metrics["steps"][-1]["notes"]
    assert notes["int8_validation"]["si_rmse"] == pytest.approx(
        min(float(row.split(",")[log[0].split(",").index("si_rmse")]) for row in log[1:]), rel=1e-6
    )

    # Killed in the second epoch, the same recipe comes to the same result.
    again = dataclasses.replace(work, out=tmp_path / "again", resume=True)
    shutil.copytree(work.out, again.out, ignore=shutil.ignore_patterns("2-qat", "result"))
    shutil.copytree(calibrated_at, again.out / "1-calibrate" / "result")
    steps = 0
    real = QatTrainer.step

    def killed(self: QatTrainer, *args: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 4:
            raise KeyboardInterrupt
        return real(self, *args)

    monkeypatch.setattr(QatTrainer, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        run_recipe(start, recipe, again)
    monkeypatch.setattr(QatTrainer, "step", real)
    resumed = load_checkpoint(run_recipe(start, recipe, again))
    assert resumed.ranges == whole.ranges
    assert resumed.sha256 == whole.sha256
    assert read_json(again.out / "result" / "ranges.json") == whole.ranges

"""The benchmark of pretraining: every arm has the same time, whatever its config and fraction."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.csv_files import csv_rows

from tests.conftest import benchmark

ROOT = Path(__file__).parents[3]

SMALL = ["--set", "network.input_width=64", "--set", "batch_size=2"]


@pytest.fixture
def measuring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark with few codes and a results file of its own."""
    module = benchmark("pretraining", "papers")
    monkeypatch.setattr(module, "RESULTS", tmp_path / "pretraining.csv")
    load = module.load_pretrain_config

    def small(name: str, changes: dict[str, object], settings: dict[str, object]) -> object:
        codes = {"codes": 8, "channels": 8, "batch_size": 4, "subsample": 0}
        return load(name, changes, {**settings, **codes})

    monkeypatch.setattr(module, "load_pretrain_config", small)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    return module


@pytest.fixture
def bench(measuring: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, whose trainings take a second a step and pretrainings two at their start."""
    costs = {arm: {"start": 2.0, "step": 1.0} for arm in measuring.ARMS}
    monkeypatch.setattr(measuring.Bench, "costs", costs)
    return measuring


@pytest.fixture
def call(data: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of a benchmark that takes seconds; the result is `sys.argv`."""
    for name in ("wide", "narrow"):
        (tmp_path / f"{name}.yaml").write_text("base: tiny\n")
    folders = ["--data", str(data), "--images", str(images), "--runs", str(tmp_path / "runs")]
    arms = ["--arms", "from scratch", "skip-gram", "cbow", "--seeds", "0", *SMALL]
    arguments = ["pretraining.py", *folders, *arms, "--seconds", "15", "--fractions", "0.5", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    return arguments


def test_every_arm_has_the_same_time_and_nothing_is_measured_twice(
    bench: ModuleType,
    call: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call += ["--config", str(tmp_path / "wide.yaml")]
    assert bench.main() == 0
    rows = csv_rows(bench.RESULTS)
    assert [row["arm"] for row in rows] == 2 * ["from scratch", "skip-gram", "cbow"]
    for row in rows:
        assert float(row["pretraining_seconds"]) + int(row["steps"]) == 15
        passes = 2 * int(row["steps"]) / int(row["pairs"])
        assert float(row["epochs"]) == pytest.approx(passes, abs=0.05)
    assert {row["pretraining_seconds"] for row in rows if row["arm"] != "from scratch"} == {"5.0"}
    printed = capsys.readouterr().out
    assert "| encoder | wide, 15 s, 50% of the pairs | wide, 15 s, 100% of the pairs |" in printed
    row_of = bench.Bench.row
    monkeypatch.setattr(bench.Bench, "row", lambda *_: pytest.fail("measured again"))
    assert bench.main() == 0
    assert capsys.readouterr().out == printed
    monkeypatch.setattr(bench.Bench, "row", row_of)
    call[-1] = str(tmp_path / "narrow.yaml")
    call += ["--arms", "from scratch", "--fractions", "1", "--runs", str(tmp_path / "others")]
    assert bench.main() == 0
    assert csv_rows(bench.RESULTS)[: len(rows)] == rows
    assert "| from scratch | 0." in capsys.readouterr().out
    assert len(csv_rows(bench.RESULTS)) == len(rows) + 1


@pytest.mark.parametrize(
    ("checkpoint", "width"),
    [("ghostdepth-nano", 96), (f"{ROOT}/benchmarks/compression/ghostdepth-xxs", 160)],
)
def test_a_checkpoint_is_a_config_of_its_network(
    checkpoint: str, width: int, bench: ModuleType, tmp_path: Path
) -> None:
    path = Path(bench._config(checkpoint, tmp_path))
    assert path.stem == Path(checkpoint).name
    assert bench.load_train_config(str(path)).network.input_width == width
    assert bench._config("tiny", tmp_path) == "tiny"


def test_a_pretraining_longer_than_all_of_the_time_is_one_line(
    bench: ModuleType, call: list[str]
) -> None:
    call += ["--seconds", "5"]
    with pytest.raises(UserError, match="one epoch of skip-gram on 13 images takes 5 s; raise"):
        bench.main()


def test_costs_are_of_the_arms_asked_for_and_measured_once(
    measuring: ModuleType, call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_TIMED", 1)
    rows: list[dict[str, object]] = []
    monkeypatch.setattr(measuring.Bench, "row", lambda self, *_: rows.append(self.costs) or {})
    monkeypatch.setattr(measuring, "csv_bytes", lambda _: b"")
    call += ["--arms", "cbow", "--fractions", "1"]
    assert measuring.main() == 0
    assert measuring.main() == 0
    first, second = rows
    assert list(first) == ["from scratch", "cbow"] and first == second
    assert all(cost["step"] > 0 for cost in first.values())
    assert first["from scratch"]["start"] == 0 < first["cbow"]["start"]
    assert (tmp_path / "runs" / "costs.json").is_file()

"""The runs behind the compression tables can be made from what the repository holds."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest
from ghostdepth_train.compress.distil import DistilConfig
from ghostdepth_train.compress.methods import method_config

from tests.conftest import benchmark

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    module = benchmark("compression.run")
    monkeypatch.setattr(module, "OUT", tmp_path)
    return module


def test_every_step_start_and_teacher_is_there(run: ModuleType) -> None:
    runs = run.read_runs()
    assert runs
    for name, wanted in runs.items():
        start = wanted["start"]
        assert start in runs or (ROOT / start / "model.safetensors").is_file()
        for step in wanted["steps"]:
            config = method_config(step, name)
            if isinstance(config, DistilConfig):
                assert all((ROOT / t / "model.safetensors").is_file() for t in config.teachers)


def test_starts_come_first_and_a_complete_one_is_left_alone(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[tuple[str, int]] = []
    monkeypatch.setattr(run, "run", lambda name, seed, _: done.append((name, seed)) or 0)
    runs = {
        "third": {"start": "second", "seeds": [0, 1]},
        "second": {"start": "first", "seeds": [0, 1]},
        "first": {"start": "models/x", "seeds": [0]},
    }
    monkeypatch.setattr(run, "read_runs", lambda: runs)
    assert run.main(Namespace(names=["third"], jobs=1)) == 0
    assert done == [("first", 0), ("second", 0), ("third", 0), ("third", 1)]
    done.clear()
    for name in ("first-0", "second-0"):
        (tmp_path / name / "result").mkdir(parents=True)
        (tmp_path / name / "result" / "metrics.json").touch()
    run.main(Namespace(names=["third", "second"], jobs=1))
    assert done == [("third", 0), ("third", 1), ("second", 1)]


def test_the_worst_exit_code_is_that_of_all(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "run", lambda _name, seed, _: 2 if seed == 0 else 0)
    monkeypatch.setattr(run, "read_runs", lambda: {"a": {"start": "models/x", "seeds": [0, 1]}})
    assert run.main(Namespace(names=[], jobs=2)) == 2

"""One command makes a released network again; the steps are those of the committed logs."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.compress import load_recipe
from ghostdepth_train.compress.distil import DistilConfig
from ghostdepth_train.config import load_train_config
from ghostdepth_train.config.settings import parse_settings
from ghostdepth_train.csv_files import csv_rows

from tests.conftest import benchmark

ROOT = Path(__file__).resolve().parents[3]
RELEASED = sorted(path.parent.name for path in ROOT.glob("models/*/model.safetensors"))


@pytest.fixture
def make() -> ModuleType:
    return benchmark("reproduce.make")


def _option(words: list[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words else None


def test_every_released_network_has_its_steps(make: ModuleType) -> None:
    assert sorted(make.read_steps()) == RELEASED


def _kept_logs(commit: str, folder: str) -> set[str]:
    """The logs of a network that was released before, as the history has them."""
    command = ["git", "-C", str(ROOT), "ls-tree", "--name-only", f"{commit}:{folder}"]
    found = subprocess.run(command, check=False, capture_output=True, text=True)
    if found.returncode:
        pytest.skip("this clone has no history")
    return {name for name in found.stdout.split() if name.startswith("log-")}


def _planned_epochs(verb: str, words: list[str]) -> list[int]:
    """The epochs of every training of a step."""
    if verb == "train":
        config = load_train_config(_option(words, "--config") or "")
        return [int(_option(words, "--epochs") or config.epochs)]
    if verb == "label":
        return []
    changes = parse_settings([b for a, b in itertools.pairwise(words) if a == "--set"])
    recipe = load_recipe(_option(words, "--recipe") or "", settings=changes)
    return [step.training.epochs for step in recipe if isinstance(step, DistilConfig)]


@pytest.mark.parametrize("name", RELEASED)
def test_the_steps_are_those_whose_logs_are_committed(make: ModuleType, name: str) -> None:
    folder, logs = ROOT / "models" / name, set()
    *steps, release = make.commands(name, Path("DATA"), Path("PHOTOS"), Path("RUNS"))
    runs = [word for before, word in itertools.pairwise(release) if before == "--run"]
    for command in steps:
        if command[0] == str(make.KEPT):
            _, commit, folder_before, out = command
            logs |= _kept_logs(commit, folder_before) if out in runs else set()
            continue
        _, _, verb, *words = command
        planned = _planned_epochs(verb, words)
        log = f"log-{Path(_option(words, '--out') or '').name}.csv"
        for epochs in planned:
            assert len(csv_rows(folder / log)) == epochs
            assert _option(words, "--seed") is not None
            logs.add(log)
    assert logs == {path.name for path in folder.glob("log-*.csv")}
    epochs = sum(len(csv_rows(folder / log)) for log in logs)
    assert epochs == json.loads((folder / "metrics.json").read_text())["epochs"]
    config = json.loads((folder / "config.json").read_text())
    assert _option(release, "--trained-on") == config["training_data"]
    assert float(_option(release, "--hfov") or "") == config["network"]["hfov"]
    own = name.removeprefix("ghostdepth-") + "-"
    assert runs == [f"RUNS/{step}" for step in make.read_steps()[name] if step.startswith(own)]


def test_a_network_that_was_released_before_is_taken_once(tmp_path: Path) -> None:
    kept, folder = benchmark("reproduce.kept"), f"models/{RELEASED[0]}"
    _kept_logs("HEAD", folder)
    out = tmp_path / "runs" / "before"
    kept.take("HEAD", folder, out)
    assert load_checkpoint(out).name == RELEASED[0]
    (out / "model.safetensors").unlink()
    kept.take("HEAD", folder, out)
    assert not (out / "model.safetensors").exists()
    with pytest.raises(UserError, match="no models/other at HEAD; it takes a whole clone"):
        kept.take("HEAD", "models/other", tmp_path / "other")
    assert [path.name for path in tmp_path.rglob("*") if path.name.startswith("tmp")] == []


@pytest.mark.parametrize("name", RELEASED)
def test_a_step_starts_from_earlier_ones(make: ModuleType, name: str) -> None:
    made: set[str] = set()
    for step, line in make.read_steps()[name].items():
        used = set(re.findall(r"\$RUNS/([\w-]+)", line))
        assert used <= made
        made.add(step)


@pytest.fixture
def ran(make: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What make.py has started; the first command of `ghostdepth` fails."""
    found: list[list[str]] = []

    def run(command: list[str], check: bool) -> SimpleNamespace:
        found.append(command)
        return SimpleNamespace(returncode=3 if command[1] == "-m" else 0)

    monkeypatch.setattr(make.subprocess, "run", run)
    return found


def test_the_first_command_that_fails_is_the_last(
    make: ModuleType, monkeypatch: pytest.MonkeyPatch, ran: list[list[str]]
) -> None:
    monkeypatch.setattr(sys, "argv", ["make.py", "ghostdepth-s", "--data", "D", "--runs", "R"])
    assert make.main() == 3
    assert [command[1:3] for command in ran] == [[str(make.KEPT), "aad52d5"], ["-m", "ghostdepth"]]
    assert ran[1][3:6] == ["train", "--config", "s-finish"]
    assert ran[1][-5:] == ["--data", "D", "--out", "R/s-soft", "--resume"]


def test_photos_are_labelled_where_they_are_given_and_asked_for_where_not(
    make: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    ran: list[list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["make.py", "ghostdepth-m", "--data", "D", "--runs", "R"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        make.main()
    assert "give --photos" in capsys.readouterr().err and not ran
    monkeypatch.setattr(sys, "argv", [*words, "--photos", "P"])
    assert make.main() == 3
    *kept, label = ran
    assert {command[1] for command in kept} == {str(make.KEPT)}
    assert label[1:4] == ["-m", "ghostdepth", "label"]
    assert label[-4:] == ["--unlabelled", "P", "--out", "R/labels-ours"]


@pytest.mark.parametrize("name", RELEASED)
def test_the_card_names_the_one_command_and_every_log(name: str) -> None:
    card = (ROOT / "models" / name / "README.md").read_text()
    assert f"python benchmarks/reproduce/make.py {name} --data DATA" in card
    assert "ghostdepth train" not in card
    logs = [path.name for path in (ROOT / "models" / name).glob("log-*.csv")]
    assert all(f"`{log}`" in card for log in logs)


def test_the_cards_commands_move_the_validation_pairs_of_the_figures(tmp_path: Path) -> None:
    card = (ROOT / "models" / "ghostdepth-s" / "README.md").read_text()
    convert, commands = (
        card.split("```sh\n")[1].split("```")[0].replace("DATA", str(tmp_path)).split("\n", 1)
    )
    assert convert.split()[:2] == ["ghostdepth", "convert"]
    for kind, ending in (("rgb", "jpg"), ("depth", "png")):
        (tmp_path / "train" / kind).mkdir(parents=True)
        for index in range(1449):
            (tmp_path / "train" / kind / f"{index:04d}.{ending}").touch()
    subprocess.run(["sh", "-euc", commands], cwd=ROOT, check=True)
    metrics = json.loads((ROOT / "models" / "ghostdepth-s" / "metrics.json").read_text())
    for kind in ("rgb", "depth"):
        held = list((tmp_path / "val" / kind).iterdir())
        assert len(held) == metrics["validation_images"]
        assert len(list((tmp_path / "train" / kind).iterdir())) == 1449 - len(held)

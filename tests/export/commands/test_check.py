"""`ghostdepth check`, and what a training prints before and while it runs."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bench_depth.core.dataset import list_pairs, read_depth, write_depth
from bench_depth.core.errors import BAD_INPUT, WARNED, UserError
from ghostdepth import evaluate
from ghostdepth.commands.app import TrainingLines, duration
from ghostdepth_export.host.screen import Screen
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.config import load_train_config
from ghostdepth_train.models.network import DepthNet
from rich.progress import Progress

from tests.export.conftest import Command


def copy_of(dataset: Path, target: Path, factor: float, part: slice = slice(None)) -> Path:
    """A part of the dataset with its depth in another unit."""
    (target / "rgb").mkdir(parents=True)
    for pair in list_pairs(dataset)[part]:
        (target / "rgb" / pair.rgb.name).write_bytes(pair.rgb.read_bytes())
        write_depth(target / "depth" / pair.depth.name, read_depth(pair.depth) * factor)
    return target


def test_plausible_data_is_described(dataset: Path, command: Command) -> None:
    done = command("check", dataset, "--strict")
    assert "6 pairs: 6 of 128x96" in done.out and "nothing looks implausible" in done.out
    rows = [line.split() for line in done.out.splitlines() if "#" in line]
    assert sum(float(row[row.index("%") - 1]) for row in rows) == pytest.approx(100, abs=1)


def test_each_warning_has_its_code_and_strict_fails_on_it(
    dataset: Path, tmp_path: Path, command: Command
) -> None:
    data = copy_of(dataset, tmp_path / "data", 0.001, slice(4))
    done = command("check", data)
    assert "multiply it by 1000" in done.out
    done = command("check", data, "--strict", code=WARNED)
    assert "depth-metres" in done.err
    copy_of(dataset, tmp_path / "both" / "val", 1, slice(4, None))
    data.rename(data := tmp_path / "both" / "train")
    done = command("check", tmp_path / "both")
    train, _, val = done.out.partition(f"{tmp_path / 'both' / 'val'}")
    assert "depth-metres" in train and "nothing" not in train and "nothing looks" in val
    out = tmp_path / "run"
    words = ["train", "--config", "tiny", "--data", data, "--out", out, "--workers", 0, "--strict"]
    done = command(*words, code=WARNED)
    assert "warning: training set: " in done.err and not out.exists()


def test_validation_on_the_training_set_is_warned_of(
    dataset: Path, tmp_path: Path, command: Command
) -> None:
    copy_of(dataset, tmp_path / "both" / "train", 1)
    copy_of(dataset, tmp_path / "both" / "val", 1, slice(4, None))
    done = command("check", tmp_path / "both", "--strict", code=WARNED)
    assert "photo-shared" in done.err
    words = ["train", "--config", "tiny", "--data", dataset, "--val", dataset, "--workers", 0]
    done = command(*words, "--out", tmp_path / "run", "--strict", code=WARNED)
    assert "photo-shared" in done.err and "and 5 more" in done.err


def test_a_training_ends_before_it_starts_where_a_file_is_bad(
    dataset: Path, tmp_path: Path, command: Command
) -> None:
    data, out = copy_of(dataset, tmp_path / "data", 1), tmp_path / "run"
    bad = data / "depth" / "4.png"
    bad.write_bytes(bad.read_bytes()[:-10])
    words = ["train", "--config", "tiny", "--data", data, "--out", out, "--workers", 0]
    done = command(*words, code=BAD_INPUT)
    (line,) = done.err.splitlines()
    assert f"{bad} is not a readable picture" in line and not out.exists()
    bad.unlink()
    for verb in ("check", "evaluate"):
        words = ["--checkpoint", tmp_path, "--data"] if verb == "evaluate" else []
        done = command(verb, *words, data, code=BAD_INPUT)
        assert "photo 4 has no depth map" in done.err


def test_a_network_that_gives_a_constant_is_warned_of(dataset: Path, tmp_path: Path) -> None:
    network = DepthNet(load_train_config("tiny").network)
    with torch.no_grad():
        network.head.weight.zero_()
    save_checkpoint(tmp_path / "c", network, name="n", training_data="t", metrics={})
    pairs, lines = copy_of(dataset, tmp_path / "data", 1), list[str]()
    evaluate(tmp_path / "c", pairs, log=lines.append)
    assert any("same depth for every pixel" in line and "output-constant" in line for line in lines)
    with pytest.raises(UserError, match=r"--strict: .*output-constant") as error:
        evaluate(tmp_path / "c", pairs, strict=True)
    assert error.value.exit_code == WARNED


def test_a_training_is_reported_line_by_line_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = np.arange(0, 1e6, 1.0).tolist()[::-1]
    monkeypatch.setattr("time.monotonic", clock.pop)
    text = io.StringIO()
    console = Screen(file=text, width=60)
    lines = TrainingLines(Progress(console=console, disable=True), "training")
    for epoch in (1, 2):
        for step in range(1, 11):
            lines.step(10 * (epoch - 1) + step, 20, 0.5, 8.0)
        row = {"epoch": float(epoch), "loss": 0.5}
        metrics = {"si_rmse": 0.25, "rmse": 1.0, "delta_1": 0.5} if epoch == 2 else {}
        lines.epoch(row | metrics)
    first, second, third = text.getvalue().splitlines()
    assert first.startswith("about ") and "not counting validation" in first
    assert second.startswith("epoch 1/2: loss 0.5000, ") and second.endswith(" left")
    assert third.startswith("epoch 2/2: loss 0.5000, validation si-RMSE 0.2500, RMSE 1.000 m")


@pytest.mark.parametrize("steps", [2, 4, 9, 10, 40])
def test_short_trainings_tell_how_long_they_take_too(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    text = io.StringIO()
    console = Screen(file=text, width=60)
    lines = TrainingLines(Progress(console=console, disable=True), "training")
    for step in range(1, steps + 1):
        clock[0] += 10.0
        lines.step(step, steps, 0.5, 8.0)
        if text.getvalue():
            break
    assert 1 <= step < steps
    assert text.getvalue().startswith(f"about {duration(10.0 * (steps - step))} on this machine")


def test_durations_are_words() -> None:
    texts = [duration(seconds) for seconds in (3.4, 89, 300, 3600 * 3 + 1200)]
    assert texts == ["3 s", "89 s", "5 min", "3 h 20 min"]


@pytest.mark.parametrize("program", ["ghostdepth", "bench_depth"])
def test_a_picture_that_opencv_has_words_for_is_one_line(
    dataset: Path, tmp_path: Path, program: str
) -> None:
    data = shutil.copytree(dataset, tmp_path / "data")
    photo = min((data / "rgb").iterdir())
    photo.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, 0xFFFF) + bytes(64))
    before = {"ghostdepth": ["check"], "bench_depth": ["ghostdepth-nano", "--data"]}[program]
    words = [*before, str(data)]
    done = subprocess.run(
        [sys.executable, "-m", program, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and f"{photo} is not a readable picture" in done.stderr

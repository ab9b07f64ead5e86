"""Recipes: every step is kept, nothing is done twice, and nobody's run is mixed with another's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from bench_depth.errors import UserError
from ghostdepth_train.checkpoint import load_checkpoint, save_checkpoint
from ghostdepth_train.compress import Work, load_recipe, recipe_names, run_recipe
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.data import read_split
from ghostdepth_train.network import DepthNet

TWO_STEPS = """
- method: finetune
  training: {epochs: 1, batch_size: 4}
- method: finetune
  seed: 3
  training: {epochs: 2, batch_size: 4}
"""


@pytest.fixture
def checkpoint(tmp_path: Path, config: TrainConfig) -> Path:
    torch.manual_seed(0)
    folder = tmp_path / "start"
    save_checkpoint(
        folder, DepthNet(config.network).eval(), name="tiny", training_data="test", metrics={}
    )
    return folder


def recipe_file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return str(path)


def work(data: Path, out: Path, *, resume: bool = False) -> Work:
    return Work(out=out, split=read_split(data), workers=0, resume=resume)


def test_each_step_is_a_checkpoint_and_the_last_is_the_result(
    data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_file(tmp_path, TWO_STEPS))
    result = run_recipe(checkpoint, recipe, work(data, tmp_path / "out"))
    final = load_checkpoint(result)
    second = load_checkpoint(tmp_path / "out" / "2-finetune" / "result")
    assert final.sha256 == second.sha256
    assert final.name == "tiny-finetune-finetune"
    steps = final.metrics["steps"]
    assert [step["method"] for step in steps] == ["finetune", "finetune"]
    first = load_checkpoint(tmp_path / "out" / "1-finetune" / "result")
    assert first.sha256 != second.sha256
    assert steps[0]["validation"] == first.metrics["validation"]
    assert steps[1]["parameters"] == sum(p.numel() for p in final.network.parameters())


def test_resume_does_no_complete_step_again(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file(tmp_path, TWO_STEPS))
    out = tmp_path / "out"
    before = load_checkpoint(run_recipe(checkpoint, recipe, work(data, out)))
    for path in (out / "1-finetune" / "run").rglob("*.safetensors"):
        path.unlink()
    said: list[str] = []
    again = Work(out=out, split=read_split(data), workers=0, resume=True, say=said.append)
    assert load_checkpoint(run_recipe(checkpoint, recipe, again)).sha256 == before.sha256
    assert not [line for line in said if line.startswith("step")]


@pytest.mark.slow
def test_kill_9_then_resume_gives_the_undisturbed_result(
    data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    name = recipe_file(tmp_path, TWO_STEPS.replace("epochs: 2", "epochs: 4"))

    def command(out: Path, *more: str) -> list[str]:
        start = "from ghostdepth_export.cli import main; main()"
        arguments = ["compress", "--checkpoint", str(checkpoint), "--recipe", name]
        arguments += ["--data", str(data), "--out", str(out), *more]
        return [sys.executable, "-c", start, *arguments]

    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(whole), check=True, env=environment, capture_output=True)
    process = subprocess.Popen(
        command(broken), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (broken / "2-finetune" / "run" / "last" / "training.safetensors").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run(command(broken, "--resume"), check=True, env=environment, capture_output=True)
    assert load_checkpoint(whole / "result").sha256 == load_checkpoint(broken / "result").sha256


def test_a_folder_with_a_run_is_not_overwritten(
    data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_file(tmp_path, TWO_STEPS))
    run_recipe(checkpoint, recipe, work(data, tmp_path / "out"))
    with pytest.raises(UserError, match="already holds a run; add --resume"):
        run_recipe(checkpoint, recipe, work(data, tmp_path / "out"))
    with pytest.raises(UserError, match="another recipe"):
        run_recipe(checkpoint, recipe[:1], work(data, tmp_path / "out", resume=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- method: shrink", r"step 1: unknown method 'shrink'; choose from snip, "),
        ("- finetune", r"step 1: unknown method None"),
        ("- {method: finetune}\n- {method: finetune, epoch: 3}", "step 2: finetune: epoch: Extra"),
        ("- {method: finetune, training: {epochs: 0}}", "training.epochs: .*greater than"),
        ("method: finetune", "is not a list of steps"),
        ("[", "is not valid YAML"),
    ],
)
def test_a_wrong_recipe_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_recipe(recipe_file(tmp_path, text))
    assert "\n" not in str(caught.value) or text == "["


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"unknown recipe 'nope'.*finetune"):
        load_recipe("nope")


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_are_valid(name: str) -> None:
    assert load_recipe(name, seed=7)[0].seed == 7


def test_the_resolved_recipe_lies_beside_the_result(
    data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_file(tmp_path, TWO_STEPS))
    run_recipe(checkpoint, recipe, work(data, tmp_path / "out"))
    resolved = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert resolved["steps"][1]["seed"] == 3
    assert resolved["steps"][1]["training"]["learning_rate"] == 2e-3


@pytest.mark.parametrize("name", ["snip", "lottery", "qat", "int8"])
def test_methods_of_convolutions_refuse_adders(
    data: Path, config: TrainConfig, tmp_path: Path, name: str
) -> None:
    network = DepthNet(config.network.model_copy(update={"adder": ("decoder.0.pointwise.0",)}))
    folder = tmp_path / "adders"
    save_checkpoint(folder, network.eval(), name="a", training_data="", metrics={})
    with pytest.raises(UserError, match="works on convolutions; this network has 1 adder"):
        run_recipe(folder, load_recipe(name), work(data, tmp_path / "out"))

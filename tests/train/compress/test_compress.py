"""Recipes: every step is kept, nothing is done twice, and nobody's run is mixed with another's."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bench_depth.core.errors import UserError
from bench_depth.core.files import read_json
from ghostdepth_train.checkpoint import load_checkpoint, save_checkpoint
from ghostdepth_train.compress import Work, load_recipe, recipe_names, run_recipe
from ghostdepth_train.compress import recipe as recipe_module
from ghostdepth_train.compress.methods import METHODS
from ghostdepth_train.compress.recipe import _last_step
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.data import read_split
from ghostdepth_train.models.network import DepthNet

from tests import forks
from tests.train.making import saved, work

TWO_STEPS = """
- method: finetune
  training: {epochs: 1, batch_size: 4}
- method: finetune
  seed: 3
  training: {epochs: 2, batch_size: 4}
"""

PRUNED_STEP = """
- method: lottery
  rounds: 2
  rewind: early
  rewind_step: 2
  training: {epochs: 3, batch_size: 4}
"""

ONE_STEP = """
- method: finetune
  training: {epochs: 3, batch_size: 4}
"""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return saved(tmp_path / "start", name="tiny", training_data="test")


def recipe_file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return str(path)


def test_each_step_is_a_checkpoint_and_the_result_lies_beside_the_resolved_recipe(
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
    resolved = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert resolved["steps"][1]["seed"] == 3
    assert resolved["steps"][1]["training"]["learning_rate"] == 2e-3


def test_a_result_says_what_its_start_was_trained_on_unless_told_more(
    data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_file(tmp_path, ONE_STEP))
    plain = run_recipe(checkpoint, recipe, work(data, tmp_path / "plain"))
    assert load_checkpoint(plain).training_data == "test"
    told = dataclasses.replace(work(data, tmp_path / "told"), training_data="test; then rooms")
    final = run_recipe(checkpoint, recipe, told)
    assert load_checkpoint(final).training_data == "test; then rooms"
    step = load_checkpoint(tmp_path / "told" / "1-finetune" / "result")
    assert step.training_data == "test; then rooms"


def test_resume_does_no_complete_step_again(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file(tmp_path, TWO_STEPS))
    out = tmp_path / "out"
    before = load_checkpoint(run_recipe(checkpoint, recipe, work(data, out)))
    for path in (out / "1-finetune" / "run").rglob("*.safetensors"):
        path.unlink()
    said: list[str] = []
    again = Work(out=out, split=read_split(data), workers=0, resume=True, log=said.append)
    assert load_checkpoint(run_recipe(checkpoint, recipe, again)).sha256 == before.sha256
    assert not [line for line in said if line.startswith("step")]


@pytest.mark.slow
def test_kill_9_inside_a_step_then_resume_gives_the_undisturbed_result(
    data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    first, _, _ = TWO_STEPS.rpartition("- method")
    name = recipe_file(tmp_path, first + PRUNED_STEP)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run_recipe(checkpoint, load_recipe(name), work(data, whole))
    words = ["compress", "--checkpoint", checkpoint, "--recipe", name, "--data", data]
    words += ["--out", broken]
    step = Path("2-lottery")
    # Written when there is an epoch to continue from, here in a round that has others behind it.
    state = broken / step / "round-01" / "last" / "training.safetensors"
    forks.kill(*words, once=state.exists)
    assert not (broken / "result").exists()
    before = read_json(broken / step / "elapsed.json")["seconds"]
    forks.run(*words, "--resume")
    result = load_checkpoint(broken / "result")
    assert load_checkpoint(whole / "result").sha256 == result.sha256
    assert result.metrics["steps"][1]["seconds"] > before > 0
    rounds = step / "rounds.csv"
    assert (whole / rounds).read_bytes() == (broken / rounds).read_bytes()


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_steps_seconds_are_those_of_all_its_starts(
    data: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupted: bool,
) -> None:
    recipe = load_recipe(recipe_file(tmp_path, ONE_STEP))
    now, steps = 0.0, 0
    monkeypatch.setattr(recipe_module, "time", SimpleNamespace(monotonic=lambda: now))

    def ten_seconds(done: int, total: int, loss: float, images_per_second: float) -> None:
        nonlocal now, steps
        now, steps = now + 10, total
        if interrupted and done == total and now < 5000:
            raise KeyboardInterrupt

    first = dataclasses.replace(work(data, tmp_path / "out"), on_step=ten_seconds)
    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            run_recipe(checkpoint, recipe, first)
        now = 5000.0
    last = dataclasses.replace(first, resume=True)
    (step,) = load_checkpoint(run_recipe(checkpoint, recipe, last)).metrics["steps"]
    # The epoch that was broken off is trained again; its first part does not count.
    assert step["seconds"] == 10 * steps


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
        ("- method: [prune]", r"step 1: unknown method \['prune'\]"),
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
    steps = load_recipe(name, seed=7)
    assert steps[0].seed == 7
    assert name not in METHODS or steps[0].method == name


@pytest.mark.parametrize("name", ["snip", "lottery", "qat", "int8"])
def test_methods_of_convolutions_refuse_adders(
    data: Path, config: TrainConfig, tmp_path: Path, name: str
) -> None:
    network = DepthNet(config.network.model_copy(update={"adder": ("decoder.0.pointwise.0",)}))
    folder = tmp_path / "adders"
    save_checkpoint(folder, network.eval(), name="a", training_data="", metrics={})
    with pytest.raises(UserError, match="works on convolutions; this network has 1 adder"):
        run_recipe(folder, load_recipe(name), work(data, tmp_path / "out"))


def test_settings_reach_the_steps_of_their_method_alone(tmp_path: Path) -> None:
    path = recipe_file(tmp_path, f"{TWO_STEPS}\n- method: prune\n  macs: 0.5\n")
    settings = {"finetune.training.learning_rate": 0.5, "finetune.seed": 9, "prune.macs": 0.7}
    first, second, prune = load_recipe(path, settings=settings, epochs=4)
    for step in (first, second):
        assert step.training.learning_rate == 0.5 and step.training.batch_size == 4  # type: ignore[attr-defined]
        assert step.training.epochs == 4 and step.seed == 9  # type: ignore[attr-defined]
    assert prune.macs == 0.7 and prune.training is None and prune.seed == 0  # type: ignore[attr-defined]
    for key, says in (
        ("finetun.seed", "did you mean finetune"),
        ("qat.seed", "it has: finetune, prune"),
        ("finetune.sed", "did you mean finetune.seed"),
        ("finetune", "write METHOD.KEY"),
    ):
        with pytest.raises(UserError, match=says):
            load_recipe(path, settings={key: 1})


def test_a_run_that_pauses_goes_on_and_other_data_of_the_same_count_is_refused(
    data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_file(tmp_path, ONE_STEP), epochs=2)
    out = tmp_path / "out"
    with pytest.raises(UserError, match="pauses after epoch 1; --resume") as pause:
        run_recipe(checkpoint, recipe, dataclasses.replace(work(data, out), deadline=0.0))
    assert pause.value.exit_code == 0
    resumed = work(data, out, resume=True)
    (data / "train" / "rgb" / "000.png").rename(data / "train" / "rgb" / "000x.png")
    (data / "train" / "depth" / "000.png").rename(data / "train" / "depth" / "000x.png")
    with pytest.raises(UserError, match="of another recipe, checkpoint or dataset"):
        run_recipe(checkpoint, recipe, work(data, out, resume=True))
    (data / "train" / "rgb" / "000x.png").rename(data / "train" / "rgb" / "000.png")
    (data / "train" / "depth" / "000x.png").rename(data / "train" / "depth" / "000.png")
    assert load_checkpoint(run_recipe(checkpoint, recipe, resumed)).metrics["steps"]


@pytest.mark.parametrize(
    "metrics",
    [{}, {"steps": []}, {"steps": {}}, {"steps": [1]}, {"steps": [{"parameters": 1, "macs": "x"}]}],
)
def test_damaged_steps_are_refused_in_a_line_that_names_the_file(metrics: Any) -> None:
    with pytest.raises(UserError, match=r"metrics\.json is damaged"):
        _last_step(metrics, Path("1-prune/result/metrics.json"))

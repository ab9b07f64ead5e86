"""`ghostdepth compress` as it is typed: what it prints and keeps, and what a mistake looks like."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from bench_depth.core.dataset import list_pairs
from ghostdepth import compression
from ghostdepth_train import compress
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.compress import load_recipe
from ghostdepth_train.compress.average import AverageConfig
from ghostdepth_train.compress.distil import DistilConfig
from onnx import helper

from tests.device.onnx_files import onnx_bytes
from tests.export.conftest import Command

ROOT = Path(__file__).resolve().parents[3]
TRAIN = "training: {epochs: 1, batch_size: 4}"


@pytest.fixture
def one_photo(tmp_path: Path, dataset: Path) -> Path:
    """A dataset folder with `train/` and `val/` of one pair each."""
    pair = list_pairs(dataset)[0]
    for part in ("train", "val"):
        for file in (pair.rgb, pair.depth):
            target = tmp_path / "one" / part / file.relative_to(dataset)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return tmp_path / "one"


def classifier(path: Path) -> Path:
    """Ten numbers for a picture: no depth map."""
    nodes = [helper.make_node("Conv", ["rgb", "w"], ["out"])]
    shapes = {"rgb": (1, 3, 8, 8)}, {"out": (1, 10, 1, 1)}
    path.write_bytes(onnx_bytes(nodes, *shapes, {"w": np.ones((10, 3, 8, 8), np.float32)}))
    return path


def words(checkpoint: Path, recipe: str, data: Path, out: Path) -> list[object]:
    """The command; the recipe is a YAML list."""
    file = out.with_suffix(".yaml")
    file.write_text(recipe)
    typed: list[object] = ["compress", "--checkpoint", checkpoint, "--recipe", file, "--data", data]
    return [*typed, "--out", out, "--workers", 0]


def test_a_result_is_where_the_command_says_and_knows_all_it_was_trained_on(
    checkpoint: Path, dataset: Path, tmp_path: Path, command: Command
) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    recipe = f"- {{method: finetune, {TRAIN}}}"
    told = command(*words(checkpoint, recipe, dataset, out))
    assert told.out.strip() == str(out / "result")
    (line,) = [line for line in told.err.splitlines() if line.startswith("finetune: ")]
    assert re.fullmatch(r".* MMACs, si-RMSE .*, RMSE .* m, delta_1 0\.\d{3}", line)
    page = out / "1-finetune" / "run" / "report.html"
    assert page.is_file() and f"page of the training: {page}" in told.err.splitlines()
    said = load_checkpoint(out / "result").training_data
    assert said == f"nothing: random weights; then 5 pairs of {dataset.name}"
    command(*words(out / "result", recipe, dataset, again))
    assert load_checkpoint(again / "result").training_data == said


@pytest.mark.parametrize(
    ("recipe", "data", "says"),
    [
        ("- method: shrink", "dataset", "unknown method 'shrink'; choose from snip, lottery"),
        ("- {method: prune, macs: 1.5}", "dataset", "prune: macs: Input should be less than"),
        ("- {method: snip, keep: 0}", "dataset", "snip: keep: Input should be greater than 0"),
        ("- {method: prune, macs: 0.0001}", "dataset", "the smallest allowed widths leave"),
        ("- {method: snip, keep: 0.0005}", "dataset", "pruned to nothing"),
        ("- method: calibrate", "one_photo", "has 1 image; calibration needs at least 4"),
        ("- {method: distil, teachers: [CLASSIFIER]}", "dataset", "expected one depth map"),
        ("- {method: distil, teachers: [nobody]}", "dataset", "unknown teacher 'nobody'"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_lost(
    recipe: str,
    data: str,
    says: str,
    checkpoint: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    command: Command,
) -> None:
    recipe = recipe.replace("CLASSIFIER", str(classifier(tmp_path / "classes.onnx")))
    before = {path: path.read_bytes() for path in checkpoint.iterdir()}
    # 3: a model file that cannot be used.
    code = 3 if "classes.onnx" in recipe else 2
    typed = words(checkpoint, recipe, request.getfixturevalue(data), tmp_path / "out")
    err = command(*typed, code=code).err
    (line,) = [line for line in err.splitlines() if line.startswith("ghostdepth: ")]
    assert says in line
    assert "Traceback" not in err
    assert {path: path.read_bytes() for path in checkpoint.iterdir()} == before
    assert not (tmp_path / "out" / "result").exists()


@pytest.mark.parametrize(
    ("later", "says"),
    [
        ("{method: distil, teachers: [nobody]}", "unknown teacher 'nobody'"),
        ('{method: distil, teachers: ["a\\0.onnx"]}', "embedded null byte"),
        ("{method: distil, teachers: [" + "x" * 5000 + "]}", "unknown teacher"),
        ("{method: distil, teachers: [ghostdepth-xz]}", "did you mean ghostdepth-"),
        ("{method: distil, teachers: [ghostdepth-nano], unlabelled: {}}", "--unlabelled DIR"),
        ("{method: average, other: nowhere}", "nowhere is not a checkpoint folder"),
        ("{method: average, other: ghostdepth-xz}", "did you mean ghostdepth-"),
        ("{method: average, other: " + "x" * 5000 + "}", "is not a checkpoint folder"),
        ("{method: prune, time: 0.5, costs: nowhere.csv}", "nowhere.csv"),
    ],
)
def test_what_a_later_step_names_is_refused_before_the_first_one_and_leaves_nothing(
    later: str, says: str, checkpoint: Path, dataset: Path, tmp_path: Path, command: Command
) -> None:
    recipe = f"- {{method: finetune, {TRAIN}}}\n- {later}"
    refused_before_the_plan(words(checkpoint, recipe, dataset, tmp_path / "out"), says, command)
    assert not (tmp_path / "out").exists()


def refused_before_the_plan(typed: list[object], says: str, command: Command) -> None:
    """The error is the last line, and what would be done was not printed before it."""
    err = command(*typed, code=2).err
    assert says in err.splitlines()[-1]
    assert not re.search(r"(finetune|prune), on \d+ pair|^step 1 ", err, re.MULTILINE)


def test_labels_that_no_step_reads_are_refused(
    checkpoint: Path, dataset: Path, tmp_path: Path, command: Command
) -> None:
    typed = words(checkpoint, "- {method: finetune}", dataset, tmp_path / "out")
    err = command(*typed, "--labels", tmp_path, code=2).err
    assert "no step of the recipe reads stored ones: --set distil.unlabelled.labels=stored" in err
    assert not (tmp_path / "out").exists()


def test_a_missing_checkpoint_is_refused_before_the_plan(
    dataset: Path, tmp_path: Path, command: Command
) -> None:
    recipe, out = f"- {{method: finetune, {TRAIN}}}", tmp_path / "out"
    typed = words(tmp_path / "nope", recipe, dataset, out)
    refused_before_the_plan(typed, "nope is not a checkpoint folder", command)
    out.write_text("a file")
    typed = words(ROOT / "models" / "ghostdepth-nano", recipe, dataset, out)
    refused_before_the_plan(typed, f"cannot lock {out}", command)


def test_a_later_step_for_ghostnet_alone_is_refused_before_the_first_one(
    dataset: Path, tmp_path: Path, command: Command
) -> None:
    recipe = f"- {{method: finetune, {TRAIN}}}\n- {{method: adder}}"
    typed = words(ROOT / "models" / "ghostdepth-nano", recipe, dataset, tmp_path / "out")
    refused_before_the_plan(typed, "adder works on ghostnet encoders; this network has", command)


def test_steps_know_the_released_models_by_name() -> None:
    recipe = [AverageConfig(other="ghostdepth-s"), DistilConfig(teachers=("ghostdepth-m", "a/b"))]
    average, distil = map(compression._with_released, recipe)
    assert isinstance(average, AverageConfig) and isinstance(distil, DistilConfig)
    assert load_checkpoint(Path(average.other)).name == "ghostdepth-s"
    assert load_checkpoint(Path(distil.teachers[0])).name == "ghostdepth-m"
    assert distil.teachers[1] == "a/b"


def test_a_shipped_recipe_finds_the_released_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    read: list[str] = []
    monkeypatch.setattr(
        compress,
        "load_recipe",
        lambda name, *rest: [read.append(name), load_recipe(name, *rest)][1],
    )
    steps = compression._steps("half", None, {}, None, said.append)
    assert read == ["half"]
    (teacher,) = {name for step in steps for name in getattr(step, "teachers", ())}
    assert load_checkpoint(Path(teacher)).name and teacher in said[0]
    changes = {"distil.teachers": [teacher]}
    assert steps == load_recipe("half", None, changes)
    # One that was trained, or that was named, stays.
    assert compression._steps("half", None, changes, None, said.append) == steps
    (tmp_path / "runs/teacher/best").mkdir(parents=True)
    assert compression._steps("half", None, {}, None, said.append) == load_recipe("half")
    assert len(said) == 1


@pytest.mark.parametrize(
    "words", [["--board", "rpi9"], ["--runtime", "x"], ["--threads", "0"], ["--target-file", "x"]]
)
def test_a_target_that_does_not_exist_is_refused_without_target_ms_too(
    words: list[str], command: Command, tmp_path: Path
) -> None:
    given = ["--checkpoint", "ghostdepth-nano", "--data", tmp_path, "--recipe", "half"]
    done = command("compress", *given, "--out", tmp_path / "out", *words, code=2)
    (line,) = done.err.splitlines()
    assert "the time budget: " in line
    assert not (tmp_path / "out").exists()

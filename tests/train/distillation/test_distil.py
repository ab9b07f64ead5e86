"""Distillation: what a student is shown, and what it learns from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from bench_depth.core.dataset import read_rgb, write_depth
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import load_checkpoint, read_tensors
from ghostdepth_train.compress import compress, distil, run_recipe
from ghostdepth_train.compress.distil import DistilConfig, Distiller, UnlabelledConfig
from ghostdepth_train.config import TrainConfig, TrainingConfig
from ghostdepth_train.data import read_split
from ghostdepth_train.distillation import Teacher, load_teacher
from ghostdepth_train.distillation.checkpoint_teacher import CheckpointTeacher
from ghostdepth_train.distillation.labels import TeacherLabels
from ghostdepth_train.evaluate import predict_mm
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer

from tests.train.making import saved, work

SHORT = TrainingConfig(epochs=2, batch_size=4)


@pytest.fixture
def student(tmp_path: Path, config: TrainConfig) -> Path:
    return saved(tmp_path / "student", config.network)


@pytest.fixture
def teacher(tmp_path: Path, config: TrainConfig) -> Path:
    return saved(tmp_path / "teacher", config.network, seed=1)


@pytest.fixture
def photos(tmp_path: Path, data: Path) -> Path:
    folder = tmp_path / "photos"
    shutil.copytree(data / "train" / "rgb", folder / "rgb")
    return folder


def distance(network: DepthNet, other: DepthNet, data: Path) -> float:
    """Mean |difference| of the two predictions in ln(metres)."""
    total = 0.0
    for pair in read_split(data).val:
        rgb = read_rgb(pair.rgb)
        a, b = (torch.from_numpy(predict_mm(net, rgb)).log() for net in (network, other))
        total += float((a - b).abs().mean())
    return total


def test_a_student_that_hears_its_teacher_alone_comes_to_agree_with_it(
    data: Path, student: Path, config: TrainConfig, tmp_path: Path
) -> None:
    longer = config.model_copy(update={"epochs": 12, "eval_every": 12, "learning_rate": 0.01})
    out = tmp_path / "teacher"
    Trainer(longer, read_split(data), RunOptions(out, "teacher", "", workers=0)).run()
    distil = DistilConfig(
        teachers=(str(out / "best"),),
        ground_truth=0,
        response=1,
        trust=100,
        training=TrainingConfig(epochs=25, batch_size=4, learning_rate=0.01, eval_every=25),
    )
    start, master = load_checkpoint(student), load_checkpoint(out / "best").network
    distilled = compress(start, distil, work(data, tmp_path / "out")).network
    assert distance(distilled, master, data) < 0.5 * distance(start.network, master, data)


def test_every_part_trains_and_resumes_to_the_same_network(
    data: Path, student: Path, teacher: Path, photos: Path, tmp_path: Path
) -> None:
    config = DistilConfig(
        teachers=(str(teacher),),
        feature=0.1,
        affinity=1.0,
        unlabelled=UnlabelledConfig(batch_size=2, until=1),
        training=SHORT,
    )
    start = load_checkpoint(student)
    whole = compress(start, config, work(data, tmp_path / "whole", unlabelled=photos)).network
    # Broken off after the first epoch: the state of the second is thrown away.
    broken = tmp_path / "broken"
    original = Trainer._finish

    def die(trainer: Trainer, row: dict[str, float], board: object) -> None:
        original(trainer, row, board)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_finish", die)
        with pytest.raises(KeyboardInterrupt):
            compress(start, config, work(data, broken, unlabelled=photos))
    state, _ = read_tensors(broken / "run" / "last" / "training.safetensors")
    assert any(key.startswith("beside.adapters") for key in state)
    again = compress(start, config, work(data, broken, unlabelled=photos, resume=True)).network
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value, rtol=0, atol=0, msg=key)
    saved_keys = read_tensors(broken / "run" / "last" / "model.safetensors")[0].keys()
    assert not [key for key in saved_keys if "adapter" in key]


def test_a_larger_teacher_sees_every_picture_at_its_own_size(
    data: Path, student: Path, photos: Path, config: TrainConfig, tmp_path: Path
) -> None:
    small = config.network.input_size
    large = (small[0] + 32, small[1] + 32)
    size = {"input_height": large[0], "input_width": large[1]}
    larger = config.model_copy(update={"network": config.network.model_copy(update=size)})
    seen: set[tuple[int, int]] = set()
    distilled: set[tuple[int, int]] = set()
    label, forward = CheckpointTeacher.__call__, DepthNet.forward

    def watch_teacher(self: CheckpointTeacher, rgb: torch.Tensor) -> TeacherLabels:
        seen.add((rgb.shape[-2], rgb.shape[-1]))
        return label(self, rgb)

    def watch_student(self: DepthNet, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            distilled.add((x.shape[-2], x.shape[-1]))
        return forward(self, x)

    distil = DistilConfig(
        teachers=(str(saved(tmp_path / "large", larger.network, seed=1)),),
        unlabelled=UnlabelledConfig(batch_size=2, until=1),
        training=TrainingConfig(epochs=1, batch_size=4),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointTeacher, "__call__", watch_teacher)
        patch.setattr(DepthNet, "forward", watch_student)
        compress(load_checkpoint(student), distil, work(data, tmp_path / "out", unlabelled=photos))
    assert (seen, distilled) == ({large}, {small})


def test_photos_leave_before_the_end(
    data: Path, student: Path, teacher: Path, photos: Path, tmp_path: Path
) -> None:
    drawn = []
    config = DistilConfig(
        teachers=(str(teacher),),
        unlabelled=UnlabelledConfig(batch_size=2, until=0.5),
        training=SHORT,
    )
    original = Distiller._next_unlabelled

    def watch(self: Distiller) -> tuple[torch.Tensor, torch.Tensor]:
        drawn.append(self.epoch)
        return original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Distiller, "_next_unlabelled", watch)
        compress(load_checkpoint(student), config, work(data, tmp_path / "out", unlabelled=photos))
    assert set(drawn) == {0} and len(drawn) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teachers": ("nowhere",)}, "unknown teacher 'nowhere'"),
        ({"unlabelled": UnlabelledConfig()}, "--unlabelled DIR"),
    ],
)
def test_what_is_missing_is_named(
    data: Path,
    student: Path,
    teacher: Path,
    tmp_path: Path,
    changes: dict[str, object],
    message: str,
) -> None:
    config = DistilConfig(**{"teachers": (str(teacher),), "training": SHORT} | changes)
    with pytest.raises(UserError, match=message):
        compress(load_checkpoint(student), config, work(data, tmp_path / "out"))


def test_a_teacher_is_read_once_for_the_check_and_all_its_steps(
    data: Path, student: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []

    def load(spec: tuple[str, ...], device: torch.device) -> Teacher:
        names.append(spec)
        return load_teacher(spec, device)

    monkeypatch.setattr(distil, "load_teacher", load)
    training = SHORT.model_copy(update={"epochs": 1})
    steps = [DistilConfig(teachers=(str(teacher),), training=training, seed=n) for n in (0, 1)]
    done = run_recipe(student, steps, work(data, tmp_path / "out"))
    assert names == [(str(teacher),)]
    notes = [step["notes"]["teacher"] for step in load_checkpoint(done).metrics["steps"]]
    assert len(set(notes)) == 1


def test_photos_without_labels_are_refused_where_labels_are_due(
    data: Path, student: Path, photos: Path, tmp_path: Path
) -> None:
    config = DistilConfig(unlabelled=UnlabelledConfig(labels="stored"), training=SHORT)
    with pytest.raises(UserError, match=r"no image of .* has a label.*ghostdepth label"):
        compress(load_checkpoint(student), config, work(data, tmp_path / "out", unlabelled=photos))


@pytest.mark.parametrize("blocks", [1, 8])
def test_stored_labels_need_no_teacher(
    data: Path, student: Path, photos: Path, tmp_path: Path, blocks: int
) -> None:
    shutil.copytree(data / "train" / "depth", photos / "pseudo_depth")
    stored = UnlabelledConfig(labels="stored", batch_size=2, scale="metric", blocks=blocks)
    config = DistilConfig(unlabelled=stored, training=SHORT)
    distilled = compress(
        load_checkpoint(student), config, work(data, tmp_path / "out", unlabelled=photos)
    )
    assert distilled.notes == {}


def test_labels_of_another_folder_are_read_instead_of_those_beside_the_photos(
    data: Path, student: Path, photos: Path, tmp_path: Path
) -> None:
    elsewhere, kept = tmp_path / "labels", data / "train" / "depth"
    shutil.copytree(kept, elsewhere)
    config = DistilConfig(
        unlabelled=UnlabelledConfig(labels="stored", batch_size=2, until=1), training=SHORT
    )

    def weights(name: str, labels: Path | None) -> dict[str, torch.Tensor]:
        run = work(data, tmp_path / name, unlabelled=photos, labels=labels)
        return compress(load_checkpoint(student), config, run).network.state_dict()

    apart = weights("apart", elsewhere)
    for photo in (photos / "rgb").iterdir():
        write_depth(photos / "pseudo_depth" / f"{photo.stem}.png", np.full((8, 8), 2000))
    beside = weights("beside", None)
    again = weights("again", elsewhere)
    assert all(torch.equal(apart[key], again[key]) for key in apart)
    assert any(not torch.equal(apart[key], beside[key]) for key in apart)


def test_nobody_to_learn_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="neither a teacher"):
        DistilConfig()


@pytest.mark.parametrize("strict", [False, True])
def test_implausible_labels_are_warned_of_before_training_and_end_it_with_strict(
    data: Path, student: Path, photos: Path, tmp_path: Path, strict: bool
) -> None:
    for photo in (photos / "rgb").iterdir():
        write_depth(photos / "pseudo_depth" / f"{photo.stem}.png", np.full((8, 8), 2000))
    said: list[str] = []
    config = DistilConfig(unlabelled=UnlabelledConfig(labels="stored"), training=SHORT)
    run = work(data, tmp_path / "out", unlabelled=photos, strict=strict, log=said.append)
    if strict:
        with pytest.raises(UserError, match="depth-constant"):
            config.check(None, run)
    else:
        config.check(None, run)
    assert [line for line in said if "[depth-constant]" in line]

"""Functions that make a network smaller: compress, and label for its distillation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_depth.core.bounds import require_bounds
from bench_depth.core.errors import UserError
from bench_depth.core.screen import counted

from ghostdepth.datasets import warn_of_data
from ghostdepth.networks import OnEpoch

if TYPE_CHECKING:
    from ghostdepth_train.compress import Method
    from ghostdepth_train.data import Split
    from ghostdepth_train.run_options import Progress

# The teacher of the shipped recipes: one that the user trains as README shows.
_OWN_TEACHER = "runs/teacher/best"


def compress(
    checkpoint: Path | str,
    data: Path | str,
    out: Path | str,
    *,
    recipe: Path | str,
    val: Path | str | None = None,
    unlabelled: Path | str | None = None,
    labels: Path | str | None = None,
    teacher: Sequence[str] | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    patience: int | None = None,
    fraction: float = 1.0,
    settings: Sequence[str] | None = None,
    seed: int | None = None,
    note: str | None = None,
    workers: int = 1,
    resume: bool = False,
    target_ms: float | None = None,
    threads: int = 4,
    target_file: str = "int8",
    board: str = "rpi4",
    runtime: str = "2.5",
    strict: bool = False,
    on_step: Progress = lambda done, total, loss, images_per_second: None,
    on_epoch: OnEpoch = lambda row: None,
    log: Callable[[str], None] = lambda line: None,
) -> Path:
    """Prunes, distils and quantizes a checkpoint by a recipe.

    Args:
        checkpoint: Checkpoint folder, or name of a released model.
        data: Dataset folder, or a folder with `train/` and `val/`.
        out: Folder of the run; a step that trains has a page `report.html` in its folder, which is
            rewritten after each validation.
        recipe: Name of a recipe, or path of a YAML file with a list of steps.
        val: Dataset folder for validation; None for `data/val`, if there is one.
        unlabelled: Folder with unlabelled images in `rgb/`, for distillation; None for none.
        labels: Folder of their labels, for a recipe with stored ones; None for
            `UNLABELLED/pseudo_depth`.
        teacher: Teachers instead of the recipe's, as for `label`; None for the recipe's. Where the
            `runs/teacher/best` of a shipped recipe does not exist, the released teacher for rooms
            takes its place.
        epochs: Number of epochs of every training; None for the recipe's.
        minutes: As for `train`; the pause raises a `UserError` whose exit code is 0.
        patience: As for `train`, for every training.
        fraction: As for `train`.
        settings: Settings of the steps as `METHOD.KEY=VALUE`, for example
            `distil.training.learning_rate=0.001`.
        seed: Seed of every step; None for the recipe's.
        note: Description of the training data and its terms of use; None for that of the
            checkpoint, followed by the pairs and unlabelled images of this run.
        workers: Number of processes that load data.
        resume: Whether to continue the run in `out`.
        target_ms: Highest predicted latency of the pruned network in milliseconds; None for the
            recipe's target.
        threads: Number of threads of the runtime that `target_ms` is predicted for.
        target_file: Exported file that `target_ms` is predicted of, `int8` or `fp32`.
        board: Board that it is predicted for: `rpi4`, `rpi4-1800`, `rpi5` or `zero2`.
        runtime: Runtime that it is predicted for: `2.5` (TensorFlow Lite), `litert` or
            `onnxruntime`.
        strict: As for `train`.
        on_step: As for `train`.
        on_epoch: As for `train`.
        log: Called with one line of progress text.

    Returns:
        The folder of the resulting checkpoint.

    Raises:
        UserError: An argument is wrong, a file cannot be read, or the target cannot be met.
    """
    from ghostdepth_export.host.checkout import find_checkpoint
    from ghostdepth_export.pages.training_page import TrainingPage
    from ghostdepth_export.pi4.budget import FileLatency
    from ghostdepth_train.checkpoint import load_checkpoint
    from ghostdepth_train.compress import Work, run_recipe, with_budget
    from ghostdepth_train.config.settings import parse_settings
    from ghostdepth_train.data import fraction_of, read_split
    from ghostdepth_train.pruning.latency import time_budget

    require_bounds(minutes=minutes, patience=patience, workers=workers)
    start, data = find_checkpoint(checkpoint), Path(data)
    images = None if unlabelled is None else Path(unlabelled)
    changes = parse_settings(settings or ())
    if teacher:
        changes["distil.teachers"] = list(teacher)
    # Checked even where nothing is pruned to a time.
    ms = 1 if target_ms is None else target_ms
    budget = time_budget(ms, threads, target_file, board, runtime)
    steps = _steps(str(recipe), seed, changes, epochs, log)
    if target_ms is not None:
        steps = with_budget(steps, budget, str(recipe))
    steps = tuple(_with_released(step) for step in steps)
    if labels is not None and not any(map(_reads_labels, steps)):
        raise UserError(
            "labels are given, but no step of the recipe reads stored ones: "
            "--set distil.unlabelled.labels=stored"
        )
    split = fraction_of(read_split(data, None if val is None else Path(val)), fraction)
    trained_on = _trained_on(steps, split, data, images)
    warn_of_data(split, str(data), strict, log)

    work = Work(
        out=Path(out),
        split=split,
        training_data=note or load_checkpoint(start).trained_then_on(trained_on),
        unlabelled=images,
        labels=None if labels is None else Path(labels),
        workers=workers,
        resume=resume,
        deadline=None if minutes is None else time.monotonic() + 60 * minutes,
        patience=patience,
        strict=strict,
        on_start=lambda: _log_plan(checkpoint, steps, split, data, out, log),
        on_step=on_step,
        on_epoch=on_epoch,
        on_training=lambda trainer: TrainingPage(trainer, log),
        log=log,
        predict_latency=FileLatency(log=log),
    )
    return run_recipe(start, steps, work)


def _reads_labels(step: Method) -> bool:
    from ghostdepth_train.compress.distil import DistilConfig

    return isinstance(step, DistilConfig) and step.reads_labels


def _log_plan(
    checkpoint: Path | str,
    steps: Sequence[Method],
    split: Split,
    data: Path,
    out: Path | str,
    log: Callable[[str], None],
) -> None:
    """Logs what will be done, on what, and how latencies are predicted."""
    from ghostdepth_export.pi4.budget import basis
    from ghostdepth_train.compress.prune import PruneConfig

    log(
        f"{checkpoint}: {', '.join(step.method for step in steps)}, on "
        f"{counted(len(split.train), 'pair')} of {data} ({len(split.val)} for validation), into "
        f"{out}"
    )
    for step in steps:
        if isinstance(step, PruneConfig) and step.budget is not None:
            log(basis(step.budget))


def _steps(
    recipe: str,
    seed: int | None,
    changes: dict[str, Any],
    epochs: int | None,
    log: Callable[[str], None],
) -> tuple[Method, ...]:
    """The steps of a recipe; a shipped one has the released teacher where none was trained."""
    from ghostdepth_train.compress import load_recipe, recipe_names

    steps = load_recipe(recipe, seed, changes, epochs)
    return _with_released_teacher(steps, log) if recipe in recipe_names() else steps


def _trained_on(steps: Sequence[Method], split: Split, data: Path, unlabelled: Path | None) -> str:
    """What the steps train on, in one line for the checkpoint."""
    from bench_depth.core.files import real_path
    from ghostdepth_train.checkpoint import load_checkpoint
    from ghostdepth_train.compress.average import AverageConfig
    from ghostdepth_train.compress.distil import DistilConfig

    text = f"{counted(len(split.train), 'pair')} of {real_path(data).name}"
    distils = any(isinstance(step, DistilConfig) and step.unlabelled for step in steps)
    if unlabelled is not None and distils:
        text += f" and unlabelled images of {real_path(unlabelled).name}"
    for step in steps:
        if isinstance(step, AverageConfig):
            other = load_checkpoint(Path(step.other))
            text += f"; averaged with {other.name}, which was trained on {other.training_data}"
    return text


def _with_released_teacher(
    steps: tuple[Method, ...], log: Callable[[str], None]
) -> tuple[Method, ...]:
    """The steps with the released teacher in place of one that has not been trained."""
    from ghostdepth_export.host.checkout import TEACHER
    from ghostdepth_train.compress.distil import DistilConfig

    named = {name for step in steps if isinstance(step, DistilConfig) for name in step.teachers}
    if named != {_OWN_TEACHER} or Path(_OWN_TEACHER).exists() or not TEACHER.is_dir():
        return steps
    log(
        f"{_OWN_TEACHER} does not exist: the released teacher for rooms takes its place, "
        f"{TEACHER}; --teacher DIR gives another"
    )
    found = {"teachers": (str(TEACHER),)}
    return tuple(
        step.model_copy(update=found) if isinstance(step, DistilConfig) else step for step in steps
    )


def _with_released(step: Method) -> Method:
    """The step with the checkpoint folders of the released models that it names."""
    from ghostdepth_export.host.checkout import find_checkpoint
    from ghostdepth_train.compress.average import AverageConfig
    from ghostdepth_train.compress.distil import DistilConfig

    if isinstance(step, AverageConfig):
        return step.model_copy(update={"other": str(find_checkpoint(step.other))})
    if isinstance(step, DistilConfig):
        found = tuple(str(find_checkpoint(name)) for name in step.teachers)
        return step.model_copy(update={"teachers": found})
    return step


@dataclass(frozen=True)
class Labels:
    """Result of `label`.

    Attributes:
        folder: Folder of the labels.
        written: Number of labels that were written.
        total: Number of labels in the folder, with those that were there before.
    """

    folder: Path
    written: int
    total: int


def label(
    teacher: str | Sequence[str] | None,
    unlabelled: Path | str,
    out: Path | str | None = None,
    *,
    stored: Sequence[Path | str] | None = None,
    strict: bool = False,
    on_image: Callable[[int, int], None] = lambda done, total: None,
    log: Callable[[str], None] = lambda line: None,
) -> Labels:
    """Labels images with a teacher's depth, for distillation; existing labels are kept.

    Args:
        teacher: Checkpoint folder, name of a released model, .onnx or .tflite file, or
            `transformers:NAME_OR_FOLDER`; several give their mean. None with `stored`.
        unlabelled: Folder with unlabelled images in `rgb/`.
        out: Folder for the labels; None for `UNLABELLED/pseudo_depth`.
        stored: Folders of labels instead of teachers, at least two: the new labels are the mean of
            their log depth, each at the scale of the first.
        strict: Whether an assumption about the teacher or the first implausible depth, which is not
            stored, is an error.
        on_image: Called after each image with the number of images done, and that of all.
        log: Called with one line for each kind of implausible depth that the teacher gives, and for
            each assumption about it.

    Returns:
        The folder of the labels, the number of new ones, and that of all.

    Raises:
        UserError: Neither or both of `teacher` and `stored` are given, the teacher is unknown or
            relative, a file cannot be read or written, or depth
            is implausible and `strict` is set (exit code 4).
    """
    import torch
    from ghostdepth_export.host.checkout import find_checkpoint
    from ghostdepth_train.distillation import Teacher, load_teacher
    from ghostdepth_train.distillation.labelling import label_images
    from ghostdepth_train.distillation.stored import StoredLabels
    from ghostdepth_train.distillation.unlabelled import LABEL_FOLDER, list_unlabelled

    folder = Path(unlabelled) / LABEL_FOLDER if out is None else Path(out)
    found = list_unlabelled(Path(unlabelled), folder)
    names = [teacher] if isinstance(teacher, str) else teacher
    if bool(names) == bool(stored):
        raise UserError("give teachers (--teacher), or folders of stored labels (--stored)")
    on_image(0, len(found))
    if stored:
        sets = [list_unlabelled(Path(unlabelled), Path(labels)) for labels in stored]
        source: Teacher | StoredLabels = StoredLabels(sets)
    else:
        source = load_teacher(
            [str(find_checkpoint(name)) for name in names or ()],
            "cuda" if torch.cuda.is_available() else "cpu",
        )
    written = label_images(source, found, folder, on_image, log, strict)
    return Labels(folder, written, len(found))

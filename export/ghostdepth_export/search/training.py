"""The short training of a trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.data import Split
from ghostdepth_train.run_folder import run_folder
from ghostdepth_train.trainer import Progress, RunOptions, Trainer


def short_training(base: TrainConfig, epochs: int) -> TrainConfig:
    """A training of so many epochs, evaluated once, whose rate rises for at most a tenth of it."""
    warmup = min(base.warmup_epochs, epochs / 10)
    changes = {"epochs": epochs, "warmup_epochs": warmup, "eval_every": epochs}
    return base.model_copy(update=changes)


def trial_trainer(
    split: Split, training_data: str, workers: int, progress: Progress
) -> Callable[[TrainConfig, Path], float]:
    """A function that trains a config in a folder, or goes on with what the folder holds.

    Args:
        split: Training and validation pairs.
        training_data: What they are, in words.
        workers: Processes that load data.
        progress: Told about every step.

    Returns:
        A function that gives the validation's si-RMSE.
    """

    def train(config: TrainConfig, folder: Path) -> float:
        options = RunOptions(
            out=folder,
            name=folder.name,
            training_data=training_data,
            workers=workers,
            resume=True,
        )
        with run_folder(folder, "ghostdepth search"):
            Trainer(config, split, options).run(progress)
        return float(load_checkpoint(folder / "best").metrics["validation"]["si_rmse"])

    return train

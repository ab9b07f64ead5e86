"""The short training of a trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import read_validation
from ghostdepth_train.config import TrainConfig, load_train_config
from ghostdepth_train.data import Split
from ghostdepth_train.run_folder import run_folder
from ghostdepth_train.run_options import Progress, RunOptions
from ghostdepth_train.trainer import Trainer

# Settings that a search chooses itself, and what chooses them.
_CHOSEN = {
    "epochs": "--epochs",
    "eval_every": "the end of each short training",
    "network.input_height": "--space, sizes",
    "network.input_width": "--space, sizes",
    "network.encoder.stem": "--space",
    "network.encoder.stages": "--space",
    "network.encoder.width_multiplier": "--space, shallow and deep",
    "network.decoder": "--space",
    "network.adder": "the search, which has none",
}


def base_training(config: str, settings: Mapping[str, Any]) -> TrainConfig:
    """The config that trials share, with single settings put into it.

    Args:
        config: Name of a config, or path of a YAML file.
        settings: Settings as `ghostdepth_train.config.settings.parse_settings` returns them.

    Raises:
        UserError: As `load_train_config`, or the search chooses a setting itself.
    """
    for key in settings:
        for chosen, by in _CHOSEN.items():
            if f"{key}.".startswith(f"{chosen}.") or f"{chosen}.".startswith(f"{key}."):
                raise UserError(f"--set {key}: {chosen} is chosen by {by}")
    return load_train_config(config, settings=settings)


def short_training(base: TrainConfig, epochs: int, patience: int | None = None) -> TrainConfig:
    """A training of so many epochs, whose rate rises for at most a tenth of it.

    It is evaluated once, or with `patience` after each epoch.
    """
    warmup = min(base.warmup_epochs, epochs / 10)
    every = epochs if patience is None else 1
    changes = {"epochs": epochs, "warmup_epochs": warmup, "eval_every": every}
    return base.model_copy(update=changes)


def trial_trainer(
    split: Split,
    training_data: str,
    workers: int,
    progress: Progress,
    report: Callable[[dict[str, float]], None] = lambda row: None,
    patience: int | None = None,
) -> Callable[[TrainConfig, Path], float]:
    """A function that trains a config in a folder, or continues with what the folder holds.

    Args:
        split: Training and validation pairs.
        training_data: Description of the pairs, for the checkpoints.
        workers: Processes that load data.
        progress: Called after every step.
        report: Called with each epoch's row of the log.
        patience: Evaluations without a better one after which a training ends; None for no limit.

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
            patience=patience,
        )
        with run_folder(folder, "ghostdepth search"):
            Trainer(config, split, options).run(progress, report)
        return read_validation(folder / "best").si_rmse

    return train

"""How a run takes place: its folder and limits, its progress, and what ends it early."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Progress(Protocol):
    """Callback for every step."""

    def __call__(self, done: int, total: int, loss: float, images_per_second: float) -> None:
        """After step `done` of `total`: the step's loss and the speed of this epoch."""


def silent(done: int, total: int, loss: float, images_per_second: float) -> None:
    """Does nothing."""


@dataclass(frozen=True)
class RunOptions:
    """Where and how a run takes place; nothing here changes its result on one machine.

    Attributes:
        out: Folder of the run.
        name: Name of the checkpoint.
        training_data: One line about the data for the checkpoint and the model card.
        workers: Number of processes that load data.
        resume: Whether to continue from `out/last`.
        imagenet: ImageNet weights for the encoder, see `initial_weights.load_imagenet`, or None.
        init: Checkpoint folder whose weights the run starts from, or None.
        minutes: Number of minutes after which the run pauses, to be resumed: no epoch is begun that
            would take longer; None for no limit.
        patience: Number of evaluations without a better one after which the run ends; None for no
            limit.
    """

    out: Path
    name: str
    training_data: str
    workers: int = 1
    resume: bool = False
    imagenet: str | None = None
    init: Path | None = None
    minutes: float | None = None
    patience: int | None = None


class RunLimits:
    """What ends a run early: its `minutes`, counted from when this is made, and its `patience`.

    Args:
        options: Options of the run.
        epoch: Number of epochs that were done before.
    """

    def __init__(self, options: RunOptions, epoch: int) -> None:
        self._options, self._first_epoch = options, epoch
        self._started = time.monotonic()

    def out_of_time(self, epoch: int) -> bool:
        """Whether one more epoch of the mean duration would take longer than the minutes left.

        Args:
            epoch: Number of epochs that are done, at least one more than at the beginning.
        """
        if self._options.minutes is None:
            return False
        elapsed = time.monotonic() - self._started
        return elapsed * (1 + 1 / (epoch - self._first_epoch)) > 60 * self._options.minutes

    def out_of_patience(self, errors: Sequence[float]) -> bool:
        """Whether the last evaluations, as many as `patience`, were no better than one before.

        Args:
            errors: Error of each evaluation of the run.
        """
        if self._options.patience is None:
            return False
        without_better = len(errors) - 1 - errors.index(min(errors)) if errors else 0
        return without_better >= self._options.patience

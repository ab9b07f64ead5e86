"""What all compression methods share: their settings, their inputs and their result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pydantic
from bench_depth.core.errors import UserError, refuse_warnings

from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ghostdepth_train.config import (
    ENCODERS,
    MAX_SEED,
    Config,
    TrainConfig,
    TrainingConfig,
    parse_config,
)
from ghostdepth_train.data import Split
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.run_options import Progress, RunOptions, silent
from ghostdepth_train.trainer import Trainer

if TYPE_CHECKING:
    from ghostdepth_train.pruning.latency import LatencyPredictor

T = TypeVar("T", bound=Trainer)
L = TypeVar("L")
OnEpoch = Callable[[dict[str, float]], None]


class Method(Config):
    """Settings of a method; each subclass has a literal `method` that names it.

    Attributes:
        encoders: Kinds of encoders that the method works on.
        method: Name of the method in a recipe.
        seed: Seed of everything random in the method.
    """

    encoders: ClassVar[tuple[str, ...]] = ENCODERS

    method: str
    seed: int = pydantic.Field(default=0, ge=0, le=MAX_SEED)

    def check(self, start: Checkpoint | None, work: Work) -> None:
        """Refuses, before a recipe begins, what could not be applied.

        Args:
            start: Checkpoint that the method is applied to; None where a step before makes it.
            work: Data and output folder of the whole run.

        Raises:
            UserError: Something that the settings name cannot be used.
        """


@dataclass(frozen=True)
class Work:
    """The inputs, the output folder and the callbacks of a method.

    Attributes:
        out: Folder of the step, for everything that is needed to resume it.
        split: Training and validation pairs.
        training_data: One line for the checkpoints that names all training data of the result,
            including that of the initial checkpoint. Empty: the line of the initial checkpoint.
        unlabelled: Folder with unlabelled images (`rgb/`, optionally `pseudo_depth/`), or None.
        labels: Folder of their stored labels; None for `unlabelled/pseudo_depth`.
        workers: Number of processes that load data.
        resume: Whether to continue from what `out` holds.
        deadline: Time of `time.monotonic` at which the run pauses after an epoch, to be resumed;
            None for no limit.
        patience: Evaluations without a better one after which each training ends; None for no
            limit.
        on_start: Called once when the inputs of a recipe are found sound, before its first step.
        on_step: Called after every training step.
        on_epoch: Called after every epoch with its row of the log.
        on_training: Called with each training before it starts; what it returns is called after
            every epoch as well, after `on_epoch`.
        strict: Whether warnings end the work.
        log: Called with one line of progress text.
        predict_latency: Predicts the latency of exported files, for a latency budget; None where
            no predictor is available.
    """

    out: Path
    split: Split
    training_data: str = ""
    unlabelled: Path | None = None
    labels: Path | None = None
    workers: int = 1
    resume: bool = False
    deadline: float | None = None
    patience: int | None = None
    on_start: Callable[[], None] = lambda: None
    on_step: Progress = silent
    on_epoch: OnEpoch = lambda _: None
    on_training: Callable[[Trainer], OnEpoch] = lambda _: lambda _: None
    strict: bool = False
    log: Callable[[str], None] = lambda _: None
    predict_latency: LatencyPredictor | None = None
    _loaded: dict[Any, Any] = field(default_factory=dict, repr=False)

    def warn(self, warnings: Mapping[str, str]) -> None:
        """Logs warnings.

        Args:
            warnings: A line for each, by its code.

        Raises:
            UserError: There are any and `strict` is set (exit code 4).
        """
        for line in warnings.values():
            self.log(line)
        refuse_warnings(warnings, self.strict)

    def once(self, key: Any, load: Callable[[], L]) -> L:
        """Loads what a step needs beside the network and the pairs, and keeps it for the whole run.

        What a method's `check` has found sound is what the method then uses, whatever becomes of
        the files in the meantime.

        Args:
            key: Key of what is loaded; hashable.
            load: Called where nothing was loaded for this key yet.
        """
        if key not in self._loaded:
            self._loaded[key] = load()
        loaded: L = self._loaded[key]
        return loaded

    def train(
        self,
        start: DepthNet,
        training: TrainingConfig,
        seed: int,
        *,
        folder: str = "run",
        trainer: type[T] | Callable[[TrainConfig, Split, RunOptions], T] = Trainer,  # type: ignore[assignment]
    ) -> DepthNet:
        """Trains from the weights of `start` in `out/folder`, or resumes that training.

        Args:
            start: Network with the initial weights; it is not changed.
            training: Training settings.
            seed: Seed that replaces that of `training`.
            folder: Name of the run's folder below `out`.
            trainer: Makes the trainer, for methods that change the training loop.

        Returns:
            The network with the lowest validation si-RMSE, in eval mode.

        Raises:
            UserError: As `Trainer`; or `deadline` is reached (exit code 0).
        """
        run = self.out / folder
        values = {"network": start.config, **training.model_dump(), "seed": seed}
        config = parse_config(TrainConfig, values, "the training of a step")
        save_checkpoint(
            run / "start", start, name="start", training_data=self.training_data, metrics={}
        )
        options = RunOptions(
            out=run,
            name="compressed",
            training_data=self.training_data,
            workers=self.workers,
            resume=self.resume,
            init=run / "start",
            minutes=None if self.deadline is None else (self.deadline - time.monotonic()) / 60,
            patience=self.patience,
        )
        running = trainer(config, self.split, options)
        watch = self.on_training(running)

        def epoch(row: dict[str, float]) -> None:
            self.on_epoch(row)
            watch(row)

        running.run(self.on_step, epoch)
        if running.ended_by == "minutes":
            raise UserError(f"{run} pauses after epoch {running.epoch}; --resume continues", 0)
        return load_checkpoint(run / "best").network


@dataclass(frozen=True)
class Compressed:
    """The result of a method.

    Attributes:
        network: Network in eval mode, on the CPU; may be the one that was passed in.
        notes: Details for the checkpoint's metrics, as JSON values.
        ranges: Quantization ranges, where the method determines them: see `quantization`.
    """

    network: DepthNet
    notes: Mapping[str, Any] = field(default_factory=dict)
    ranges: Mapping[str, Any] | None = None


def copy_of(network: DepthNet) -> DepthNet:
    """A copy with the same weights, in eval mode."""
    copy = DepthNet(network.config)
    copy.load_state_dict(network.state_dict())
    return copy.eval()

"""What every method of compression has in common."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench_depth.core.errors import UserError

from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ghostdepth_train.config import Config, TrainConfig, TrainingConfig
from ghostdepth_train.data import Split
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.trainer import Progress, RunOptions, Trainer, silent

if TYPE_CHECKING:
    from ghostdepth_train.pruning.latency import Clock

T = TypeVar("T", bound=Trainer)


class Method(Config):
    """A method's settings; each subclass has a literal `method` that names it.

    Attributes:
        method: Its name in a recipe.
        seed: Of everything random in it.
    """

    method: str
    seed: int = 0


@dataclass(frozen=True)
class Work:
    """Where a method works and what it works on.

    Attributes:
        out: A folder of the step's own, for whatever it must keep to be resumed.
        split: Training and validation pairs.
        training_data: One line for the checkpoints: all that the result was trained on, the start
            included. Empty: what is said of the start.
        photos: Folder with photos without depth (`rgb/`, perhaps `pseudo_depth/`), or None.
        workers: Processes that load data.
        resume: Go on with what `out` holds.
        progress: Told about every training step.
        report: Told about every epoch.
        say: Told in one line what is being done.
        clock: Predicts the time of exported files, for a budget of milliseconds; None where nothing
            can.
    """

    out: Path
    split: Split
    training_data: str = ""
    photos: Path | None = None
    workers: int = 1
    resume: bool = False
    progress: Progress = silent
    report: Callable[[dict[str, float]], None] = lambda _: None
    say: Callable[[str], None] = lambda _: None
    clock: Clock | None = None

    def train(
        self,
        start: DepthNet,
        training: TrainingConfig,
        seed: int,
        *,
        folder: str = "run",
        trainer: type[T] | Callable[[TrainConfig, Split, RunOptions], T] = Trainer,  # type: ignore[assignment]
    ) -> DepthNet:
        """Trains from the weights of `start` in `out/folder`, resumed where it was left.

        Args:
            start: Is not changed.
            training: How.
            seed: Instead of that of `training`.
            folder: Of the run, below `out`.
            trainer: Makes the trainer, where another than the plain one is due.

        Returns:
            The best network by the validation's si-RMSE, in eval mode.
        """
        run = self.out / folder
        config = TrainConfig(network=start.config, **training.model_dump() | {"seed": seed})
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
        )
        trainer(config, self.split, options).run(self.progress, self.report)
        return load_checkpoint(run / "best").network


@dataclass(frozen=True)
class Compressed:
    """What a method gives.

    Attributes:
        network: In eval mode, on the CPU; it need not be the one that came in.
        notes: What is worth knowing of how it came about, as JSON values.
        ranges: Learned ranges of quantisation, when the method learns them: see `quantise`.
    """

    network: DepthNet
    notes: Mapping[str, Any] = field(default_factory=dict)
    ranges: Mapping[str, Any] | None = None


# The module of each method; imported when it is used.
MODULES = {
    "snip": "snip",
    "lottery": "lottery",
    "prune": "prune",
    "cut": "block_removal",
    "distil": "distil",
    "calibrate": "calibrate",
    "qat": "qat",
    "adder": "adder",
    "finetune": "finetune",
}

# What these do to a convolution's weights means something else, or nothing, in an adder.
NO_ADDERS = ("snip", "lottery", "calibrate", "qat")


def method_config(value: Any, where: str) -> Method:
    """Checks one step of a recipe.

    Args:
        value: A mapping with `method` and that method's fields.
        where: For messages.

    Raises:
        UserError: No such method, or a field is unknown, missing or out of range.
    """
    from ghostdepth_train.config import parse_config

    name = value.get("method") if isinstance(value, Mapping) else None
    if name not in MODULES:
        raise UserError(f"{where}: unknown method {name!r}; choose from {', '.join(MODULES)}")
    kind: type[Method] = _module(str(name)).CONFIG
    return parse_config(kind, value, f"{where}: {name}")


def compress(checkpoint: Checkpoint, config: Method, work: Work) -> Compressed:
    """Applies one method.

    Args:
        checkpoint: Any depth network of this project, also one that was compressed before.
        config: Says which method and how.
        work: Where and on what.

    Raises:
        UserError: The method cannot be applied to this network or data; nothing is lost.
    """
    if checkpoint.config.adder and config.method in NO_ADDERS:
        raise UserError(
            f"{config.method} works on convolutions; this network has "
            f"{len(checkpoint.config.adder)} adders, put the step before `adder`"
        )
    result = _module(config.method).apply(checkpoint, config, work)
    assert isinstance(result, Compressed)
    result.network.eval()
    return result


def copy_of(network: DepthNet) -> DepthNet:
    """A network of its own with the same weights, in eval mode."""
    copy = DepthNet(network.config)
    copy.load_state_dict(network.state_dict())
    return copy.eval()


def _module(name: str) -> Any:
    return importlib.import_module(f"ghostdepth_train.compress.{MODULES[name]}")

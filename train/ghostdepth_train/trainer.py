"""The training loop.

`OUT/last` and `OUT/best` are checkpoint folders; `OUT/log.csv` and `OUT/tensorboard` are the logs.
`OUT/last/training.safetensors` holds everything that the next epoch depends on, in one file that
is replaced in one piece: a run that is killed continues from it to the same result.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from bench_depth.core.errors import UserError
from bench_depth.core.files import plain_name, write_bytes, write_json
from bench_depth.core.metrics import DepthMetrics
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ghostdepth_train import distributed
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.csv_files import EventLog, csv_bytes
from ghostdepth_train.data import (
    ClipDataset,
    DepthDataset,
    EpochSampler,
    Split,
    batches,
    listing_sha256,
    training_loader,
)
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.initial_weights import load_imagenet, start_from
from ghostdepth_train.losses import depth_loss, temporal_loss
from ghostdepth_train.models.adder_conv import others
from ghostdepth_train.models.network import DepthNet, log_depth, normaliser
from ghostdepth_train.optimization import averaged_model, make_optimizer, make_schedule
from ghostdepth_train.run_options import Progress, RunLimits, RunOptions, silent
from ghostdepth_train.training_state import read_state, write_state

STATE = "training.safetensors"


# Called with the network and what is trained beside it, before the optimizer is made.
Prepare = Callable[[DepthNet, nn.ModuleDict], None]


class Trainer:
    """One run: built, then `run()` once.

    A method that trains in another way overrides `step`, `loss`, `predict` or `validate`;
    one for another network overrides `build`. One for other data overrides `listing` and
    `_dataset`.

    Args:
        config: Network and training settings.
        split: Training and validation pairs.
        options: Folder, workers and limits of the run.
        prepare: Called with `network` and `beside` when the network has its first weights and
            nothing else is there yet.
        size: Height and width of the pictures that `loss` gets; None for the network's input.

    Attributes:
        network: The network that is trained.
        averaged: Moving average of its weights, which is what is evaluated and saved.
        beside: Modules that are trained with it and discarded at the end, e.g. adapters of
            distillation.
        criterion: Column of the log by whose lowest value the best epoch is chosen.
        first_step: Steps before it are left out, as if they had been taken already.
        ended_by: Why the run ended before its last epoch, `minutes` or `patience`; else empty.

    Raises:
        UserError: The run's folder holds another run, or its state cannot be read.
    """

    criterion = "si_rmse"

    def __init__(
        self,
        config: TrainConfig,
        split: Split,
        options: RunOptions,
        *,
        prepare: Prepare = lambda network, beside: None,
        size: tuple[int, int] | None = None,
    ) -> None:
        plain_name(options.name, "the name of the checkpoint")
        self.config, self.split, self.options = config, split, options
        self._data = self.listing()
        self.rank, self.world, self.device = distributed.start()
        torch.manual_seed(config.seed)
        self.network = self.build()
        if options.imagenet is not None:
            load_imagenet(self.network, options.imagenet)
        if options.init is not None:
            start_from(self.network, options.init)
        self.beside = nn.ModuleDict()
        prepare(self.network, self.beside)
        self.network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.beside.to(self.device)
        if self.world > 1:
            distributed.synchronise_batch_norm(self.network)
        self.optimizer = make_optimizer(self._trained(), config)
        self.averaged = averaged_model(self.network, config.ema_decay)
        dataset = self._dataset(size or config.network.input_size)
        self.sampler = EpochSampler(
            len(dataset), config.batch_size, config.seed, self.rank, self.world
        )
        self.loader = training_loader(dataset, self.sampler, options.workers)
        self.normalise = normaliser(config.network)
        self.epoch = 0
        self.first_step = 0
        self.history: list[dict[str, float]] = []
        self.ended_by = ""
        self._out_of_time = False
        self._open()

    @property
    def averaged_network(self) -> DepthNet:
        """The network with the averaged weights."""
        return cast(DepthNet, self.averaged.module)

    def listing(self) -> str:
        """What the data is recognised by when the run is resumed."""
        return listing_sha256(self.split)

    def build(self) -> DepthNet:
        """The network to be trained, with random weights."""
        return DepthNet(self.config.network)

    def _dataset(self, size: tuple[int, int]) -> DepthDataset:
        config, pairs = self.config, self.split.train
        if config.clip is None:
            return DepthDataset(pairs, size, config.augment, config.seed)
        return ClipDataset(pairs, size, config.augment, config.seed, config.clip)

    def _trained(self) -> nn.ModuleDict:
        return nn.ModuleDict({"network": self.network, "beside": self.beside})

    def _open(self) -> None:
        state = self.options.out / "last" / STATE
        if self.options.resume:
            if os.path.lexists(state):
                self.epoch, self.history = read_state(
                    state, self._modules(), self.optimizer, self._trained(), self._identity()
                )
        elif os.path.lexists(state):
            raise UserError(
                f"{self.options.out} already holds a run; add --resume to continue it, "
                "or choose another --out"
            )

    def run(
        self,
        progress: Progress = silent,
        report: Callable[[dict[str, float]], None] = lambda _: None,
    ) -> list[dict[str, float]]:
        """Trains to the last epoch, or to where `minutes` or `patience` end it.

        Args:
            progress: Called after every step.
            report: Called with each epoch's row of the log.

        Returns:
            The log, one row an epoch.

        Raises:
            UserError: The loss is no longer finite, or a file cannot be read or written.
        """
        model: nn.Module = self.network
        if self.world > 1:
            model = DistributedDataParallel(self.network, broadcast_buffers=False)
        first = max(self.epoch * len(self.sampler), self.first_step)
        self.schedule = make_schedule(self.optimizer, len(self.sampler), self.config, first)
        self.averaged.n_averaged.fill_(first + 1)
        with self._event_log() as log:
            self._limits = RunLimits(self.options, self.epoch)
            while self.epoch < self.config.epochs and not self._ends():
                row = self._epoch(model, progress)
                if self.rank == 0:
                    self._finish(row, log)
                    report(row)
                self.epoch += 1
        return self.history

    def _ends(self) -> bool:
        """Whether the run ends before its last epoch; the first process decides for all."""
        if self._out_of_time:
            self.ended_by = "minutes"
        elif self._limits.out_of_patience(self._errors()):
            self.ended_by = "patience"
        return distributed.agreed(bool(self.ended_by))

    def _errors(self) -> list[float]:
        return [row[self.criterion] for row in self.history if self.criterion in row]

    def _epoch(self, model: nn.Module, progress: Progress) -> dict[str, float]:
        model.train()
        self.sampler.epoch = self.epoch
        steps = len(self.sampler)
        started, losses = time.perf_counter(), []
        for index, batch in enumerate(batches(self.loader)):
            step = self.epoch * steps + index
            if step < self.first_step:
                continue
            rate = float(self.schedule.get_last_lr()[0])
            loss = float(self.step(model, *batch))
            if not math.isfinite(loss):
                raise UserError(
                    f"the loss became {loss} in epoch {self.epoch + 1}, step {index + 1}; "
                    "lower learning_rate and --resume"
                )
            self.averaged.update_parameters(self.network)
            self.schedule.step()
            losses.append(loss)
            seconds = time.perf_counter() - started
            speed = (index + 1) * self.config.batch_size * self.world / seconds
            progress(step + 1, steps * self.config.epochs, loss, speed)
        return {
            "epoch": self.epoch + 1,
            "loss": sum(losses) / len(losses),
            "learning_rate": rate,
            "images_per_second": speed,
        }

    def step(self, model: nn.Module, *batch: Tensor) -> Tensor:
        """One optimizer step on what `loss` takes; returns the detached loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(model, *batch)
        loss.backward()  # type: ignore[no-untyped-call]
        distributed.average_gradients(self.beside)
        if self.config.clip_norm:
            # Adders' gradients are of another size; the optimizer scales them.
            nn.utils.clip_grad_norm_(others(self._trained()), self.config.clip_norm)
        self.optimizer.step()
        return loss.detach()

    def loss(self, model: nn.Module, rgb: Tensor, depth: Tensor, *motions: Tensor) -> Tensor:
        """The loss of one batch.

        Args:
            model: The network, perhaps wrapped for several processes.
            rgb: Nx3xHxW uint8; NxTx3xHxW of clips.
            depth: Nx1xHxW float32 metres, 0 where unknown; NxTx1xHxW of clips.
            motions: For clips one tensor, their camera motions as `ClipDataset` gives them.
        """
        depth = depth.to(self.device, non_blocking=True)
        prediction, clip = self.predict(model, rgb), self.config.clip
        if clip is None:
            return depth_loss(prediction, depth, self.config.loss)
        loss = depth_loss(prediction, depth.flatten(0, 1), self.config.loss)
        if not motions:
            return loss
        frames = prediction.view(*depth.shape[:3], *prediction.shape[2:])
        return loss + clip.temporal * temporal_loss(frames, depth, motions[0].to(self.device))

    def predict(self, model: nn.Module, rgb: Tensor) -> Tensor:
        """Nx3xHxW uint8 -> Nx1xhxw float32 ln(metres), at the network's output stride.

        Clips of NxTx3xHxW become N T maps, each clip's frames one after the other.
        """
        rgb = rgb.to(self.device, non_blocking=True)
        clip, mixed = self.config.clip, self.device.type == "cuda"
        x = self.normalise(rgb.flatten(0, -4)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            if clip is None:
                encoded = model(x)
            else:
                clips = x.reshape(*rgb.shape[:2], *x.shape[1:])
                encoded = model(clips, clip.truncate).flatten(0, 1)
        # bfloat16 has three digits: enough for the network, not for the logarithm of its errors.
        return log_depth(encoded.float() if mixed else encoded, self.config.network)

    def _finish(self, row: dict[str, float], log: EventLog | None) -> None:
        """Evaluates when due and writes everything; the resumable state comes last."""
        last = self.epoch + 1 == self.config.epochs
        self._out_of_time = self._limits.out_of_time(self.epoch + 1)
        # A run that pauses leaves a checkpoint, even before the first evaluation is due.
        if self._out_of_time and not (self.options.out / "best").exists():
            last = True
        if last or (self.epoch + 1) % self.config.eval_every == 0:
            best = min(self._errors(), default=math.inf)
            row.update(self.figures())
            if row[self.criterion] < best:
                self._save(self.options.out / "best", row)
        self.history.append(row)
        write_bytes(self.options.out / "log.csv", csv_bytes(self.history))
        if log is not None:
            log.add(row, self.epoch + 1)
        self._save(self.options.out / "last", row)
        write_json(self.options.out / "train.json", self.config.model_dump(mode="json"))
        note = {"epoch": self.epoch + 1, "history": self.history, "config": self._identity()}
        state = self.options.out / "last" / STATE
        write_state(state, self._modules(), self.optimizer, self._trained(), note)

    def figures(self) -> dict[str, float]:
        """What a validation adds to the row of its epoch, `criterion` among it."""
        return self.validate().to_dict()

    def validate(self) -> DepthMetrics:
        """Validation metrics of the averaged network, by which the best epoch is chosen."""
        return evaluate(self.averaged_network, self.split.val)

    def ranges(self) -> Mapping[str, Any] | None:
        """Learned quantization ranges for the checkpoint; None where there are none."""
        return None

    def record(self) -> dict[str, Any]:
        """What the checkpoint's metrics say beside those of the validation; JSON values."""
        return {}

    def _save(self, folder: Path, row: dict[str, float]) -> None:
        save_checkpoint(
            folder,
            self.averaged_network,
            name=self.options.name,
            training_data=self.options.training_data,
            metrics={"validation": row, "validation_images": len(self.split.val), **self.record()},
            ranges=self.ranges(),
        )

    def _modules(self) -> dict[str, nn.Module]:
        """The modules of the state that is resumed from, by their names in the file."""
        return {"model": self.network, "ema": self.averaged.module, "beside": self.beside}

    def _identity(self) -> dict[str, Any]:
        """What must agree for a run to be the same run."""
        return self.config.model_dump(mode="json") | {
            "world": self.world,
            "train_pairs": len(self.split.train),
            "data": self._data,
        }

    @contextlib.contextmanager
    def _event_log(self) -> Iterator[EventLog | None]:
        if self.rank != 0:
            yield None
            return
        with contextlib.closing(EventLog(self.options.out / "tensorboard", self.epoch + 1)) as log:
            yield log

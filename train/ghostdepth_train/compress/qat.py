"""Quantization-aware training: the loss includes the rounding of the int8 file.

Jacob et al., CVPR 2018 (fake quantization in training, batch norms folded) with learned scales
(Esser et al., ICLR 2020): see `quantization/fake_quantization.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from bench_depth.core.errors import UserError
from bench_depth.core.metrics import DepthMetrics
from torch import Tensor, nn

from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint
from ghostdepth_train.compress.calibrate import CalibrateConfig, calibration_images, find_ranges
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import (
    AugmentConfig,
    LossConfig,
    TrainConfig,
    TrainingConfig,
    refuse_stream,
)
from ghostdepth_train.data import Split
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.network import log_depth
from ghostdepth_train.quantization import Range, Trunk, read_ranges, write_ranges
from ghostdepth_train.quantization.fake_quantization import Scales, SimulatedNet
from ghostdepth_train.quantization.integer_simulation import Int8Net
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer


class QatConfig(Method):
    """Settings of quantization-aware training.

    Attributes:
        training: Training settings. The statistics of batch norms are frozen; the learning rate
            also applies to the logarithms of the scales.
        start: Settings of the initial calibration, where no earlier step left ranges.
    """

    method: Literal["qat"] = "qat"
    training: TrainingConfig = TrainingConfig(
        epochs=12,
        learning_rate=1e-4,
        warmup_epochs=1,
        augment=AugmentConfig(zoom=1.15),
        loss=LossConfig(silog_lambda=0.25),
        ema_decay=0.99,
    )
    start: CalibrateConfig = CalibrateConfig()


def apply(checkpoint: Checkpoint, config: QatConfig, work: Work) -> Compressed:
    """Calibrates, trains, and keeps the epoch with the best int8 network."""
    refuse_stream(checkpoint.config, "qat")
    if config.start.equalization or config.start.bias_correction:
        raise UserError(
            "qat: start only sets the rule for ranges; put a calibrate step before qat for "
            "equalization or bias correction"
        )
    network = checkpoint.network
    trunk = Trunk.of(network)
    names = trunk.quantized.range_names()
    if checkpoint.ranges is not None:
        ranges = read_ranges(checkpoint.ranges, names, "the checkpoint's ranges.json")
    else:
        pairs, count = work.split.train, config.start.images
        images = calibration_images(pairs, network.config, count, config.seed)
        ranges = find_ranges(trunk, images, config.start, work)
    before = evaluate(Int8Net(trunk, ranges), work.split.val)
    work.log(f"int8 before training: si-RMSE {before.si_rmse:.4f}")
    trainer = partial(QatTrainer, start=ranges)
    best = work.train(network, config.training, config.seed, trainer=trainer)
    learned = load_checkpoint(work.out / "run" / "best").ranges
    kept = read_ranges(learned, names, "ranges.json")
    after = evaluate(Int8Net(Trunk.of(best), kept), work.split.val)
    notes = {"int8_before": before.to_dict(), "int8_validation": after.to_dict()}
    return Compressed(best, notes, learned)


class QatTrainer(Trainer):
    """Trains through the simulated int8 network; evaluates and selects by the integer one.

    Args:
        config: See `Trainer`.
        split: See `Trainer`.
        options: See `Trainer`.
        start: Initial ranges of the activations.

    Raises:
        UserError: See `Trainer`; or there are several processes.
    """

    def __init__(
        self, config: TrainConfig, split: Split, options: RunOptions, start: Mapping[str, Range]
    ) -> None:
        scales = Scales(start)
        super().__init__(
            config,
            split,
            options,
            prepare=lambda network, beside: beside.update({"scales": scales}),
        )
        if self.world > 1:
            raise UserError("qat trains in one process; start it without torchrun")
        self.scales = scales
        self.trunk = Trunk.of(self.network)
        self.simulated = SimulatedNet(self.trunk, scales).to(self.device)

    def predict(self, model: nn.Module, rgb: Tensor) -> Tensor:
        """Nx3xHxW uint8 -> Nx1xhxw ln(metres) of the simulated int8 network."""
        encoded = self.simulated.run(rgb.to(self.device).float())
        return log_depth(encoded, self.config.network)

    def validate(self) -> DepthMetrics:
        """Validation metrics of the averaged int8 network, in integer arithmetic."""
        # A graph of the average would have to be traced; this one follows the network.
        own = copy.deepcopy(self.network.state_dict())
        self.network.load_state_dict(self.averaged.module.state_dict())
        metrics = evaluate(Int8Net(self.trunk, self.scales.ranges()), self.split.val)
        self.network.load_state_dict(own)
        return metrics

    def ranges(self) -> Mapping[str, Any]:
        """The learned ranges, in the form of the checkpoint."""
        return write_ranges(self.scales.ranges())

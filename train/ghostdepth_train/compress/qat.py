"""Quantisation-aware training: the loss sees the rounding of the int8 file.

Jacob et al., CVPR 2018 (fake quantisation in training, batch norms folded) with learned scales
(Esser et al., ICLR 2020): see `quantise/fake.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from bench_depth.core.errors import UserError
from bench_depth.core.metrics import DepthMetrics
from torch import Tensor, nn

from ghostdepth_train.checkpoint import Checkpoint, load_checkpoint
from ghostdepth_train.compress.calibrate import CalibrateConfig, find_ranges, training_pictures
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import (
    AugmentConfig,
    LossConfig,
    TrainConfig,
    TrainingConfig,
    require_ghostnet,
)
from ghostdepth_train.data import Split
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.losses import depth_loss
from ghostdepth_train.models.network import log_depth, resize
from ghostdepth_train.quantization import Range, Trunk, read_ranges, write_ranges
from ghostdepth_train.quantization.fake_quantization import Scales, SimulatedNet
from ghostdepth_train.quantization.integer_simulation import Int8Net
from ghostdepth_train.trainer import RunOptions, Trainer


class QatConfig(Method):
    """Quantisation-aware training.

    Attributes:
        training: How. The batch norms' statistics stay; the learning rate is that of the scales'
            logarithms too.
        start: The ranges it starts from.
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


CONFIG = QatConfig


def apply(checkpoint: Checkpoint, config: QatConfig, work: Work) -> Compressed:
    """Calibrates, trains on, and keeps the epoch whose int8 network is the best."""
    require_ghostnet(checkpoint.config, "qat")
    if config.start.equalise or config.start.correct_bias:
        raise UserError(
            "qat: start takes the ranges' rule only; put a calibrate step before qat to equalise "
            "or to correct biases"
        )
    network = checkpoint.network
    trunk = Trunk.of(network)
    names = trunk.places.distinct()
    if checkpoint.ranges is not None:
        ranges = read_ranges(checkpoint.ranges, names, "the checkpoint's ranges.json")
    else:
        pairs, count = work.split.train, config.start.photos
        pictures = training_pictures(pairs, network.config, count, config.seed)
        ranges = find_ranges(trunk, pictures, config.start, work)
    before = evaluate(Int8Net(trunk, ranges), work.split.val)
    work.say(f"int8 before training: si-RMSE {before.si_rmse:.4f}")

    def trainer(train: TrainConfig, split: Split, options: RunOptions) -> QatTrainer:
        return QatTrainer(train, split, options, ranges)

    best = work.train(network, config.training, config.seed, trainer=trainer)
    learned = load_checkpoint(work.out / "run" / "best").ranges
    kept = read_ranges(learned, names, "ranges.json")
    after = evaluate(Int8Net(Trunk.of(best), kept), work.split.val)
    notes = {"int8_before": before.to_dict(), "int8_validation": after.to_dict()}
    return Compressed(best, notes, learned)


class QatTrainer(Trainer):
    """Trains through the simulated int8 network; judges and saves by the whole-number one.

    Args:
        config: See `Trainer`.
        split: See `Trainer`.
        options: See `Trainer`.
        start: Ranges of the activations.

    Raises:
        UserError: As `Trainer`, or there are several processes.
    """

    def __init__(
        self, config: TrainConfig, split: Split, options: RunOptions, start: Mapping[str, Range]
    ) -> None:
        self.start = start
        super().__init__(config, split, options)
        if self.world > 1:
            raise UserError("qat trains in one process; start it without torchrun")

    def prepare(self) -> None:
        """Adds the scales to what is trained."""
        self.trunk = Trunk.of(self.network)
        self.scales = Scales(self.start)
        self.beside["scales"] = self.scales
        self.simulated = SimulatedNet(self.trunk, self.scales)

    def loss(self, model: nn.Module, rgb: Tensor, depth: Tensor) -> Tensor:
        """The loss of one batch as the int8 file would give it."""
        self.simulated.to(self.device)
        encoded = self.simulated.run(rgb.to(self.device).float())
        prediction = log_depth(encoded, self.config.network)
        depth = depth.to(self.device)
        return depth_loss(resize(prediction, *depth.shape[-2:]), depth, self.config.loss)

    def validate(self) -> DepthMetrics:
        """Of the int8 network, in whole numbers."""
        return evaluate(Int8Net(self.trunk, self.scales.ranges()), self.split.val)

    def ranges(self) -> Mapping[str, Any]:
        """As the checkpoint holds them."""
        return write_ranges(self.scales.ranges())

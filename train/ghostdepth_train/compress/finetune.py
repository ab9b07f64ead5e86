"""Plain further training, for example after a step that removed something."""

from __future__ import annotations

from typing import Literal

from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import TrainingConfig


class FinetuneConfig(Method):
    """Settings of further training.

    Attributes:
        training: Training settings.
    """

    method: Literal["finetune"] = "finetune"
    training: TrainingConfig = TrainingConfig(epochs=30, learning_rate=1e-3, warmup_epochs=1)


def apply(checkpoint: Checkpoint, config: FinetuneConfig, work: Work) -> Compressed:
    """Trains the network further."""
    return Compressed(work.train(checkpoint.network, config.training, config.seed))

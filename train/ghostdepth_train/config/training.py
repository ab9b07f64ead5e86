"""A training run: augmentation, losses, clips, the recipe."""

from __future__ import annotations

from typing import Literal

import pydantic

from ghostdepth_train.config.fields import MAX_EPOCHS, MAX_SEED, BatchSize, Config, Weight
from ghostdepth_train.config.network import NetworkConfig


class AugmentConfig(Config):
    """Changes of a training pair; all probabilities and ranges are per image.

    Attributes:
        flip: Probability of a left-right flip.
        zoom: Largest enlargement (log-uniform from 1, or from 1/`widen`); the depth is divided by
            the one drawn.
        widen: How much wider than the picture a view may be; around it is its mirror image, of
            unknown depth.
        near: Probability of things that stand close before the camera.
        tilt: Largest turn of the camera up, sideways and around its axis, degrees.
        blur: Largest standard deviation of a blur, pixels of the network's input; most are far
            smaller.
        grey: Probability of a picture without colour.
        colour: Strength of brightness, contrast, gamma, saturation and white-balance changes.
        noise: Largest standard deviation of added Gaussian noise, in grey levels of 255.
    """

    flip: float = pydantic.Field(default=0.5, ge=0, le=1)
    zoom: float = pydantic.Field(default=1.5, ge=1, le=4)
    widen: float = pydantic.Field(default=1.0, ge=1, le=1.5)
    near: float = pydantic.Field(default=0.0, ge=0, le=1)
    tilt: float = pydantic.Field(default=0.0, ge=0, le=30)
    blur: float = pydantic.Field(default=0.0, ge=0, le=10)
    grey: float = pydantic.Field(default=0.0, ge=0, le=1)
    colour: float = pydantic.Field(default=0.3, ge=0, lt=1)
    noise: float = pydantic.Field(default=4.0, ge=0, le=255)


class LossConfig(Config):
    """The mix of losses (see `losses.py`).

    Attributes:
        silog: Weight of the scale-invariant log loss.
        silog_lambda: Fraction of the squared mean error that is subtracted, 0 to 1; with 1 the
            loss is fully scale-invariant.
        gradient: Weight of the multi-scale gradient loss.
        gradient_scales: Number of scales, each at half the resolution of the one before.
    """

    silog: Weight = 1.0
    silog_lambda: float = pydantic.Field(default=0.5, ge=0, le=1)
    gradient: Weight = 0.5
    gradient_scales: int = pydantic.Field(default=4, ge=1, le=6)


class ClipConfig(Config):
    """Clips, on which the state of a stream is trained (see `data/clips.py`).

    Attributes:
        source: `frames` for the frames of clip folders, `crop` for a moving crop of each pair.
        frames: Number of frames of a clip, at least 2.
        truncate: Number of frames after which the state passes no gradient on.
        motion: Distance that a crop moves in a clip, as a fraction of the largest possible one.
        temporal: Weight of the temporal error in the loss (see `losses.py`); 0 for none. Only
            with `source: crop`, whose motion is known.
    """

    source: Literal["frames", "crop"] = "crop"
    frames: int = pydantic.Field(default=4, ge=2, le=64)
    truncate: int = pydantic.Field(default=4, ge=1, le=64)
    motion: float = pydantic.Field(default=0.3, ge=0, le=1)
    temporal: Weight = 0.0

    @pydantic.model_validator(mode="after")
    def _motion_is_known(self) -> ClipConfig:
        if self.temporal and self.source != "crop":
            raise ValueError(
                "temporal needs the motion between the frames, which is known of moving crops "
                "only; set source to crop, or temporal to 0"
            )
        return self


class TrainingConfig(Config):
    """How to train, whatever the network.

    Attributes:
        augment: Changes of the training pairs.
        loss: The mix of losses.
        epochs: Number of passes over the training set.
        batch_size: Number of images per step and process.
        learning_rate: Peak learning rate of AdamW.
        warmup_epochs: Number of epochs in which the learning rate rises linearly to the peak; a
            cosine to zero follows.
        weight_decay: Decoupled weight decay of the convolutions.
        ema_decay: Decay per step of the averaged weights, which are evaluated and saved, 0 to 1.
        clip_norm: Largest L2 norm of the whole gradient; 0 for no clipping.
        eval_every: Number of epochs between evaluations; the last epoch is always evaluated.
        seed: Seed of initialization, order and augmentation.
    """

    augment: AugmentConfig = AugmentConfig()
    loss: LossConfig = LossConfig()
    epochs: int = pydantic.Field(default=100, ge=1, le=MAX_EPOCHS)
    batch_size: BatchSize = 8
    learning_rate: float = pydantic.Field(default=2e-3, gt=0, le=100)
    warmup_epochs: float = pydantic.Field(default=3.0, ge=0, le=MAX_EPOCHS)
    weight_decay: float = pydantic.Field(default=0.02, ge=0, le=100)
    ema_decay: float = pydantic.Field(default=0.998, ge=0, lt=1)
    clip_norm: Weight = 5.0
    eval_every: int = pydantic.Field(default=1, ge=1, le=MAX_EPOCHS)
    seed: int = pydantic.Field(default=0, ge=0, le=MAX_SEED)


class TrainConfig(TrainingConfig):
    """A whole training run.

    Attributes:
        network: The network to train.
        clip: Clips to train a network with a `stream` on; None for pictures.
    """

    network: NetworkConfig
    clip: ClipConfig | None = None

    @pydantic.model_validator(mode="after")
    def _clips_are_for_streams(self) -> TrainConfig:
        if self.clip is not None and self.network.decoder.stream is None:
            raise ValueError("clip is for a network with a stream; set network.decoder.stream")
        if self.clip is None and self.network.decoder.stream is not None:
            raise ValueError("a network with a stream is trained on clips; set clip.frames")
        return self

    @pydantic.model_validator(mode="after")
    def _batch_norm_has_two_values(self) -> TrainConfig:
        # Batch norm in training needs two values a channel, and the coarsest features have the
        # fewest: one for each 32x32 pixels of each image.
        height, width = (-(-n // 32) for n in self.network.input_size)
        if self.batch_size * height * width == 1:
            raise ValueError(
                f"batch norm gets one value a channel from batch_size 1 and a network input of "
                f"{self.network.input_height}x{self.network.input_width}; raise batch_size to 2, "
                "or the input above 32x32"
            )
        return self

"""Knowledge distillation (Hinton, Vinyals, Dean, 2014) for dense regression.

Four losses supervise the student by a teacher, each with its weight:

- response: difference to the teacher's log depth, weighted at each pixel by the teacher's error
  (see `trust`);
- feature: difference to the teacher's encoder maps, through 1x1 adapters that are discarded after
  training (Romero et al., "FitNets", ICLR 2015);
- affinity: difference of the cosine similarities of all pairs of positions of a map, which needs no
  adapter (Liu et al., "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019, eq.
  4; LiteDepth, Li et al. 2022, uses it for depth);
- attention: difference of the maps' sums of squared channels, which needs no adapter either
  (Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, section 3.1).

Unlabelled images are added with labels that the teacher computes during training, or stored ones.
A teacher of a larger input than the student's gets every image at its own size.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import pydantic
from bench_depth.core.dataset import Pair
from bench_depth.core.errors import UserError
from pydantic import AliasChoices
from torch import Tensor, nn
from torch.nn import functional as F

from ghostdepth_train import distributed
from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import Config, TrainConfig, TrainingConfig
from ghostdepth_train.config.fields import BatchSize, Positive, Weight
from ghostdepth_train.data import EpochSampler, Split, batches, training_loader
from ghostdepth_train.distillation import Teacher, align_to, load_teacher, ssi_loss
from ghostdepth_train.distillation.labels import by_stride, metric_labels
from ghostdepth_train.distillation.losses import (
    affinity_loss,
    attention_loss,
    block_means,
    feature_loss,
    response_loss,
    teacher_confidence,
)
from ghostdepth_train.distillation.unlabelled import (
    LABEL_FOLDER,
    UnlabelledDataset,
    list_unlabelled,
    require_usable_images,
    survey_labels,
)
from ghostdepth_train.models.network import DepthNet, resize, without_border
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer


class UnlabelledConfig(Config):
    """How unlabelled images are used.

    Attributes:
        labels: `teacher`: the teacher labels the augmented image; `stored`: the depth maps in
            `pseudo_depth/`, or in another folder that the run is given, are the labels.
        batch_size: Number of unlabelled images per step.
        weight: Weight of their loss.
        scale: `free`: the loss ignores a factor common to the whole image, since the scale of
            another camera differs; `metric`: it does not.
        blocks: Pixels of the input, along each axis, over whose means of log depth prediction and
            labels are compared; 1 for every pixel. Blurred labels teach no blurred edges then.
        until: Fraction of the epochs with unlabelled images, 0 to 1; the last epochs train on
            labelled pairs only.
    """

    labels: Literal["teacher", "stored"] = "teacher"
    batch_size: BatchSize = 4
    weight: Positive = 0.5
    scale: Literal["free", "metric"] = "free"
    blocks: int = pydantic.Field(default=1, ge=1, le=32)
    until: float = pydantic.Field(default=0.8, gt=0, le=1)


class DistilConfig(Method):
    """Settings of distillation.

    Attributes:
        teachers: Teachers, see `distillation.load_teacher`; several form an ensemble. May be empty
            if the unlabelled images have stored labels.
        ground_truth: Weight of the plain loss on the ground truth of the pairs.
        response: Weight of the response loss.
        feature: Weight of the feature loss.
        affinity: Weight of the affinity loss.
        attention: Weight of the attention loss.
        trust: Error of the teacher, in ln(metres), at which the weight of a pixel is 1/e.
        strides: Strides of the encoder maps for `feature`, `affinity` and `attention`.
        unlabelled: Settings of the training on unlabelled images; None for none.
        training: Training settings.
    """

    method: Literal["distil"] = "distil"
    teachers: tuple[str, ...] = ()
    ground_truth: Weight = pydantic.Field(
        default=1.0, validation_alias=AliasChoices("ground_truth", "truth")
    )
    response: Weight = 1.0
    feature: Weight = 0.0
    affinity: Weight = 0.0
    attention: Weight = 0.0
    trust: Positive = 0.3
    strides: tuple[Literal[2, 4, 8, 16, 32], ...] = (16, 32)
    unlabelled: UnlabelledConfig | None = pydantic.Field(
        default=None, validation_alias=AliasChoices("unlabelled", "photos")
    )
    training: TrainingConfig = TrainingConfig(epochs=60, warmup_epochs=1, weight_decay=0.05)

    @pydantic.model_validator(mode="after")
    def _has_supervision(self) -> DistilConfig:
        if not self.teachers and not self.reads_labels:
            raise ValueError("there is neither a teacher nor unlabelled images with stored labels")
        if not self.teachers and self.needs_maps:
            raise ValueError("feature, affinity and attention need a teacher")
        return self

    @property
    def reads_labels(self) -> bool:
        """Whether it trains on stored labels of unlabelled images."""
        return self.unlabelled is not None and self.unlabelled.labels == "stored"

    @property
    def needs_maps(self) -> bool:
        """Whether a loss compares maps of the encoders."""
        return bool(self.feature or self.affinity or self.attention)

    def check(self, start: Checkpoint | None, work: Work) -> None:
        """Refuses a teacher or unlabelled images that cannot be used; warns of their labels."""
        _teacher(self, work)
        _unlabelled(self, work)


def apply(checkpoint: Checkpoint, config: DistilConfig, work: Work) -> Compressed:
    """Trains the network as the student of its teachers.

    Raises:
        UserError: A teacher cannot be loaded or has no features, or there are no unlabelled images.
    """
    teacher = _teacher(config, work)
    unlabelled = _unlabelled(config, work)
    make = functools.partial(Distiller, distil=config, teacher=teacher, unlabelled=unlabelled)
    return Compressed(
        work.train(checkpoint.network, config.training, config.seed, trainer=make),
        {"teacher": teacher.identity} if teacher else {},
    )


def _teacher(config: DistilConfig, work: Work) -> Teacher | None:
    def load() -> Teacher | None:
        device = distributed.start()[2]
        if not config.teachers:
            return None
        loaded = load_teacher(config.teachers, device)
        work.warn(loaded.warnings)
        return loaded

    teacher = work.once(("distil", config.teachers), load)
    if teacher is not None and config.needs_maps:
        missing = [str(n) for n in config.strides if n not in teacher.channels]
        if missing:
            raise UserError(
                f"the teacher {teacher.name} has no feature map for stride {', '.join(missing)}, "
                "which feature, affinity and attention need; take a checkpoint of this project, "
                "or for strides 4 to 32 a transformers model other than depth_pro"
            )
    return teacher


def _unlabelled(config: DistilConfig, work: Work) -> list[Pair]:
    """The unlabelled images that are trained on, checked; empty where there are none."""
    if config.unlabelled is None:
        return []
    stored = config.reads_labels
    return work.once(("unlabelled", stored), lambda: _checked_images(stored, work))


def _checked_images(stored: bool, work: Work) -> list[Pair]:
    if work.unlabelled is None:
        raise UserError(
            "the recipe uses unlabelled images; give their folder, --unlabelled DIR (DIR/rgb), or "
            "leave them out: --set distil.unlabelled=null"
        )
    labels = work.unlabelled / LABEL_FOLDER if work.labels is None else work.labels
    images = list_unlabelled(work.unlabelled, labels)
    require_usable_images(images)
    if stored:
        images = [image for image in images if image.depth.is_file()]
        if not images:
            raise UserError(
                f"no image of {work.unlabelled} has a label in {labels}; "
                "make them with `ghostdepth label`"
            )
        found = survey_labels(images, f"the labels in {labels}")
        work.warn({finding.code: finding.line for finding in found})
    return images


def adapters(
    network: DepthNet, channels: Mapping[int, int], strides: Sequence[int]
) -> nn.ModuleDict:
    """1x1 convolutions from the student's maps to the channels of the teacher's, by stride."""
    own = by_stride(network.encoder.channels)
    return nn.ModuleDict({str(n): nn.Conv2d(own[n], channels[n], 1) for n in strides})


def picture_size(student: tuple[int, int], teacher: Teacher | None) -> tuple[int, int]:
    """Height and width of training pictures: those of the larger input, student's or teacher's."""
    wanted = teacher.size if teacher is not None else None
    if wanted is None or math.prod(wanted) <= math.prod(student):
        return student
    return wanted


class Distiller(Trainer):
    """Training of a student, supervised by a teacher as well as by the ground truth."""

    def __init__(
        self,
        config: TrainConfig,
        split: Split,
        options: RunOptions,
        *,
        distil: DistilConfig,
        teacher: Teacher | None,
        unlabelled: list[Pair],
    ) -> None:
        def make_adapters(network: DepthNet, beside: nn.ModuleDict) -> None:
            if distil.feature and teacher is not None:
                beside["adapters"] = adapters(network, teacher.channels, distil.strides)

        size = picture_size(config.network.input_size, teacher)
        super().__init__(config, split, options, prepare=make_adapters, size=size)
        self._small, self._large = config.network.input_size, size
        self.distil, self.teacher = distil, teacher
        self._maps: dict[int, Tensor] = {}
        self.network.encoder.register_forward_hook(self._keep_maps)
        if distil.unlabelled is not None:
            self._open_unlabelled(unlabelled, distil.unlabelled)

    def _open_unlabelled(self, images: list[Pair], settings: UnlabelledConfig) -> None:
        seed = self.config.seed + 1
        self._unlabelled_sampler = EpochSampler(
            len(images), settings.batch_size, seed, self.rank, self.world, len(self.sampler)
        )
        dataset = UnlabelledDataset(images, self._large, self.config.augment, seed)
        workers = min(1, self.options.workers)
        self._unlabelled_loader = training_loader(dataset, self._unlabelled_sampler, workers)
        self._unlabelled_epoch = -1

    def _keep_maps(self, _module: nn.Module, _inputs: object, maps: list[Tensor]) -> None:
        border = self.config.network.border
        self._maps = {s: without_border(m, border, s) for s, m in by_stride(maps).items()}

    def loss(self, model: nn.Module, rgb: Tensor, depth: Tensor, *motions: Tensor) -> Tensor:
        """The loss of a batch (Nx3xHxW uint8, Nx1xHxW metres) and of unlabelled images."""
        settings = self.distil
        known = F.interpolate(depth, self._small, mode="nearest-exact")
        total = settings.ground_truth * super().loss(model, rgb, known, *motions)
        prediction = self._prediction
        if self.teacher is not None:
            rgb, depth = rgb.to(self.device), depth.to(self.device)
            total = total + self._distillation_loss(rgb, depth, prediction)
        unlabelled = settings.unlabelled
        if unlabelled is None or self.epoch >= unlabelled.until * self.config.epochs:
            return total
        return total + unlabelled.weight * self._unlabelled_loss(model, *self._next_unlabelled())

    def predict(self, model: nn.Module, rgb: Tensor) -> Tensor:
        """As `Trainer.predict`, of pictures of any size; the other losses get the prediction."""
        self._prediction = super().predict(model, resize(rgb.float(), *self._small))
        return self._prediction

    def _distillation_loss(self, rgb: Tensor, depth: Tensor, prediction: Tensor) -> Tensor:
        assert self.teacher is not None
        settings, total = self.distil, prediction.new_zeros(())
        labels = self.teacher(rgb)
        if settings.response:
            metric = align_to(labels, depth)
            weight = teacher_confidence(metric.log_depth, depth, settings.trust) * metric.weight
            loss = response_loss(prediction, metric.log_depth, weight)
            total = total + settings.response * loss
        for stride in settings.strides if settings.needs_maps else ():
            mine, its = self._maps[stride], labels.features[stride]
            if settings.feature:
                adapted = self.beside.get_submodule(f"adapters.{stride}")(mine)
                loss = feature_loss(adapted, its)
                total = total + settings.feature * loss
            if settings.affinity:
                total = total + settings.affinity * affinity_loss(mine, its)
            if settings.attention:
                total = total + settings.attention * attention_loss(mine, its)
        return total

    def _unlabelled_loss(self, model: nn.Module, rgb: Tensor, depth: Tensor) -> Tensor:
        settings = self.distil.unlabelled
        assert settings is not None
        rgb = rgb.to(self.device)
        prediction = super().predict(model, resize(rgb.float(), *self._small))
        if settings.labels == "stored":
            labels = metric_labels(depth.to(self.device))
        else:
            assert self.teacher is not None
            labels = self.teacher(rgb)
        if labels.quantity == "relative-inverse":
            return ssi_loss(prediction, labels)
        wanted, weight = labels.log_depth, labels.weight
        if settings.blocks > 1:
            height, width = (-(-side // settings.blocks) for side in self._small)
            wanted, weight = block_means(wanted, weight, (height, width))
            prediction = F.adaptive_avg_pool2d(prediction, (height, width))
        free = settings.scale == "free"
        return response_loss(prediction, wanted, weight, free_scale=free)

    def _next_unlabelled(self) -> tuple[Tensor, Tensor]:
        if self._unlabelled_epoch != self.epoch:
            self._unlabelled_epoch = self._unlabelled_sampler.epoch = self.epoch
            self._unlabelled_batches = batches(self._unlabelled_loader)
        rgb, depth = next(self._unlabelled_batches)
        return rgb, depth

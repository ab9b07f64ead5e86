"""Knowledge distillation (Hinton, Vinyals, Dean, 2014) for dense regression.

Three ways to learn from a teacher, each with its weight:

- response: the student's log depth towards the teacher's, weighted by how much the teacher can be
  trusted at that pixel (see `trust`);
- feature: the student's encoder maps towards the teacher's, through 1x1 adapters that are thrown
  away (Romero et al., "FitNets", ICLR 2015);
- affinity: the cosine similarities of all pairs of places of a map, which need no adapter (Liu et
  al., "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019, eq. 4; LiteDepth,
  Li et al. 2022, uses them for depth).

Photos without depth join in with the labels of the teacher, made on the fly, or with stored ones.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import pydantic
from bench_depth.core.errors import UserError
from torch import Tensor, nn

from ghostdepth_train import distributed
from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work
from ghostdepth_train.config import Config, TrainConfig, TrainingConfig
from ghostdepth_train.data import EpochSampler, Split, batches, training_loader
from ghostdepth_train.distillation import Teacher, align_to, load_teacher, ssi_loss
from ghostdepth_train.distillation.labels import metric_labels
from ghostdepth_train.distillation.losses import affinity_loss, feature_loss, response_loss, trusted
from ghostdepth_train.distillation.unlabelled import LABELS, PhotoDataset, list_photos
from ghostdepth_train.trainer import RunOptions, Trainer


class PhotosConfig(Config):
    """How photos without depth take part.

    Attributes:
        labels: `teacher`: whoever teaches labels the photo as it was augmented; `stored`: the
            depth maps in `pseudo_depth/`.
        batch_size: Photos a step.
        weight: Of their loss.
        scale: `free`: a factor common to the whole photo is forgiven, since another camera has
            another scale; `metric`: it is not.
        until: Share of the epochs in which they take part; the real pairs have the last word.
    """

    labels: Literal["teacher", "stored"] = "teacher"
    batch_size: int = pydantic.Field(default=4, ge=1)
    weight: float = pydantic.Field(default=0.5, gt=0)
    scale: Literal["free", "metric"] = "free"
    until: float = pydantic.Field(default=0.8, gt=0, le=1)


class DistilConfig(Method):
    """Distillation.

    Attributes:
        teachers: Who teaches; see `teachers.load_teacher`. Several are one ensemble. None at all
            is possible when photos have stored labels.
        truth: Weight of the plain loss on the pairs' own depth.
        response: Weight of the teacher's depth.
        feature: Weight of its encoder maps.
        affinity: Weight of the maps' similarities.
        trust: Error of the teacher, in ln(metres), at which its word counts 1/e.
        strides: Which encoder maps `feature` and `affinity` look at.
        photos: How photos without depth take part; None = not at all.
        training: How to train.
    """

    method: Literal["distil"] = "distil"
    teachers: tuple[str, ...] = ()
    truth: float = pydantic.Field(default=1.0, ge=0)
    response: float = pydantic.Field(default=1.0, ge=0)
    feature: float = pydantic.Field(default=0.0, ge=0)
    affinity: float = pydantic.Field(default=0.0, ge=0)
    trust: float = pydantic.Field(default=0.3, gt=0)
    strides: tuple[Literal[2, 4, 8, 16, 32], ...] = (16, 32)
    photos: PhotosConfig | None = None
    training: TrainingConfig = TrainingConfig(epochs=60, warmup_epochs=1, weight_decay=0.05)

    @pydantic.model_validator(mode="after")
    def _somebody_teaches(self) -> DistilConfig:
        stored = self.photos is not None and self.photos.labels == "stored"
        if not self.teachers and not stored:
            raise ValueError("no teacher is named and no photo has stored labels")
        if not self.teachers and (self.feature or self.affinity):
            raise ValueError("feature and affinity need a teacher")
        return self


CONFIG = DistilConfig


def apply(checkpoint: Checkpoint, config: DistilConfig, work: Work) -> Compressed:
    """Trains the network with its teachers.

    Raises:
        UserError: A teacher cannot be loaded or has no such features, or photos are missing.
    """
    device = distributed.start()[2]
    teacher = load_teacher(config.teachers, device) if config.teachers else None
    if (config.feature or config.affinity) and not (teacher and teacher.channels):
        raise UserError(
            "feature and affinity distillation need a teacher that shows its features: "
            "a checkpoint of this project"
        )
    photos: Path | None = None
    if config.photos is not None:
        if work.photos is None:
            raise UserError("the recipe uses photos; say where they are: --photos DIR (DIR/rgb)")
        photos = work.photos
    make = functools.partial(Distiller, distil=config, teacher=teacher, photos=photos)
    return Compressed(
        work.train(checkpoint.network, config.training, config.seed, trainer=make),
        {"teacher": teacher.identity} if teacher else {},
    )


class Distiller(Trainer):
    """Training with a teacher beside it."""

    def __init__(
        self,
        config: TrainConfig,
        split: Split,
        options: RunOptions,
        *,
        distil: DistilConfig,
        teacher: Teacher | None,
        photos: Path | None,
    ) -> None:
        self.distil, self.teacher = distil, teacher
        super().__init__(config, split, options)
        self._maps: list[Tensor] = []
        self.network.encoder.register_forward_hook(self._keep_maps)
        if distil.photos is not None and photos is not None:
            self._open_photos(photos, distil.photos)

    def prepare(self) -> None:
        """Makes the adapters of feature distillation."""
        if self.distil.feature:
            assert self.teacher is not None
            adapters = {}
            for stride in self.distil.strides:
                index = stride.bit_length() - 2
                mine, its = self.network.encoder.channels[index], self.teacher.channels[index]
                adapters[str(stride)] = nn.Conv2d(mine, its, 1)
            self.beside["adapters"] = nn.ModuleDict(adapters)

    def _open_photos(self, folder: Path, settings: PhotosConfig) -> None:
        network, seed = self.config.network, self.config.seed + 1
        photos = list_photos(folder)
        if settings.labels == "stored":
            photos = [photo for photo in photos if photo.depth.is_file()]
            if not photos:
                raise UserError(
                    f"no photo of {folder} has a label in {folder / LABELS}; "
                    "make them with `ghostdepth label`"
                )
        self._photo_sampler = EpochSampler(
            len(photos), settings.batch_size, seed, self.rank, self.world, len(self.sampler)
        )
        size = (network.input_height, network.input_width)
        dataset = PhotoDataset(photos, size, self.config.augment, seed)
        workers = min(1, self.options.workers)
        self._photo_loader = training_loader(dataset, self._photo_sampler, workers)
        self._photo_epoch = -1

    def _keep_maps(self, _module: nn.Module, _inputs: object, maps: list[Tensor]) -> None:
        self._maps = list(maps)

    def loss(self, model: nn.Module, rgb: Tensor, depth: Tensor) -> Tensor:
        """The loss of one batch: Nx3xHxW uint8 and Nx1xHxW metres; photos are drawn here."""
        settings = self.distil
        total = settings.truth * super().loss(model, rgb, depth)
        prediction = self._prediction
        if self.teacher is not None:
            rgb, depth = rgb.to(self.device), depth.to(self.device)
            total = total + self._taught(rgb, depth, prediction)
        photos = settings.photos
        if photos is None or self.epoch >= photos.until * self.config.epochs:
            return total
        return total + photos.weight * self._photo_loss(model, *self._next_photos())

    def predict(self, model: nn.Module, rgb: Tensor) -> Tensor:
        """Keeps the prediction for the other losses."""
        self._prediction = super().predict(model, rgb)
        return self._prediction

    def _taught(self, rgb: Tensor, depth: Tensor, prediction: Tensor) -> Tensor:
        assert self.teacher is not None
        settings, total = self.distil, prediction.new_zeros(())
        labels = self.teacher(rgb)
        if settings.response:
            metric = align_to(labels, depth)
            weight = trusted(metric.log_depth, depth, settings.trust) * metric.weight
            loss = response_loss(prediction, metric.log_depth, weight)
            total = total + settings.response * loss
        for stride in settings.strides if labels.features else ():
            index = stride.bit_length() - 2
            mine, its = self._maps[index], labels.features[index]
            if settings.feature:
                adapters = self.beside["adapters"]
                assert isinstance(adapters, nn.ModuleDict)
                loss = feature_loss(adapters[str(stride)](mine), its)
                total = total + settings.feature * loss
            if settings.affinity:
                total = total + settings.affinity * affinity_loss(mine, its)
        return total

    def _photo_loss(self, model: nn.Module, rgb: Tensor, depth: Tensor) -> Tensor:
        photos = self.distil.photos
        assert photos is not None
        rgb = rgb.to(self.device)
        prediction = super().predict(model, rgb)
        if photos.labels == "stored":
            labels = metric_labels(depth.to(self.device))
        else:
            assert self.teacher is not None
            labels = self.teacher(rgb)
        if labels.quantity == "relative-inverse":
            return ssi_loss(prediction, labels)
        free = photos.scale == "free"
        return response_loss(prediction, labels.log_depth, labels.weight, free_scale=free)

    def _next_photos(self) -> tuple[Tensor, Tensor]:
        if self._photo_epoch != self.epoch:
            self._photo_epoch = self._photo_sampler.epoch = self.epoch
            self._photo_batches = batches(self._photo_loader)
        return next(self._photo_batches)

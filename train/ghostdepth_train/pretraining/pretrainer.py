"""The training loop of a pretraining: a training without depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from bench_depth.accuracy.readers import evenly_spaced
from torch import Tensor, nn
from torch.nn import functional as F

from ghostdepth_train.checkpoint import PRETRAINING
from ghostdepth_train.compress.distil import adapters
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.data import DepthDataset, Split, files_sha256
from ghostdepth_train.distillation.losses import feature_loss
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pretraining.codebook import (
    Codebook,
    discard_probability,
    noise_distribution,
)
from ghostdepth_train.pretraining.config import PretrainConfig
from ghostdepth_train.pretraining.images import ImageDataset
from ghostdepth_train.pretraining.skip_gram import (
    PatchVectors,
    Places,
    bags,
    draw_places,
    negative_sampling_loss,
    skip_gram_pairs,
)
from ghostdepth_train.pretraining.teacher import load_feature_teacher
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer

# Images whose patches make the codebook, at most.
_CODEBOOK_IMAGES = 2000
_STRIDES = (16, 32)


class EncoderNet(DepthNet):
    """A depth network of which the encoder alone runs and is trained."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config.network)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith("encoder."))

    def forward(  # type: ignore[override]
        self, x: Tensor, truncate: int | None = None
    ) -> tuple[Tensor, ...]:
        """Nx3xHxW normalised RGB -> features at stride 16 and 32."""
        return tuple(self.encoder(x)[-2:])


class Pretrainer(Trainer):
    """A run on unlabelled images, see `Trainer`; its checkpoints hold a pretrained encoder.

    Args:
        config: Network, method and training settings.
        split: Images to learn from, and those held out, of `images.split_images`.
        options: Folder, workers and limits of the run.

    Raises:
        UserError: As `Trainer`; the images have too few patches for the codebook; or the teacher
            cannot be loaded.
    """

    criterion = "validation_loss"

    def __init__(self, config: PretrainConfig, split: Split, options: RunOptions) -> None:
        super().__init__(config, split, options, prepare=self._add_heads)
        size = config.network.input_size
        self._plain = ImageDataset(split.val, size, config.augment, config.seed)
        self._drawn_epoch, self._generator = -1, torch.Generator()
        if config.method != "features" and self.epoch == 0:
            self._fit_codebook()

    @property
    def pretraining(self) -> PretrainConfig:
        """The config, with the fields of the pretraining."""
        assert isinstance(self.config, PretrainConfig)
        return self.config

    def _add_heads(self, network: DepthNet, beside: nn.ModuleDict) -> None:
        config, widths = self.pretraining, network.encoder.channels[-2:]
        if config.method == "features":
            self._teacher = load_feature_teacher(config.teacher, self.device)
            beside["adapters"] = adapters(network, self._teacher.channels, _STRIDES)
        else:
            beside["vectors"] = PatchVectors(widths, config.codes, config.channels)
            beside["codebook"] = Codebook(config.stride, config.codes)

    def _fit_codebook(self) -> None:
        dataset = self.loader.dataset
        assert isinstance(dataset, ImageDataset)
        chosen = evenly_spaced(range(len(dataset)), min(len(dataset), _CODEBOOK_IMAGES))
        codebook = self.beside.get_submodule("codebook")
        assert isinstance(codebook, Codebook)
        images = torch.stack([dataset.plain(index) for index in chosen])
        codebook.cpu().fit(images, self.config.seed)
        codebook.to(self.device)

    def build(self) -> DepthNet:
        """The depth network, whose decoder is neither run nor trained."""
        return EncoderNet(self.config)

    def listing(self) -> str:
        """Names and sizes of the images."""
        return files_sha256(image.rgb for image in (*self.split.train, *self.split.val))

    def _dataset(self, size: tuple[int, int]) -> DepthDataset:
        return ImageDataset(self.split.train, size, self.config.augment, self.config.seed)

    def loss(self, model: nn.Module, rgb: Tensor, depth: Tensor, *motions: Tensor) -> Tensor:
        """The loss of one batch, Nx3xHxW uint8; the depth, which is unknown, is left aside."""
        if self._drawn_epoch != self.epoch:
            # Drawn anew from each epoch's beginning, where a resumed run continues.
            self._drawn_epoch = self.epoch
            self._generator = _generator(self.config.seed, self.epoch + 1, self.rank)
        return self._loss(model, rgb.to(self.device, non_blocking=True), self._generator)

    def _loss(self, model: nn.Module, rgb: Tensor, generator: torch.Generator) -> Tensor:
        if self.pretraining.method == "features":
            return self._feature_loss(model, rgb)
        config, device = self.pretraining, self.device
        codebook, vectors = (self.beside.get_submodule(n) for n in ("codebook", "vectors"))
        assert isinstance(codebook, Codebook)
        assert isinstance(vectors, PatchVectors)
        with torch.no_grad():
            codes = codebook(rgb)
        hidden = torch.rand(codes.shape, generator=generator) < config.hidden
        # Chance is drawn on the CPU: the same on every device.
        counts = codebook.counts.cpu()
        discard = discard_probability(counts, config.subsample)
        places = draw_places(codes.cpu(), hidden, discard, config.window, generator)
        fine, coarse = self._features(model, rgb, ~hidden)
        with self._autocast():
            found = vectors(fine, coarse, config.grid)
        if config.method == "skip-gram":
            inputs = found.flatten(0, 2)
            centres, targets = (each.to(device) for each in skip_gram_pairs(places, config.window))
        else:
            moved = Places(*(each.to(device) for each in places))
            inputs, targets = bags(found, moved, config.window)
            centres = torch.arange(len(targets), device=device)
        noise = noise_distribution(counts, config.smoothing)
        negatives = _draw(noise, len(targets), config.negatives, generator).to(device)
        positives = codes.flatten()[targets]
        return negative_sampling_loss(inputs, vectors.outputs, centres, positives, negatives)

    def _feature_loss(self, model: nn.Module, rgb: Tensor) -> Tensor:
        with self._autocast():
            wanted = self._teacher.features(rgb)
        total = rgb.new_zeros((), dtype=torch.float32)
        for stride, mine in zip(_STRIDES, self._features(model, rgb), strict=True):
            with self._autocast():
                adapted = self.beside.get_submodule(f"adapters.{stride}")(mine)
            total = total + feature_loss(adapted.float(), wanted[stride].float())
        return total

    def _features(
        self, model: nn.Module, rgb: Tensor, visible: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features at stride 16 and 32; patches that are not visible have the mean colour."""
        x = self.normalise(rgb)
        if visible is not None:
            mask = visible.to(self.device)[:, None].float()
            mask = F.interpolate(mask, scale_factor=float(self.pretraining.stride), mode="nearest")
            x = x * mask[..., : x.shape[-2], : x.shape[-1]]
        with self._autocast():
            fine, coarse = model(x.contiguous(memory_format=torch.channels_last))
        return fine, coarse

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")

    @torch.no_grad()
    def figures(self) -> dict[str, float]:
        """The loss on the held-out images, with the same negatives after every epoch."""
        network = self.averaged.module.eval()
        generator = _generator(self.config.seed, 0)
        losses = [float(self._loss(network, batch, generator)) for batch in self._held_out()]
        return {self.criterion: sum(losses) / len(losses)}

    def _held_out(self) -> Iterator[Tensor]:
        size = self.config.batch_size
        for first in range(0, len(self._plain), size):
            some = range(first, min(first + size, len(self._plain)))
            yield torch.stack([self._plain.plain(index) for index in some]).to(self.device)

    def record(self) -> dict[str, Any]:
        """What marks the checkpoint as a pretrained encoder: how it was pretrained."""
        return {PRETRAINING: self._settings()}

    def _settings(self) -> dict[str, Any]:
        own = set(PretrainConfig.model_fields) - set(TrainConfig.model_fields)
        return self.pretraining.model_dump(mode="json", include=own)

    def _identity(self) -> dict[str, Any]:
        own = self._settings()
        shared = {key: value for key, value in super()._identity().items() if key not in own}
        return shared | {PRETRAINING: own}


def _generator(*seeds: int) -> torch.Generator:
    """A generator of its own for each sequence of seeds."""
    (seed,) = np.random.SeedSequence(seeds).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(seed >> np.uint64(1)))


def _draw(noise: Tensor, rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Codes of a distribution, rows x columns int64."""
    # By the inverse of the cumulative distribution: multinomial is limited to 2^24 outcomes.
    points = torch.rand(rows * columns, generator=generator, dtype=torch.float64)
    found = torch.searchsorted(noise.cumsum(0), points, right=True)
    return found.clamp_max(len(noise) - 1).reshape(rows, columns)

"""Post-training int8 quantization: activation ranges from calibration images.

Cross-layer equalization and bias correction: Nagel et al., ICCV 2019. The rules for ranges are in
`quantization/observers.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pydantic
import torch
from bench_depth.core.dataset import Pair, read_stored_rgb
from bench_depth.core.errors import UserError
from bench_depth.core.screen import counted
from pydantic import AliasChoices
from torch import Tensor

from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work, copy_of
from ghostdepth_train.config import NetworkConfig
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.network import resize
from ghostdepth_train.quantization import Range, Trunk, write_ranges
from ghostdepth_train.quantization.equalization import correct_bias, equalize_layers
from ghostdepth_train.quantization.integer_simulation import Int8Net
from ghostdepth_train.quantization.observers import Rule, choose_range, collect_histograms

MIN_IMAGES = 4


class CalibrateConfig(Method):
    """Settings of post-training quantization.

    Attributes:
        ranges: Rule for an activation's range: the observed minimum and maximum, a percentile, or
            the range with the smallest mean squared error.
        percentile: Percentile for the rule of that name, 50 to 100.
        images: Largest number of calibration images, taken from the training set.
        equalization: Whether channels are equalized across layers first.
        bias_correction: Whether biases are corrected for the shift of the means by rounding.
    """

    method: Literal["calibrate"] = "calibrate"
    ranges: Rule = "percentile"
    percentile: float = pydantic.Field(default=99.99, gt=50, le=100)
    images: int = pydantic.Field(
        default=64, ge=MIN_IMAGES, le=10**9, validation_alias=AliasChoices("images", "photos")
    )
    equalization: bool = pydantic.Field(
        default=False, validation_alias=AliasChoices("equalization", "equalise")
    )
    bias_correction: bool = pydantic.Field(
        default=False, validation_alias=AliasChoices("bias_correction", "correct_bias")
    )


def apply(checkpoint: Checkpoint, config: CalibrateConfig, work: Work) -> Compressed:
    """Calibrates the ranges, adjusts the weights and evaluates the int8 network."""
    network = copy_of(checkpoint.network)
    trunk = Trunk.of(network)
    images = calibration_images(work.split.train, network.config, config.images, config.seed)
    notes: dict[str, object] = {"photos": len(images)}
    if config.equalization:
        notes["equalised_convolutions"] = equalize_layers(trunk)
    ranges = find_ranges(trunk, images, config, work)
    if config.bias_correction:
        notes["largest_bias_shift"] = correct_bias(trunk, ranges, torch.cat(images))
    work.log("evaluating the int8 network")
    notes["int8_validation"] = evaluate(Int8Net(trunk, ranges), work.split.val).to_dict()
    return Compressed(network, notes, write_ranges(ranges))


def find_ranges(
    trunk: Trunk, images: Sequence[Tensor], config: CalibrateConfig, work: Work
) -> dict[str, Range]:
    """Ranges of all activations over the images, by the configured rule."""
    work.log(f"observing the activations of {counted(len(images), 'image')}")

    def on_image(done: int) -> None:
        work.on_step(done, 2 * len(images), float("nan"), float("nan"))

    histograms = collect_histograms(trunk, images, on_image)
    return {
        name: choose_range(histogram, config.ranges, config.percentile)
        for name, histogram in histograms.items()
    }


def calibration_images(
    pairs: Sequence[Pair], config: NetworkConfig, count: int, seed: int
) -> list[Tensor]:
    """Random training images as the int8 file gets them: 1x3xHxW float32, integers 0 to 255.

    Args:
        pairs: Training pairs.
        config: Config of the network, for the size of its input.
        count: Largest number of images.
        seed: Seed of the choice.

    Raises:
        UserError: There are too few images, or one cannot be read.
    """
    if len(pairs) < MIN_IMAGES:
        raise UserError(
            f"the training set has {counted(len(pairs), 'image')}; calibration needs "
            f"at least {MIN_IMAGES}: give a larger --data"
        )
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:count]
    size = config.input_size
    images = []
    for index in sorted(chosen):
        rgb = torch.from_numpy(read_stored_rgb(pairs[index].rgb)).permute(2, 0, 1)[None].float()
        images.append(resize(rgb, *size).round())
    return images

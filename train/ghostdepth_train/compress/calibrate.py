"""Post-training int8: ranges from photos, and what makes the network easier to round.

Nagel et al., ICCV 2019 (equalisation, bias correction); the ranges' rules are in
`quantise/observe.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pydantic
import torch
from bench_depth.core.dataset import Pair, read_rgb
from bench_depth.core.errors import UserError
from torch import Tensor

from ghostdepth_train.checkpoint import Checkpoint
from ghostdepth_train.compress.method import Compressed, Method, Work, copy_of
from ghostdepth_train.config import NetworkConfig, require_ghostnet
from ghostdepth_train.evaluate import evaluate
from ghostdepth_train.models.network import resize
from ghostdepth_train.quantization import Range, Trunk, write_ranges
from ghostdepth_train.quantization.equalization import correct_bias, equalise
from ghostdepth_train.quantization.integer_simulation import Int8Net
from ghostdepth_train.quantization.observe import Rule, choose_range, observe

FEWEST_PHOTOS = 4


class CalibrateConfig(Method):
    """Post-training quantisation.

    Attributes:
        ranges: How an activation's range is chosen: all that was seen, a percentile of it, or what
            gives the smallest mean square error.
        percentile: For the rule of that name.
        photos: Of the training set, at most.
        equalise: Equalise the channels between convolutions first.
        correct_bias: Shift the biases by what rounding shifts the means.
    """

    method: Literal["calibrate"] = "calibrate"
    ranges: Rule = "percentile"
    percentile: float = pydantic.Field(default=99.99, gt=50, le=100)
    photos: int = pydantic.Field(default=64, ge=FEWEST_PHOTOS)
    equalise: bool = False
    correct_bias: bool = False


CONFIG = CalibrateConfig


def apply(checkpoint: Checkpoint, config: CalibrateConfig, work: Work) -> Compressed:
    """Finds ranges, changes the weights so that they fit, and measures the int8 network."""
    require_ghostnet(checkpoint.config, "calibrate")
    network = copy_of(checkpoint.network)
    trunk = Trunk.of(network)
    pictures = training_pictures(work.split.train, network.config, config.photos, config.seed)
    notes: dict[str, object] = {"photos": len(pictures)}
    if config.equalise:
        notes["equalised_convolutions"] = equalise(trunk)
    ranges = find_ranges(trunk, pictures, config, work)
    if config.correct_bias:
        notes["largest_bias_shift"] = correct_bias(trunk, ranges, torch.cat(pictures))
    work.say("measuring the int8 network")
    notes["int8_validation"] = evaluate(Int8Net(trunk, ranges), work.split.val).to_dict()
    return Compressed(network, notes, write_ranges(ranges))


def find_ranges(
    trunk: Trunk, pictures: Sequence[Tensor], config: CalibrateConfig, work: Work
) -> dict[str, Range]:
    """Ranges of all activations over the pictures, by the configured rule."""
    work.say(f"looking at the activations of {len(pictures)} photos")

    def told(done: int) -> None:
        work.progress(done, 2 * len(pictures), float("nan"), float("nan"))

    seen = observe(trunk, pictures, told)
    return {
        name: choose_range(histogram, config.ranges, config.percentile)
        for name, histogram in seen.items()
    }


def training_pictures(
    pairs: Sequence[Pair], config: NetworkConfig, most: int, seed: int
) -> list[Tensor]:
    """Photos as the network's int8 file sees them: 1x3xHxW float32, whole numbers 0..255.

    Raises:
        UserError: There are too few, or one cannot be read.
    """
    if len(pairs) < FEWEST_PHOTOS:
        raise UserError(
            f"the training set has {len(pairs)} photo{'s' * (len(pairs) != 1)}; ranges from fewer "
            f"than {FEWEST_PHOTOS} would fit nothing else: give a larger --data"
        )
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:most]
    size = (config.input_height, config.input_width)
    pictures = []
    for index in sorted(chosen):
        rgb = torch.from_numpy(read_rgb(pairs[index].rgb)).permute(2, 0, 1)[None].float()
        pictures.append(resize(rgb, *size).round())
    return pictures

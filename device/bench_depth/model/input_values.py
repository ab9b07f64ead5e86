"""The mapping from pixel values to a model's input values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench_depth.core.errors import BAD_INPUT, UserError
from bench_depth.model.description import Description
from bench_depth.model.runtime import TensorSpec
from bench_depth.model.tensors import quantization

# Gain and bias that map a pixel to an input value, each per channel.
ChannelScaling = tuple[tuple[float, float, float], tuple[float, float, float]]

# An integer input must cover at least this fraction of the described range, and at most this many
# times it. Calibration clips a little, and symmetric quantization wastes half.
_MIN_COVERED = 0.75
_MAX_RATIO = 4.0


def input_values(path: Path, spec: TensorSpec, description: Description) -> ChannelScaling:
    """Returns gain and bias per channel that map pixels of 0..255 to input values.

    A described range, mean and standard deviation apply to real values, which integer inputs
    represent by their scale and zero point. Without a description, float inputs are 0..255, and
    integer inputs use their whole range, which they were calibrated for.

    Args:
        path: The model file, for messages.
        spec: The input tensor.
        description: The description of the model.

    Raises:
        UserError: The scale is impossible (exit code 3), or an integer input cannot represent the
            described range (2).
    """
    integer = np.dtype(spec.dtype).kind in "iu"
    nothing_given = description.input_range is None and description.input_mean is None
    scale, zero = quantization(path, spec)
    lowest = float(np.iinfo(spec.dtype).min) if integer else 0.0
    if nothing_given:
        return (1.0, 1.0, 1.0), (lowest, lowest, lowest)
    low, high = description.input_range or (0.0, 1.0)
    mean, std = description.input_mean or (0.0, 0.0, 0.0), description.input_std or (1.0, 1.0, 1.0)
    gains, biases = [], []
    order = -1 if description.input_color == "BGR" else 1
    for m, s in zip(mean[::order], std[::order]):
        gains.append((high - low) / 255 / s / scale)
        biases.append((low - m) / s / scale + zero)
    if integer:
        _check_covered(
            path, spec, description, (min(biases), max(g * 255 + b for g, b in zip(gains, biases)))
        )
    return (gains[0], gains[1], gains[2]), (biases[0], biases[1], biases[2])


def _check_covered(
    path: Path, spec: TensorSpec, description: Description, wanted: tuple[float, float]
) -> None:
    limits = np.iinfo(spec.dtype)
    covered = min(wanted[1], limits.max) - max(wanted[0], limits.min)
    span = wanted[1] - wanted[0]
    if covered >= _MIN_COVERED * span and limits.max - limits.min <= _MAX_RATIO * span:
        return
    scale, zero = quantization(path, spec)
    low, high = ((n - zero) * scale for n in (limits.min, limits.max))
    wanted_low, wanted_high = ((n - zero) * scale for n in wanted)
    field = "input_range" if description.input_range is not None else "input_mean"
    raise UserError(
        f"{description.origin(field)} values of {wanted_low:.3g} to {wanted_high:.3g}, but "
        f"{path} takes {spec} for {low:.3g} to {high:.3g}",
        BAD_INPUT,
    )

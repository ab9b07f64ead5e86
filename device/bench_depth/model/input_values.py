"""Which number of a model's input a pixel becomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench_depth.core.errors import BAD_INPUT, UserError
from bench_depth.model.description import Description
from bench_depth.model.runtime import TensorSpec
from bench_depth.model.tensors import quantization

# What a pixel is multiplied by and what is then added, each per channel.
Channels = tuple[tuple[float, float, float], tuple[float, float, float]]

# Integers that hold less than so much of the said range, or more than so many times it, are not
# meant for it. Calibration clips a little, and symmetric quantisation wastes half.
_HELD = 0.75
_WASTED = 4.0


def input_values(path: Path, spec: TensorSpec, said: Description) -> Channels:
    """The numbers that pixels of 0..255 become in an input.

    A said range, mean and standard deviation hold for real numbers; integers stand for those by
    their scale and zero point. Where nothing is said, real numbers are 0..255, and integers their
    whole range: that is what they were calibrated for.

    Args:
        path: The model file, for messages.
        spec: The input.
        said: What is said of it.

    Raises:
        UserError: The scale is impossible (exit code 3), or the input's integers do not hold the
            range that is said (2).
    """
    integer = np.dtype(spec.dtype).kind in "iu"
    nothing_said = said.input_range is None and said.input_mean is None
    scale, zero = quantization(path, spec)
    lowest = float(np.iinfo(spec.dtype).min) if integer else 0.0
    if nothing_said:
        return (1.0, 1.0, 1.0), (lowest, lowest, lowest)
    low, high = said.input_range or (0.0, 1.0)
    mean, std = said.input_mean or (0.0, 0.0, 0.0), said.input_std or (1.0, 1.0, 1.0)
    gains, biases = [], []
    order = -1 if said.input_color == "BGR" else 1
    for m, s in zip(mean[::order], std[::order]):
        gains.append((high - low) / 255 / s / scale)
        biases.append((low - m) / s / scale + zero)
    if integer:
        _check_held(
            path, spec, said, (min(biases), max(g * 255 + b for g, b in zip(gains, biases)))
        )
    return (gains[0], gains[1], gains[2]), (biases[0], biases[1], biases[2])


def _check_held(
    path: Path, spec: TensorSpec, said: Description, wanted: tuple[float, float]
) -> None:
    limits = np.iinfo(spec.dtype)
    held = min(wanted[1], limits.max) - max(wanted[0], limits.min)
    span = wanted[1] - wanted[0]
    if held >= _HELD * span and limits.max - limits.min <= _WASTED * span:
        return
    scale, zero = quantization(path, spec)
    low, high = ((n - zero) * scale for n in (limits.min, limits.max))
    told_low, told_high = ((n - zero) * scale for n in wanted)
    field = "input_range" if said.input_range is not None else "input_mean"
    raise UserError(
        f"{said.origin(field)} values of {told_low:.3g} to {told_high:.3g}, but {path} takes "
        f"{spec} for {low:.3g} to {high:.3g}",
        BAD_INPUT,
    )

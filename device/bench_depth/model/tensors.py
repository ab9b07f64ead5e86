"""Checks of a model's tensors, made before memory of their size is allocated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.runtime import TensorSpec

# A Pi has 1 to 8 GB in all, and a photo of 8000x6000 in float32 is 0.6 GB.
LARGEST_BYTES = 2**30


def check_tensors(path: Path, specs: Sequence[TensorSpec]) -> None:
    """Checks the size and scale of tensors: TFLite crashes on impossible ones.

    Raises:
        UserError: A tensor is larger than `LARGEST_BYTES`, or its scale is impossible (exit code
            3).
    """
    for spec in specs:
        quantization(path, spec)
        size = math.prod(n for n in spec.shape if n is not None) * item_size(spec.dtype)
        if size > LARGEST_BYTES:
            raise UserError(
                f"{path} has a tensor {spec}, {size / 1e9:.3g} GB; at most "
                f"{LARGEST_BYTES / 1e9:.2g} GB are tried: export it for a smaller picture",
                MODEL_FAILED,
            )


def check_axes(path: Path, inputs: Sequence[TensorSpec]) -> None:
    """Refuses empty inputs. Outputs may be empty: a number of boxes depends on the image.

    Raises:
        UserError: The size of an axis is below 1 (exit code 3).
    """
    for spec in inputs:
        smallest = min((n for n in spec.shape if n is not None), default=1)
        if smallest < 1:
            raise UserError(
                f"{path} takes {spec}, with an axis of size {smallest}; export it again",
                MODEL_FAILED,
            )


def item_size(dtype: str) -> int:
    """Returns the size of one element in bytes; 1 for dtypes that are not numeric."""
    try:
        return max(np.dtype(dtype).itemsize, 1)
    except TypeError:
        return 1


def quantization(path: Path, spec: TensorSpec) -> tuple[float, int]:
    """Returns scale and zero point of a tensor; (1, 0) for one that is not quantized.

    Raises:
        UserError: There are several scales, or the scale is not a positive number (exit code 3).
    """
    if not spec.scales or spec.dtype.startswith("float"):
        return 1.0, 0
    if len(set(spec.scales)) > 1:
        raise UserError(
            f"{path} has {len(spec.scales)} scales for {spec}; expected one", MODEL_FAILED
        )
    scale, zero_point = spec.scales[0], spec.zero_points[0] if spec.zero_points else 0
    if not 0 < scale < math.inf:
        raise UserError(
            f"{path} has a scale of {scale:g} for {spec}; expected a positive number", MODEL_FAILED
        )
    return scale, zero_point

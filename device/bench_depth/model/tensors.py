"""Checks of a model's tensors, made before memory of their size is allocated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.contract import ModelContract
from bench_depth.model.runtime import LoadedModel, TensorSpec

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


def carry_state(path: Path, model: LoadedModel, contract: Optional[ModelContract]) -> None:
    """Lets a model carry the state that its contract names, if it names one.

    Raises:
        UserError: The model's tensors are not as the contract says (exit code 3).
    """
    state = contract.state if contract is not None else None
    if state is None:
        return
    size = "x".join(map(str, state.shape))
    places = []
    for what, name, specs in (
        ("input", state.input, model.inputs),
        ("output", state.output, model.outputs),
    ):
        found = [index for index, spec in enumerate(specs) if spec.name == name]
        if not found:
            raise _state_error(path, f"has no {what} {name}", "one")
        spec = specs[found[0]]
        if spec.shape != state.shape or spec.dtype != state.dtype:
            raise _state_error(path, f"has the state {name} as {spec}", f"{size} {state.dtype}")
        scale, zero = quantization(path, spec)
        if (scale, zero) != (state.scale, state.zero_point):
            raise _state_error(
                path,
                f"has the state {name} with scale {scale:g} and zero point {zero}",
                f"{state.scale:g} and {state.zero_point}",
            )
        places.append(found[0])
    model.carry(places[0], places[1], state.zero_point)


def _state_error(path: Path, found: str, expected: str) -> UserError:
    return UserError(f"{path} {found}; its contract says {expected}: export it again", MODEL_FAILED)


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

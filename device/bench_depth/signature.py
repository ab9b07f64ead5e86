"""Which picture a loaded model takes and which depth map it gives; anything else is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bench_depth.contract import ModelContract
from bench_depth.errors import MODEL_FAILED, UserError
from bench_depth.runtimes.base import LoadedModel, TensorSpec

INPUT_DTYPES = ("float32", "uint8")


@dataclass(frozen=True)
class Signature:
    """A model with one picture in and one depth map out.

    Without a contract the picture is taken to be raw RGB, 0..255, and the depth to be metres. Other
    conventions would be told here (scale, offset, inverse depth), once there are flags for them.

    Attributes:
        height: Of the input, pixels.
        width: Of the input, pixels.
        dtype: Of the input: `float32` or `uint8`.
        output_height: Pixels.
        output_width: Pixels.
    """

    height: int
    width: int
    dtype: str
    output_height: int
    output_width: int


def check_signature(path: Path, model: LoadedModel, contract: Optional[ModelContract]) -> Signature:
    """Reads the signature off a loaded model.

    Args:
        path: The model file, for messages.
        model: The loaded model.
        contract: What the file says of itself, if it does.

    Raises:
        UserError: The model takes or gives something else, or not what its contract says; the line
            names what was found and what was expected (exit code 3).
    """
    picture, depth = _only_input(path, model.inputs), _only_output(path, model.outputs)
    signature = Signature(picture[0], picture[1], model.inputs[0].dtype, depth[0], depth[1])
    if contract is None:
        return signature
    promised = Signature(
        contract.input_height,
        contract.input_width,
        contract.input_dtype,
        contract.output_height,
        contract.output_width,
    )
    if signature != promised:
        raise _refusal(path, f"is {signature}", f"{promised}, as its contract says")
    ways = {
        "input_layout": (contract.input_layout, "NHWC"),
        "input_color": (contract.input_color, "RGB"),
        "input_range": (tuple(contract.input_range), (0, 255)),
        "output_quantity": (contract.output_quantity, "depth"),
        "output_unit": (contract.output_unit, "m"),
    }
    for field, (found, expected) in ways.items():
        if found != expected:
            raise _refusal(path, f"has {field} {found!r} in its contract", repr(expected))
    return signature


def _only_input(path: Path, inputs: list[TensorSpec]) -> tuple[int, int]:
    expected = "one picture, 1xHxWx3 float32 or uint8"
    if len(inputs) != 1:
        found = ", ".join(map(str, inputs)) or "none"
        raise _refusal(path, f"takes {len(inputs)} inputs ({found})", expected)
    spec = inputs[0]
    shape = spec.shape
    if len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or spec.dtype not in INPUT_DTYPES:
        raise _refusal(path, f"takes {spec}", expected)
    height, width = shape[1], shape[2]
    if height is None or width is None:
        raise _refusal(path, f"takes {spec}", "a fixed size, like 1x480x640x3")
    return height, width


def _only_output(path: Path, outputs: list[TensorSpec]) -> tuple[int, int]:
    expected = "one depth map, 1xHxWx1 float32"
    if len(outputs) != 1:
        found = ", ".join(map(str, outputs)) or "none"
        raise _refusal(path, f"gives {len(outputs)} outputs ({found})", expected)
    spec = outputs[0]
    shape = spec.shape
    if len(shape) == 4 and shape[0] == shape[3] == 1 and spec.dtype == "float32":
        height, width = shape[1], shape[2]
        if height is not None and width is not None:
            return height, width
    raise _refusal(path, f"gives {spec}", expected)


def _refusal(path: Path, found: str, expected: str) -> UserError:
    return UserError(f"{path} {found}; expected {expected}", MODEL_FAILED)

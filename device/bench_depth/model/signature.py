"""Which picture a loaded model takes and which depth map it gives; anything else is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, UserError
from bench_depth.model.contract import ModelContract
from bench_depth.model.description import COLORS, Description
from bench_depth.model.input_values import Channels, input_values
from bench_depth.model.runtime import LoadedModel, TensorSpec
from bench_depth.model.tensors import check_axes, check_tensors, quantization

INPUT_DTYPES = ("float32", "float16", "uint8", "int8")
OUTPUT_DTYPES = (
    *("float16", "float32", "float64"),
    *("int8", "uint8", "int16", "uint16", "int32", "uint32"),
)
IDENTITY: Channels = ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
Shape = tuple[Optional[int], ...]
_AXES = {"NHWC": (1, 2, 3), "NCHW": (2, 3, 1)}  # Where height, width and the channels are.


@dataclass(frozen=True)
class Signature:
    """A model with one picture in and one depth map out.

    Attributes:
        height: Of the input, pixels.
        width: Of the input, pixels.
        dtype: Of the input: one of `INPUT_DTYPES`.
        layout: Of the input: `NHWC` or `NCHW`.
        color: Of the input: `RGB` or `BGR`.
        values: Per channel what a pixel (0..255) is multiplied by and what is then added to make
            the input's numbers; of integers before they are rounded.
        resize: `stretch` or `letterbox`.
        output: The index of the output that is the depth map; None where none could be told, so
            that the model can only be timed.
        scale: The output is multiplied by this,
        offset: and then this is added, to give
        quantity: `depth`, `inverse-depth` or `log-depth`,
        unit: in `m`, `mm` or, if it is `relative`, in none.
    """

    height: int
    width: int
    dtype: str
    layout: str = "NHWC"
    color: str = "RGB"
    values: Channels = IDENTITY
    resize: str = "stretch"
    output: Optional[int] = 0
    scale: float = 1.0
    offset: float = 0.0
    quantity: str = "depth"
    unit: str = "m"

    @property
    def relative(self) -> bool:
        """Whether the depth has no unit and can be compared only after an alignment."""
        return self.unit == "relative"


def check_signature(
    path: Path,
    model: LoadedModel,
    contract: Optional[ModelContract],
    description: Optional[Description] = None,
    *,
    need_depth: bool = True,
) -> Signature:
    """Reads the signature off a loaded model and makes the model ready for it.

    Where the file leaves its input's size open it is fixed here; `model.output()` gives the depth
    map afterwards, whichever of the outputs that is.

    Args:
        path: The model file, for messages.
        model: The loaded model.
        contract: What the file says of itself, if it does.
        description: What the user says of it, if anything.
        need_depth: Whether an output that is not understood is refused; else the signature's
            `output` is None.

    Raises:
        UserError: The model takes or gives something else, or not what its contract says (exit code
            3), or not what the description says (2); the line names what was found and what was
            expected.
    """
    said = description if description is not None else Description()
    check_axes(path, model.inputs)
    check_tensors(path, [*model.inputs, *model.outputs])
    layout, height, width = _only_input(path, model.inputs, said)
    spec = model.inputs[0]
    if None in spec.shape:
        shape = (1, height, width, 3) if layout == "NHWC" else (1, 3, height, width)
        check_tensors(path, [TensorSpec(shape, spec.dtype)])
        model.resize_input(shape)
    output, why_not = _depth_output(path, model.outputs, said)
    if output is None and need_depth:
        raise _refusal(path, why_not, _EXPECTED_OUTPUT)
    model.use_output(output or 0)
    scale, offset = 1.0, 0.0
    if output is not None:
        scale, offset = _output_scale(path, model.outputs[output], said)
    quantity = said.quantity or "depth"
    signature = Signature(
        height,
        width,
        spec.dtype,
        layout=layout,
        color=said.input_color or COLORS[0],
        values=input_values(path, spec, said),
        resize=said.resize or "stretch",
        output=output,
        scale=scale,
        offset=offset,
        quantity=quantity,
        unit=said.unit or ("relative" if quantity == "inverse-depth" else "m"),
    )
    if contract is not None:
        _check_contract(path, model, contract, signature, said)
    return signature


def _check_contract(
    path: Path,
    model: LoadedModel,
    contract: ModelContract,
    signature: Signature,
    said: Description,
) -> None:
    """The file's own contract is a promise: neither the tensors nor the user may contradict it."""
    expected = f"1x{contract.input_height}x{contract.input_width}x3 {contract.input_dtype}"
    if str(model.inputs[0]) != expected:
        raise _refusal(path, f"takes {model.inputs[0]}", f"{expected}, as its contract says")
    expected = f"1x{contract.output_height}x{contract.output_width}x1 float32"
    found = model.outputs[signature.output or 0]
    if str(found) != expected:
        raise _refusal(path, f"gives {found}", f"{expected}, as its contract says")
    ways = {
        "input_layout": (contract.input_layout, "NHWC"),
        "input_color": (contract.input_color, "RGB"),
        "input_range": (tuple(contract.input_range), (0, 255)),
        "output_quantity": (contract.output_quantity, "depth"),
        "output_unit": (contract.output_unit, "m"),
    }
    for field, (promised, known) in ways.items():
        if promised != known:
            raise _refusal(path, f"has {field} {promised!r} in its contract", repr(known))
    told = {
        "input_color": (said.input_color, "RGB"),
        "input_range": (said.input_range, (0, 255)),
        "input_mean": (said.input_mean, None),
        "quantity": (said.quantity, "depth"),
        "unit": (said.unit, "m"),
        "output_scale": (said.output_scale, 1),
        "output_offset": (said.output_offset, 0),
    }
    for field, (value, promise) in told.items():
        if value is not None and value != promise:
            raise UserError(
                f"{said.origin(field)} {field} {_plain(value)}, the contract in {path} says "
                f"{'none' if promise is None else _plain(promise)}; leave it out, or describe only "
                "the other models, each in a file MODEL.json",
                BAD_INPUT,
            )


def _only_input(path: Path, inputs: list[TensorSpec], said: Description) -> tuple[str, int, int]:
    """Layout, height and width."""
    expected = "one picture, 1xHxWx3 or 1x3xHxW, " + ", ".join(INPUT_DTYPES)
    if len(inputs) != 1:
        found = ", ".join(map(str, inputs)) or "none"
        raise _refusal(path, f"takes {len(inputs)} inputs ({found})", expected)
    spec = inputs[0]
    if len(spec.shape) != 4 or spec.shape[0] not in (1, None) or spec.dtype not in INPUT_DTYPES:
        raise _refusal(path, f"takes {spec}", expected)
    layout = _layout(path, spec, said, expected)
    rows, columns, _ = _AXES[layout]
    found_size = (spec.shape[columns], spec.shape[rows])
    size = said.input_size
    if size is not None and any(n not in (None, told) for n, told in zip(found_size, size)):
        told = f"{size[0]}x{size[1]}"
        raise _contradiction(path, said, "input_size", told, f"takes {spec}")
    size = size or said.open_size or (None, None)
    width, height = (n or told for n, told in zip(found_size, size))
    if width is None or height is None:
        expected = "a fixed size, like 1x480x640x3; or give one, like --input-size 640x480"
        raise _refusal(path, f"takes {spec}", expected)
    return layout, height, width


def _layout(path: Path, spec: TensorSpec, said: Description, expected: str) -> str:
    channels = {layout: spec.shape[axes[2]] for layout, axes in _AXES.items()}
    sure = [layout for layout, n in channels.items() if n == 3]
    possible = sure or [layout for layout, n in channels.items() if n is None]
    if not possible:
        raise _refusal(path, f"takes {spec}", expected)
    if said.input_layout is not None:
        if said.input_layout not in possible:
            raise _contradiction(path, said, "input_layout", said.input_layout, f"takes {spec}")
        return said.input_layout
    if len(possible) == 1:
        return possible[0]
    if said.open_layout in possible:
        return str(said.open_layout)
    raise _refusal(path, f"takes {spec}", "a layout that can be told; give --layout nhwc or nchw")


_EXPECTED_OUTPUT = "one depth map, 1xHxWx1, 1x1xHxW, 1xHxW or HxW"


def _depth_output(
    path: Path, outputs: list[TensorSpec], said: Description
) -> tuple[Optional[int], str]:
    """The index of the depth map; or None and what was found in its place."""
    every = ", ".join(f"{spec.name} {spec}".strip() for spec in outputs) or "none"
    if said.output is not None:
        names = [spec.name for spec in outputs]
        if said.output in names:
            index = names.index(said.output)
        elif said.output.isdigit() and int(said.output) < len(outputs):
            index = int(said.output)
        else:
            found = f"gives {len(outputs)} outputs ({every})"
            raise _contradiction(path, said, "output", f"output {said.output}", found)
        if _is_map(outputs[index]):
            return index, ""
        return None, f"gives {outputs[index]} as output {said.output}"
    maps = [index for index, spec in enumerate(outputs) if _is_map(spec)]
    if len(maps) == 1:
        return maps[0], ""
    if len(outputs) == 1:
        return None, f"gives {outputs[0]}"
    more = "; choose with --output" if maps else ""
    return None, f"gives {len(outputs)} outputs ({every}){more}"


def _is_map(spec: TensorSpec) -> bool:
    """Whether a depth map can have that shape and dtype, as far as both are known."""
    if spec.dtype not in OUTPUT_DTYPES:
        return False
    sides = _sides(spec.shape)
    return sides is not None and all(n is None or n > 1 for n in sides)


def _sides(shape: Shape) -> Optional[Shape]:
    """Height and width of a map of that shape, empty where even their axes are open."""
    if len(shape) == 4 and shape[0] in (1, None):
        if shape[3] == 1:
            return shape[1:3]
        if shape[1] == 1:
            return shape[2:]
        return () if None in (shape[1], shape[3]) else None
    if len(shape) == 3:
        return shape[1:] if shape[0] in (1, None) else shape[:2] if shape[2] == 1 else None
    return shape if len(shape) == 2 else None


def _output_scale(path: Path, spec: TensorSpec, said: Description) -> tuple[float, float]:
    """Scale and offset that make the said quantity of the output's numbers."""
    scale = 1.0 if said.output_scale is None else said.output_scale
    offset = 0.0 if said.output_offset is None else said.output_offset
    step, zero = quantization(path, spec)
    return step * scale, offset - zero * step * scale


def _plain(value: object) -> str:
    return ", ".join(f"{n:g}" for n in value) if isinstance(value, tuple) else str(value)


def _refusal(path: Path, found: str, expected: str) -> UserError:
    return UserError(f"{path} {found}; expected {expected}", MODEL_FAILED)


def _contradiction(path: Path, said: Description, field: str, value: str, found: str) -> UserError:
    return UserError(f"{said.origin(field)} {value}, but {path} {found}", BAD_INPUT)

"""The signature of a loaded model: one image as input, one depth map as output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, UserError
from bench_depth.model.camera import output_factor
from bench_depth.model.contract import ModelContract
from bench_depth.model.description import COLORS, Description
from bench_depth.model.input_values import ChannelScaling, input_values
from bench_depth.model.runtime import LoadedModel, TensorSpec
from bench_depth.model.tensors import carry_state, check_axes, check_tensors, quantization

INPUT_DTYPES = ("float32", "float16", "uint8", "int8")
OUTPUT_DTYPES = (
    *("float16", "float32", "float64"),
    *("int8", "uint8", "int16", "uint16", "int32", "uint32"),
)
IDENTITY: ChannelScaling = ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
Shape = tuple[Optional[int], ...]
_AXES = {"NHWC": (1, 2, 3), "NCHW": (2, 3, 1)}  # Axes of height, width and channels.


@dataclass(frozen=True)
class Signature:
    """The input and output of a model with one image as input and one depth map as output.

    Attributes:
        height: Height of the input, pixels.
        width: Width of the input, pixels.
        dtype: Dtype of the input, one of `INPUT_DTYPES`.
        layout: Layout of the input, `NHWC` or `NCHW`.
        color: Order of the input's channels, `RGB` or `BGR`.
        values: Gain and bias per channel that map pixels (0..255) to input values, before rounding
            for integer inputs.
        resize: Resizing of photos, `stretch` or `letterbox`.
        output: Index of the output that is the depth map; None where it could not be identified, so
            that the model can only be timed.
        scale: Factor that the output is first multiplied by.
        offset: Offset that is then added to it.
        quantity: Quantity of the result, `depth`, `inverse-depth` or `log-depth`.
        unit: Unit of the depth, `m`, `mm` or `relative` for none.
    """

    height: int
    width: int
    dtype: str
    layout: str = "NHWC"
    color: str = "RGB"
    values: ChannelScaling = IDENTITY
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
    """Determines the signature of a loaded model and prepares the model for it.

    An input size that the file leaves open is set, and the output that is the depth map is
    selected, so that `model.output()` returns it.

    Args:
        path: The model file, for messages.
        model: The loaded model.
        contract: The contract in the file; None for none.
        description: The description of the model besides its file; None for none.
        need_depth: Whether a model without a recognised depth map is refused; otherwise the
            signature's `output` is None.

    Raises:
        UserError: The model has another kind of input or output, or contradicts its contract (exit
            code 3) or the description (2); the message has what was found and what was expected.
    """
    description = description if description is not None else Description()
    check_axes(path, model.inputs)
    check_tensors(path, [*model.inputs, *model.outputs])
    carry_state(path, model, contract)
    layout, height, width = _only_input(path, model.inputs, description)
    spec = model.inputs[0]
    if None in spec.shape:
        shape = (1, height, width, 3) if layout == "NHWC" else (1, 3, height, width)
        check_tensors(path, [TensorSpec(shape, spec.dtype)])
        model.resize_input(shape)
    if not model.outputs:
        raise _refusal(path, "gives no output", _EXPECTED_OUTPUT)
    output, why_not = _depth_output(path, model.outputs, description)
    if output is None and need_depth:
        raise _refusal(path, why_not, _EXPECTED_OUTPUT)
    model.use_output(output or 0)
    scale, offset = 1.0, 0.0
    if output is not None:
        scale, offset = _output_scale(path, model.outputs[output], description)
    factor = output_factor(path, contract, description)
    quantity = description.quantity or "depth"
    signature = Signature(
        height,
        width,
        spec.dtype,
        layout=layout,
        color=description.input_color or COLORS[0],
        values=input_values(path, spec, description),
        resize=description.resize or "stretch",
        output=output,
        scale=scale * factor,
        offset=offset * factor,
        quantity=quantity,
        unit=description.unit or ("relative" if quantity == "inverse-depth" else "m"),
    )
    if contract is not None:
        _check_contract(path, model, contract, signature)
        _check_description(path, description)
    return signature


def _check_contract(
    path: Path, model: LoadedModel, contract: ModelContract, signature: Signature
) -> None:
    """Checks that the tensors are those of the file's contract, and that its terms are known."""
    expected = f"1x{contract.input_height}x{contract.input_width}x3 {contract.input_dtype}"
    if str(model.inputs[0]) != expected:
        raise _refusal(path, f"takes {model.inputs[0]}", f"{expected}, as its contract says")
    shapes = {"NHWC": "1x{0}x{1}x1", "NHCW": "1x{0}x1x{1}"}
    if contract.output_layout not in shapes:
        layouts = " or ".join(shapes)
        raise _refusal(
            path, f"has output_layout {contract.output_layout!r} in its contract", layouts
        )
    shape = shapes[contract.output_layout].format(contract.output_height, contract.output_width)
    found = model.outputs[signature.output or 0]
    if str(found) != f"{shape} float32":
        raise _refusal(path, f"gives {found}", f"{shape} float32, as its contract says")
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


def _check_description(path: Path, description: Description) -> None:
    """Checks that the description does not contradict what every contract says."""
    described = {
        "input_color": (description.input_color, "RGB"),
        "input_range": (description.input_range, (0, 255)),
        "input_mean": (description.input_mean, None),
        "quantity": (description.quantity, "depth"),
        "unit": (description.unit, "m"),
        "output_scale": (description.output_scale, 1),
        "output_offset": (description.output_offset, 0),
    }
    for field, (value, promise) in described.items():
        if value is not None and value != promise:
            raise UserError(
                f"{description.origin(field)} {field} {_plain(value)}, the contract in {path} says "
                f"{'none' if promise is None else _plain(promise)}; leave it out, or describe only "
                "the other models, each in a file MODEL.json",
                BAD_INPUT,
            )


def _only_input(
    path: Path, inputs: list[TensorSpec], description: Description
) -> tuple[str, int, int]:
    """Layout, height and width."""
    expected = "one picture, 1xHxWx3 or 1x3xHxW, " + ", ".join(INPUT_DTYPES)
    if len(inputs) != 1:
        found = ", ".join(map(str, inputs)) or "none"
        raise _refusal(path, f"takes {len(inputs)} inputs ({found})", expected)
    spec = inputs[0]
    if len(spec.shape) != 4 or spec.shape[0] not in (1, None) or spec.dtype not in INPUT_DTYPES:
        raise _refusal(path, f"takes {spec}", expected)
    layout = _layout(path, spec, description, expected)
    rows, columns, _ = _AXES[layout]
    found_size = (spec.shape[columns], spec.shape[rows])
    size = description.input_size
    if size is not None and any(n not in (None, given) for n, given in zip(found_size, size)):
        given_size = f"{size[0]}x{size[1]}"
        raise _contradiction(path, description, "input_size", given_size, f"takes {spec}")
    size = size or description.open_size or (None, None)
    width, height = (n or given for n, given in zip(found_size, size))
    if width is None or height is None:
        expected = "a fixed size, like 1x480x640x3; or give one, like --input-size 640x480"
        raise _refusal(path, f"takes {spec}", expected)
    return layout, height, width


def _layout(path: Path, spec: TensorSpec, description: Description, expected: str) -> str:
    channels = {layout: spec.shape[axes[2]] for layout, axes in _AXES.items()}
    certain = [layout for layout, n in channels.items() if n == 3]
    possible = certain or [layout for layout, n in channels.items() if n is None]
    if not possible:
        raise _refusal(path, f"takes {spec}", expected)
    if description.input_layout is not None:
        if description.input_layout not in possible:
            raise _contradiction(
                path, description, "input_layout", description.input_layout, f"takes {spec}"
            )
        return description.input_layout
    if len(possible) == 1:
        return possible[0]
    if description.open_layout in possible:
        return str(description.open_layout)
    raise _refusal(path, f"takes {spec}", "an unambiguous layout; give --layout nhwc or nchw")


_EXPECTED_OUTPUT = "one depth map, 1xHxWx1, 1xHx1xW, 1x1xHxW, 1xHxW or HxW"


def _depth_output(
    path: Path, outputs: list[TensorSpec], description: Description
) -> tuple[Optional[int], str]:
    """The index of the depth map; otherwise None and what was found instead."""
    every = ", ".join(f"{spec.name} {spec}".strip() for spec in outputs) or "none"
    if description.output is not None:
        names = [spec.name for spec in outputs]
        if description.output in names:
            index = names.index(description.output)
        elif description.output in map(str, range(len(outputs))):
            index = int(description.output)
        else:
            found = f"gives {len(outputs)} outputs ({every})"
            raise _contradiction(path, description, "output", f"output {description.output}", found)
        if _is_map(outputs[index]):
            return index, ""
        return None, f"gives {outputs[index]} as output {description.output}"
    maps = [index for index, spec in enumerate(outputs) if _is_map(spec)]
    if len(maps) == 1:
        return maps[0], ""
    if len(outputs) == 1:
        return None, f"gives {outputs[0]}"
    more = "; choose with --output" if maps else ""
    return None, f"gives {len(outputs)} outputs ({every}){more}"


def _is_map(spec: TensorSpec) -> bool:
    """Whether a tensor of that shape and dtype, as far as they are known, can be a depth map."""
    if spec.dtype not in OUTPUT_DTYPES:
        return False
    sides = _sides(spec.shape)
    return sides is not None and all(n is None or n > 1 for n in sides)


def _sides(shape: Shape) -> Optional[Shape]:
    """Height and width of a map of that shape, empty where even their axes are open."""
    axis = map_axis(shape)
    if axis is not None:
        return tuple(n for i, n in enumerate(shape) if i not in (0, axis))
    if len(shape) == 4 and shape[0] in (1, None):
        return () if None in (shape[1], shape[3]) else None
    if len(shape) == 3:
        return shape[1:] if shape[0] in (1, None) else shape[:2] if shape[2] == 1 else None
    return shape if len(shape) == 2 else None


def map_axis(shape: Shape) -> Optional[int]:
    """The axis of the one channel of a depth map with four axes; None for another shape."""
    if len(shape) != 4 or shape[0] not in (1, None):
        return None
    return next((axis for axis in (3, 1, 2) if shape[axis] == 1), None)


def _output_scale(path: Path, spec: TensorSpec, description: Description) -> tuple[float, float]:
    """Scale and offset that convert output values to the described quantity."""
    scale = 1.0 if description.output_scale is None else description.output_scale
    offset = 0.0 if description.output_offset is None else description.output_offset
    step, zero = quantization(path, spec)
    return step * scale, offset - zero * step * scale


def _plain(value: object) -> str:
    return ", ".join(f"{n:g}" for n in value) if isinstance(value, tuple) else str(value)


def _refusal(path: Path, found: str, expected: str) -> UserError:
    return UserError(f"{path} {found}; expected {expected}", MODEL_FAILED)


def _contradiction(
    path: Path, description: Description, field: str, value: str, found: str
) -> UserError:
    return UserError(f"{description.origin(field)} {value}, but {path} {found}", BAD_INPUT)

"""The description of a model's input and output, from flags, a preset or a sidecar file.

It holds what the model file itself does not specify, and is checked against the file in
`bench_depth.model.signature`. See docs/any-model.md.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Optional

from bench_depth.core.bounds import bounds_of, within
from bench_depth.core.errors import UserError, did_you_mean
from bench_depth.core.files import read_json
from bench_depth.core.json_text import loads
from bench_depth.core.jsonable import build

SCHEMA = "bench-depth-model/1"
LAYOUTS = ("NHWC", "NCHW")
COLORS = ("RGB", "BGR")
RESIZES = ("stretch", "letterbox")
QUANTITIES = ("depth", "inverse-depth", "log-depth")
UNITS = ("m", "mm", "relative")
LARGEST_SIDE = 16384
_LARGEST_FLOAT = 1e30


@dataclass(frozen=True)
class Description:
    """The described properties of a model; None for those that are not given.

    Attributes:
        input_layout: Layout of the input, one of `LAYOUTS`.
        input_color: Order of the model's channels, one of `COLORS`.
        input_range: Input values of pixels 0 and 255.
        input_mean: Mean that is then subtracted, for red, green and blue in any channel order.
        input_std: Standard deviation that is then divided by, for red, green and blue.
        input_size: Width and height of the input, pixels.
        resize: Resizing of photos, one of `RESIZES`: stretched, or fitted and padded.
        output: Name or index of the output that is the depth map.
        output_scale: Factor that the output is first multiplied by.
        output_offset: Offset that is then added to it.
        quantity: Quantity of the result, one of `QUANTITIES` (log-depth: natural logarithm).
        unit: Unit of the depth, one of `UNITS`; inverse depth is in 1/m, 1/mm or no unit.
        hfov: Horizontal field of view in degrees of the camera that took the photos.
        open_layout: Default of `input_layout` for files that leave it open; used by presets.
        open_size: Default of `input_size` for files that leave it open.
        origins: Source of each property, for messages, like `the flags say`.
    """

    input_layout: Optional[str] = None
    input_color: Optional[str] = None
    input_range: Optional[tuple[float, float]] = None
    input_mean: Optional[tuple[float, float, float]] = None
    input_std: Optional[tuple[float, float, float]] = None
    input_size: Optional[tuple[int, int]] = None
    resize: Optional[str] = None
    output: Optional[str] = None
    output_scale: Optional[float] = None
    output_offset: Optional[float] = None
    quantity: Optional[str] = None
    unit: Optional[str] = None
    hfov: Optional[float] = None
    open_layout: Optional[str] = None
    open_size: Optional[tuple[int, int]] = None
    origins: dict[str, str] = field(default_factory=dict, compare=False)

    def origin(self, name: str) -> str:
        """Returns the source of a property, as the beginning of a sentence."""
        return self.origins.get(name, "the description says")


FIELDS = tuple(f.name for f in dataclasses.fields(Description) if f.name != "origins")
_CHOICES = {
    "input_layout": LAYOUTS,
    "open_layout": LAYOUTS,
    "input_color": COLORS,
    "resize": RESIZES,
    "quantity": QUANTITIES,
    "unit": UNITS,
}


@dataclass(frozen=True)
class Preset:
    """The description of a well-known model.

    Attributes:
        about: The files that it describes.
        sources: Publications that it is based on.
        says: The description.
    """

    about: str
    sources: list[str]
    says: Description


def merge(layers: Sequence[Optional[Description]]) -> Optional[Description]:
    """Merges descriptions, later ones overriding earlier ones; None when all are empty.

    Range, mean and standard deviation belong together: a layer that has one of the three replaces
    all three.
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    together = ("input_range", "input_mean", "input_std")
    for layer in filter(None, layers):
        new = {name: getattr(layer, name) for name in FIELDS if getattr(layer, name) is not None}
        if any(name in new for name in together):
            for name in together:
                merged.pop(name, None)
        merged.update(new)
        origins.update({name: layer.origin(name) for name in new})
    return Description(**merged, origins=origins) if merged else None


def describe(model: Path, given: Optional[Description] = None) -> Optional[Description]:
    """Returns the description of a model file: its sidecar, overridden by `given`.

    The sidecar of `m.tflite` is `m.tflite.json`; without one `m.json`, if that is a sidecar.

    Raises:
        UserError: The sidecar cannot be read or has an impossible value.
    """
    model = Path(model)
    own, shared = Path(f"{model}.json"), model.with_suffix(".json")
    sidecar = None
    if os.path.lexists(own):
        sidecar = read_sidecar(own)
    elif shared.is_file() and _is_sidecar(read_json(shared)):
        sidecar = read_sidecar(shared)
    return merge([sidecar, given])


def says_something(description: Optional[Description]) -> bool:
    """Whether a description has any value."""
    return any(getattr(description, name, None) is not None for name in FIELDS)


def read_sidecar(path: Path) -> Optional[Description]:
    """Reads a sidecar file: a JSON object of `schema`, fields of `Description`, and `preset`.

    Raises:
        UserError: It is not JSON, of another schema, or a field is unknown, of the wrong type or
            impossible.
    """
    value = read_json(path)
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema != SCHEMA:
        raise UserError(f'{path} has schema {schema!r}; a model\'s sidecar has "{SCHEMA}"')
    fields = {name: entry for name, entry in value.items() if name != "schema"}
    return from_fields(fields, str(path))


def from_fields(fields: Mapping[str, Any], where: str) -> Optional[Description]:
    """Builds a description from fields of `Description` and `preset`; None where there are none.

    Args:
        fields: Values as JSON has them; tuples are taken for lists.
        where: Name of the file that holds them, or words for it, for messages.

    Raises:
        UserError: A field is unknown, of the wrong type or impossible.
    """
    given = {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items()}
    for name in given:
        if name not in (*FIELDS, "preset"):
            names = ("preset", *FIELDS)
            hint = did_you_mean(name, names, f"known are {', '.join(names)}")
            raise UserError(f"{where} has an unknown field {name!r}{hint}")
    preset = given.pop("preset", None)
    try:
        base = preset_description(preset) if preset is not None else None
        return merge([base, from_values(given, f"{where} says")])
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def from_values(values: dict[str, Any], origin: str) -> Description:
    """Builds a description from plain JSON values.

    Raises:
        ValueError: A value is of the wrong type or impossible.
    """
    description = build(Description, {**values, "origins": dict.fromkeys(values, origin)})
    _check(description)
    return description


def camera_description(hfov: Optional[float]) -> Optional[Description]:
    """Describes the camera alone; None where nothing is given.

    Args:
        hfov: Horizontal field of view of the camera, degrees.

    Raises:
        UserError: It is impossible.
    """
    try:
        return None if hfov is None else from_values({"hfov": hfov}, "the camera has")
    except ValueError as error:
        raise UserError(str(error)) from error


def presets() -> dict[str, Preset]:
    """Returns the presets by name."""
    data = (resources.files("bench_depth") / "model" / "presets.json").read_bytes()
    return {
        name: Preset(
            entry["about"],
            entry["sources"],
            from_values(entry["says"], f"the preset {name} says"),
        )
        for name, entry in loads(data).items()
    }


def preset_description(name: Any) -> Description:
    """Returns the description of a preset; `name` may be anything that a file had in its place.

    Raises:
        ValueError: There is no preset of that name.
    """
    known = presets()
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"unknown preset {name!r}; choose from {', '.join(known)}")
    return known[name].says


def _is_sidecar(value: Any) -> bool:
    """Returns whether a .json file with a model's name is intended as its sidecar."""
    return isinstance(value, dict) and (
        str(value.get("schema")).startswith("bench-depth-model/")
        or ("schema" not in value and bool({"preset", *FIELDS} & value.keys()))
    )


def _check(d: Description) -> None:
    for name, choices in _CHOICES.items():
        value = getattr(d, name)
        if value is not None and value not in choices:
            raise ValueError(f"{name} is {value!r}; choose from {', '.join(choices)}")
    numbers = [*(d.input_range or ()), *(d.input_mean or ()), *(d.input_std or ())]
    numbers += [n for n in (d.output_scale, d.output_offset) if n is not None]
    # NaN is not smaller either. Images and depth are float32.
    if not all(abs(number) <= _LARGEST_FLOAT for number in numbers):
        raise ValueError(f"a number is infinite or not a number, or above {_LARGEST_FLOAT:g}")
    if d.input_range is not None and d.input_range[0] >= d.input_range[1]:
        low, high = d.input_range
        raise ValueError(f"an input range from {low:g} to {high:g} is empty")
    if (d.input_mean is None) != (d.input_std is None):
        raise ValueError("input_mean and input_std must be given together")
    if d.input_std is not None and min(d.input_std) <= 0:
        raise ValueError(f"a standard deviation of {min(d.input_std):g} is impossible")
    if d.hfov is not None and not within("hfov", d.hfov):
        raise ValueError(
            f"a horizontal field of view of {d.hfov:g} degrees is impossible; "
            f"give {bounds_of('hfov')}"
        )
    if d.output_scale == 0:
        raise ValueError("an output scale of 0 leaves nothing of the depth")
    for size in (d.input_size, d.open_size):
        if size is not None and not all(0 < side <= LARGEST_SIDE for side in size):
            raise ValueError(
                f"an input of {size[0]}x{size[1]} is impossible; sides are 1 to {LARGEST_SIDE}"
            )

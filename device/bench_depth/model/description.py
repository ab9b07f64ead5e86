"""What a model takes and gives as far as its file cannot tell: from flags, a preset or a sidecar.

Said once by the user, checked against the file in `bench_depth.model.signature`.
See docs/any-model.md.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Optional

from bench_depth.core.errors import UserError
from bench_depth.core.files import read_json
from bench_depth.core.jsonable import build

SCHEMA = "bench-depth-model/1"
LAYOUTS = ("NHWC", "NCHW")
COLORS = ("RGB", "BGR")
RESIZES = ("stretch", "letterbox")
QUANTITIES = ("depth", "inverse-depth", "log-depth")
UNITS = ("m", "mm", "relative")
LARGEST_SIDE = 16384


@dataclass(frozen=True)
class Description:
    """What was said of a model; None where nothing was.

    Attributes:
        input_layout: One of `LAYOUTS`.
        input_color: One of `COLORS`, the order of the model's channels.
        input_range: What a pixel of 0 and one of 255 become.
        input_mean: Then subtracted: for red, green and blue, whichever order the channels have,
        input_std: and then divided by.
        input_size: Width and height, pixels.
        resize: One of `RESIZES`: the photo stretched to that size, or fitted into it and padded.
        output: The name or index of the output that is the depth map.
        output_scale: The output is multiplied by this,
        output_offset: then this is added, and what comes out is
        quantity: one of `QUANTITIES` (log-depth: the natural logarithm),
        unit: in one of `UNITS` (of inverse depth: of the depth, so 1/m, 1/mm or unknown).
        open_layout: As `input_layout`, but only for files that leave it open: what presets say.
        open_size: As `input_size`, but only for files that leave it open.
        origins: Who said each of these, for messages, like `the flags say`.
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
    open_layout: Optional[str] = None
    open_size: Optional[tuple[int, int]] = None
    origins: dict[str, str] = field(default_factory=dict, compare=False)

    def origin(self, name: str) -> str:
        """Who said a field, as the beginning of a sentence."""
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
    """A well-known model.

    Attributes:
        about: Which files it describes.
        sources: Where the facts are published.
        says: The facts.
    """

    about: str
    sources: list[str]
    says: Description


def merge(layers: Sequence[Optional[Description]]) -> Optional[Description]:
    """One description out of several, the later ones over the earlier; None when none says a thing.

    Mean and standard deviation belong together with the range that they are of: whoever says one
    of the three replaces all three.
    """
    said: dict[str, Any] = {}
    origins: dict[str, str] = {}
    together = ("input_range", "input_mean", "input_std")
    for layer in filter(None, layers):
        new = {name: getattr(layer, name) for name in FIELDS if getattr(layer, name) is not None}
        if any(name in new for name in together):
            for name in together:
                said.pop(name, None)
        said.update(new)
        origins.update({name: layer.origin(name) for name in new})
    return Description(**said, origins=origins) if said else None


def describe(model: Path, given: Optional[Description] = None) -> Optional[Description]:
    """What is said of a model file: by its sidecar, and over that by `given`.

    The sidecar of `m.tflite` is `m.tflite.json`; without one `m.json`, if that is a sidecar.

    Raises:
        UserError: The sidecar cannot be read or says something impossible; the line names it.
    """
    model = Path(model)
    own, shared = Path(f"{model}.json"), model.with_suffix(".json")
    sidecar = None
    if own.is_file():
        sidecar = read_sidecar(own)
    elif shared.is_file() and _is_sidecar(read_json(shared)):
        sidecar = read_sidecar(shared)
    return merge([sidecar, given])


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
    said = {name: entry for name, entry in value.items() if name not in ("schema", "preset")}
    for name in said:
        if name not in FIELDS:
            near = difflib.get_close_matches(name, (*FIELDS, "preset"), 1)
            hint = f"did you mean {near[0]}?" if near else f"known are preset, {', '.join(FIELDS)}"
            raise UserError(f"{path} has an unknown field {name!r}; {hint}")
    try:
        preset = value.get("preset")
        base = preset_description(preset) if preset is not None else None
        return merge([base, from_values(said, f"{path} says")])
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def from_values(said: dict[str, Any], origin: str) -> Description:
    """A description out of plain values, as JSON gives them.

    Raises:
        ValueError: A value is of the wrong type or impossible.
    """
    description = build(Description, {**said, "origins": dict.fromkeys(said, origin)})
    _check(description)
    return description


def presets() -> dict[str, Preset]:
    """The well-known models by name."""
    text = (resources.files("bench_depth") / "model" / "presets.json").read_text(encoding="utf-8")
    return {
        name: Preset(
            entry["about"],
            entry["sources"],
            from_values(entry["says"], f"the preset {name} says"),
        )
        for name, entry in json.loads(text).items()
    }


def preset_description(name: str) -> Description:
    """What the preset of that name says.

    Raises:
        ValueError: There is none.
    """
    known = presets()
    if name not in known:
        raise ValueError(f"unknown preset {name!r}; choose from {', '.join(known)}")
    return known[name].says


def _is_sidecar(value: Any) -> bool:
    """Whether a .json file that happens to have a model's name was meant as its sidecar."""
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
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("a number is infinite or not a number")
    if d.input_range is not None and d.input_range[0] >= d.input_range[1]:
        low, high = d.input_range
        raise ValueError(f"an input range from {low:g} to {high:g} is empty")
    if (d.input_mean is None) != (d.input_std is None):
        raise ValueError("input_mean and input_std must be given together")
    if d.input_std is not None and min(d.input_std) <= 0:
        raise ValueError(f"a standard deviation of {min(d.input_std):g} is impossible")
    if d.output_scale == 0:
        raise ValueError("an output scale of 0 leaves nothing of the depth")
    for size in (d.input_size, d.open_size):
        if size is not None and not all(0 < side <= LARGEST_SIDE for side in size):
            raise ValueError(
                f"an input of {size[0]}x{size[1]} is impossible; sides are 1 to {LARGEST_SIDE}"
            )

"""The command line's options that describe a model."""

from __future__ import annotations

import argparse
import re
from typing import Any, Optional

from bench_depth.core.errors import UserError
from bench_depth.model.description import (
    QUANTITIES,
    RESIZES,
    UNITS,
    Description,
    from_values,
    merge,
    preset_description,
    presets,
)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_ORIGIN = "the flags say"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options, as a group of their own."""
    add = parser.add_argument_group(
        "other people's models",
        "What a file does not say of itself; they hold for every --model. A file beside the model, "
        "MODEL.json, can say the same.",
    ).add_argument
    add("--preset", choices=tuple(presets()), metavar="NAME", help=", ".join(presets()))
    add("--layout", choices=("auto", "nhwc", "nchw"), help="of the input (default: as in the file)")
    add("--color", choices=("rgb", "bgr"), help="order of the channels (default: rgb)")
    add(
        "--input-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="what pixels of 0 and 255 become (default: 0 255; with --normalize 0 1)",
    )
    add(
        "--normalize",
        metavar="imagenet|none|MEAN/STD",
        help="then subtract MEAN, divide by STD: one number each, or RED,GREEN,BLUE",
    )
    add("--input-size", metavar="WxH", help="for a model that leaves its size open")
    add("--resize", choices=RESIZES, help="how a photo gets that size (default: stretch)")
    add("--output", metavar="NAME|INDEX", help="which of several outputs is the depth map")
    add(
        "--quantity",
        choices=QUANTITIES,
        help="what the output is (default: depth); inverse depth is disparity",
    )
    add(
        "--unit",
        choices=UNITS,
        help="of the depth (default: m; of inverse depth: relative, that is unknown)",
    )
    add("--output-scale", type=float, metavar="X", help="multiply the output by X,")
    add("--output-offset", type=float, metavar="X", help="then add X, before all else")


def from_arguments(options: argparse.Namespace) -> Optional[Description]:
    """What the options say, over what the preset says; None when neither is given.

    Raises:
        UserError: An option's value cannot be read or is impossible (exit code 2).
    """
    said: dict[str, Any] = {
        "input_layout": _upper(None if options.layout == "auto" else options.layout),
        "input_color": _upper(options.color),
        "input_range": options.input_range,
        "input_size": _size(options.input_size),
        "resize": options.resize,
        "output": options.output,
        "output_scale": options.output_scale,
        "output_offset": options.output_offset,
        "quantity": options.quantity,
        "unit": options.unit,
    }
    try:
        preset = preset_description(options.preset) if options.preset is not None else None
        said.update(_normalization(options.normalize, options.input_range))
        said = {name: value for name, value in said.items() if value is not None}
        return merge([preset, from_values(said, _ORIGIN) if said else None])
    except ValueError as error:
        raise UserError(f"in the description of the model: {error}") from error


def _upper(text: Optional[str]) -> Optional[str]:
    return text.upper() if text is not None else None


def _size(text: Optional[str]) -> Optional[list[int]]:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
    if found is None:
        raise UserError(f"--input-size {text} is not WIDTHxHEIGHT, like 640x480")
    return [int(found[1]), int(found[2])]


def _normalization(text: Optional[str], input_range: Optional[list[float]]) -> dict[str, Any]:
    if text is None:
        return {}
    if text == "none":
        # It takes the place of the preset's or the sidecar's.
        return {"input_range": input_range or [0, 255]}
    if text == "imagenet":
        if input_range not in (None, [0, 1]):
            raise UserError("--normalize imagenet is for --input-range 0 1, leave the other out")
        mean, std = IMAGENET_MEAN, IMAGENET_STD
    else:
        mean, std = _mean_and_std(text)
    return {
        "input_range": input_range or [0, 1],
        "input_mean": list(mean),
        "input_std": list(std),
    }


def _mean_and_std(text: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    try:
        mean, std = (tuple(float(n) for n in part.split(",")) for part in text.split("/"))
        if {len(mean), len(std)} <= {1, 3}:
            return mean * (3 // len(mean)), std * (3 // len(std))
    except ValueError:
        pass
    raise UserError(
        f"--normalize {text} is not imagenet, none or MEAN/STD, like 0.5/0.5 or "
        "0.485,0.456,0.406/0.229,0.224,0.225"
    )

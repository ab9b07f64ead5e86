"""The command-line options that describe a model."""

from __future__ import annotations

import argparse
import math
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
    """Adds the camera's field of view, and the other options as a group of their own."""
    parser.add_argument(
        "--hfov",
        type=float,
        metavar="DEG",
        help="horizontal field of view of the camera that took the photos (default: that of the "
        "model's training data); metres and point clouds are made for it",
    )
    add = parser.add_argument_group(
        "models without a contract",
        "Input and output of models whose file does not describe them; the options apply to "
        "every model named. A file MODEL.json beside the model can hold the same.",
    ).add_argument
    add(
        "--preset",
        choices=tuple(presets()),
        metavar="NAME",
        help=f"settings of a well-known model: {', '.join(presets())}",
    )
    add(
        "--layout",
        choices=("auto", "nhwc", "nchw"),
        help="layout of the input (default: as in the file)",
    )
    add("--color", choices=("rgb", "bgr"), help="order of the channels (default: rgb)")
    add(
        "--input-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="input values of pixels 0 and 255 (default: 0 255; with --normalize 0 1)",
    )
    add(
        "--normalize",
        metavar="imagenet|none|MEAN/STD",
        help="then subtract MEAN and divide by STD: one number each, or RED,GREEN,BLUE",
    )
    add("--input-size", metavar="WxH", help="input size of a model with a dynamic one")
    add("--resize", choices=RESIZES, help="how photos are resized to it (default: stretch)")
    add("--output", metavar="NAME|INDEX", help="the output that is the depth map")
    add(
        "--quantity",
        choices=QUANTITIES,
        help="quantity of the output (default: depth); inverse depth is disparity",
    )
    add(
        "--unit",
        choices=UNITS,
        help="unit of the depth (default: m; for inverse depth: relative, i.e. unknown)",
    )
    add("--output-scale", type=float, metavar="X", help="first multiply the output by X")
    add("--output-offset", type=float, metavar="X", help="then add X to it")


def add_smooth(parser: argparse.ArgumentParser) -> None:
    """Adds `--smooth`, of the commands that run a model on the frames of a stream."""
    parser.add_argument(
        "--smooth",
        type=_kept,
        default=0.0,
        metavar="X",
        help="fraction of the depth before that each frame of a video or camera keeps, such as "
        "0.5: steadier depth of a camera that moves slowly (default: 0)",
    )


def add_sharpen(parser: argparse.ArgumentParser) -> None:
    """Adds `--sharpen`, of the commands that show depth beside its image."""
    parser.add_argument(
        "--sharpen",
        action="store_true",
        help="move the blurred edges of the depth to the edges of the image",
    )


def _kept(text: str) -> float:
    try:
        keep = float(text)
    except ValueError:
        keep = math.nan
    if not 0 <= keep < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to below 1, like 0.5")
    return keep


def from_arguments(options: argparse.Namespace) -> Optional[Description]:
    """Builds the description from the options, which override the preset; None without both.

    Raises:
        UserError: The value of an option cannot be parsed or is impossible (exit code 2).
    """
    given: dict[str, Any] = {
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
        "hfov": options.hfov,
    }
    try:
        preset = preset_description(options.preset) if options.preset is not None else None
        given.update(_normalization(options.normalize, options.input_range))
        given = {name: value for name, value in given.items() if value is not None}
        return merge([preset, from_values(given, _ORIGIN) if given else None])
    except ValueError as error:
        raise UserError(f"in the options: {error}") from error


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
        # Overrides the normalization of the preset or the sidecar.
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

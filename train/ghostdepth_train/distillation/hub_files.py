"""The files of a model of the transformers library, checked before the library reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench_depth.core.errors import UserError
from bench_depth.core.files import (
    is_folder,
    plain_name,
    read_object,
    require_regular,
    unreadable_folder,
)

PREPROCESSOR = "preprocessor_config.json"
_OBJECTS = ("config.json", PREPROCESSOR, "processor_config.json")
_LARGEST_SIDE = 4096
# Whatever becomes the size of an image, in any of the library's processors.
_SIZES = ("size", "crop_size", "pad_size", "size_divisor", "ensure_multiple_of")
_LARGEST_VALUE = 1e6


def check_folder(folder: Path) -> None:
    """Checks the files of a folder with a model: the library opens what lies there by its name.

    Raises:
        UserError: One is no regular file, its JSON is damaged or beyond the limits of
            `json_text.loads`, or names weights outside the folder.
    """
    try:
        paths = [path for path in sorted(folder.iterdir()) if not is_folder(path)]
    except OSError as error:
        raise unreadable_folder(error) from error
    for path in paths:
        require_regular(path)
        if path.name in _OBJECTS:
            read_object(path)
        if path.name.endswith(".index.json"):
            parts = read_object(path).get("weight_map")
            for name in set(map(str, parts.values())) if isinstance(parts, dict) else ():
                require_regular(folder / plain_name(name, f"{path}: a file of the weights"))


def check_preprocessor(settings: Mapping[str, Any], name: str) -> None:
    """Checks the numbers by which images become a model's input.

    Args:
        settings: Content of its preprocessor_config.json.
        name: Name of the model, for the message.

    Raises:
        UserError: One is no number, or out of its bounds.
    """
    for key, value in _sides(settings):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (whole and 1 <= value <= _LARGEST_SIDE):
            raise UserError(f"{name}: {key} in its {PREPROCESSOR} must be 1 to {_LARGEST_SIDE}")
    for key in ("image_mean", "image_std"):
        values = settings.get(key)
        values = values if isinstance(values, list) else [values] * 3
        known = key in settings or settings.get("do_normalize") is True
        if known and not (len(values) == 3 and all(_is_number(each, key) for each in values)):
            raise UserError(
                f"{name}: {key} in its {PREPROCESSOR} must be three numbers, up to "
                f"{_LARGEST_VALUE:g}{', above 0' if key == 'image_std' else ''}"
            )
    if not _is_number(settings.get("rescale_factor", 1), "rescale_factor"):
        raise UserError(f"{name}: rescale_factor in its {PREPROCESSOR} must be a number above 0")


def _sides(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in _SIZES:
        value = settings.get(key)
        sides = value.values() if isinstance(value, dict) else [value]
        yield from ((key, side) for side in sides if side is not None)


def _is_number(value: Any, key: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    least = -_LARGEST_VALUE if key == "image_mean" else 1 / _LARGEST_VALUE
    return math.isfinite(value) and least <= value <= _LARGEST_VALUE

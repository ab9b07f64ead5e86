"""The released models by name, wherever their files lie."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Union

from bench_depth.core.errors import UserError

SUFFIXES = (".tflite", ".onnx")
_PACKAGE = Path(__file__).resolve().parents[1]
# Inside an installed package, and in a clone.
_FOLDERS = (_PACKAGE / "models", _PACKAGE.parents[1] / "models")
# Of several files of a name the first of these: int8 is the fastest on a Raspberry Pi.
_VARIANTS = ("int8.tflite", "fp32.tflite", "fp16.tflite", "fp32.onnx", "int8.onnx")


def released() -> dict[str, Path]:
    """The files of the released models that are installed here, by model name."""
    found: dict[str, Path] = {}
    for variant in _VARIANTS:
        for path in _files(variant):
            found.setdefault(path.name.removesuffix(f"-{variant}"), path)
    return dict(sorted(found.items()))


def find_model(model: Union[str, Path]) -> Path:
    """The file of a model.

    Args:
        model: A released name, such as `ghostdepth-xxs`, or the path of a .tflite or .onnx file.

    Raises:
        UserError: There is no such file or name.
    """
    path = Path(model)
    if path.suffix in SUFFIXES or path.exists():
        return path
    known = released()
    if str(model) in known:
        return known[str(model)]
    near = difflib.get_close_matches(str(model), known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known names: {', '.join(known) or 'none'}"
    raise UserError(f"there is no model {str(model)!r}: neither a file nor a released name; {hint}")


def _files(variant: str) -> Iterator[Path]:
    for folder in _FOLDERS:
        yield from sorted(folder.glob(f"*-{variant}"))
        yield from sorted(folder.glob(f"*/*-{variant}"))

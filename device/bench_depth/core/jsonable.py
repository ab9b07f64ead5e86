"""Builds dataclasses from plain JSON values, with every type checked."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar, Union

from bench_depth.core.errors import UserError
from bench_depth.core.json_text import NOT_FINITE

T = TypeVar("T")
# `X | None` has an origin of its own, from Python 3.10 on.
_UNIONS = (Union, getattr(types, "UnionType", Union))


def build(kind: type[T], value: Any, where: str = "") -> T:
    """Builds a `kind` from what `json.loads` returned; the inverse of `dataclasses.asdict`.

    Args:
        kind: A dataclass whose fields are dataclasses, str, int, float, bool, Any, or lists,
            tuples of fixed length, str-keyed dicts and Optionals of those. Unknown keys of `value`
            are ignored, so that a later version may add some; a missing key takes the field's
            default. A float may be a string of `NOT_FINITE`, as `json_text.dumps` writes it.
        value: Dicts, lists, strings, numbers, None.
        where: Path to `value` for error messages, like `models[0].invoke`.

    Raises:
        ValueError: A field is missing or of another type; the message names its path.
    """
    value = _typed(dict, value, where or "the top level")
    hints = typing.get_type_hints(kind)
    arguments = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        path = f"{where}.{field.name}" if where else field.name
        if field.name in value:
            arguments[field.name] = _convert(hints[field.name], value[field.name], path)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{path} is missing")
    return kind(**arguments)


def build_from(kind: type[T], value: Any, file: object) -> T:
    """Builds a `kind` from what a file held, see `build`.

    Args:
        kind: A dataclass.
        value: Content of the file, or of a part of it.
        file: Name of the file, for messages.

    Raises:
        UserError: A field is missing or of another type; the line names the file and the field.
    """
    try:
        return build(kind, value)
    except ValueError as error:
        raise UserError(f"{file} is damaged, or not of this version: {error}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if typing.get_origin(hint) is not None:
        return _convert_generic(hint, value, where)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(Any, hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str) and value in NOT_FINITE:
        return NOT_FINITE[value]
    return _typed(hint, value, where)


def _convert_generic(hint: Any, value: Any, where: str) -> Any:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in _UNIONS:  # Optional[X]: the only union in use.
        return None if value is None else _convert(parts[0], value, where)
    if origin is dict:
        entries = _typed(dict, value, where)
        return {k: _convert(parts[1], v, f"{where}.{k}") for k, v in entries.items()}
    items = _typed(list, value, where)
    kinds = parts if origin is tuple else [parts[0]] * len(items)
    if len(kinds) != len(items):
        raise ValueError(f"{where} must have {len(kinds)} entries, has {len(items)}")
    return origin(_convert(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, items)))


def _typed(kind: type[T], value: Any, where: str) -> T:
    # bool is an int to Python, but not to JSON.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{where} must be {kind.__name__}, is {_what(value)}")
    return value


def _what(value: Any) -> str:
    return "null" if value is None else type(value).__name__

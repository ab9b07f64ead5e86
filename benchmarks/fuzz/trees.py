"""Changes of single fields: of plain values, of a .tflite's tables, of an .onnx's messages."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from damage import ODD, Rng, pick

# Values of untrusted fields. `HUGE` becomes a number of 400 digits.
HUGE = "a number of 400 digits"
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3.7, 1e-300, 1e300, 10**9, 2**63, HUGE),
    *(math.nan, math.inf, -math.inf, "", " ", "x", "../../outside", "/etc/passwd", "a/b", "."),
    *("\x1b[2J\x07", "\u202egnp", "\ud800", "nul\0byte", "x" * 100_000, "NaN", "Infinity"),
    *([], {}, [[]], [None], {"a": 1}, [1, 2, 3], [0] * 5000, ["x"], "640x480", "1e9", "-1"),
)


def deep(levels: int) -> Any:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of dicts and lists within a value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in entries:
        yield value, key
        if isinstance(entry, (dict, list)):
            yield from places(entry)


def changed(value: Any, rng: Rng) -> Any:
    """A copy of a plain value in which one to three fields are others."""
    value = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 4))):
        found = list(places(value))
        if not found or rng.random() < 0.02:
            return odd(rng)
        parent, key = pick(rng, found)
        _change(parent, key, rng)
    return value


def odd(rng: Rng) -> Any:
    """One of `VALUES`, or a list that is nested deeply."""
    index = int(rng.integers(len(VALUES) + 1))
    return copy.deepcopy(VALUES[index]) if index < len(VALUES) else deep(int(rng.integers(50, 400)))


def _change(parent: Any, key: Any, rng: Rng) -> None:
    entry = parent[key]
    kind = int(rng.integers(6))
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[f"{key}_"] = parent.pop(key)
    elif kind == 2 and isinstance(entry, (int, float)) and not isinstance(entry, bool):
        parent[key] = type(entry)(entry * pick(rng, (-1, 2, 1000)))
    elif kind == 3 and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(entry))
    else:
        parent[key] = odd(rng)


def json_bytes(value: Any, rng: Rng) -> bytes:
    """A value as JSON, sometimes in another encoding, with a mark before it, or cut off."""
    text = json.dumps(value, ensure_ascii=bool(rng.integers(2)))
    return encoded(text.replace(json.dumps(HUGE), "9" * 400), rng)


def encoded(text: str, rng: Rng) -> bytes:
    """Mostly UTF-8."""
    encoding = ("utf-8",) * 7 + ("utf-8-sig", "utf-16", "latin-1")
    data = text.encode(
        pick(rng, encoding), "replace" if rng.random() < 0.5 else "xmlcharrefreplace"
    )
    return data[: int(rng.integers(len(data) + 1))] if rng.random() < 0.03 else data


def change_table(table: Any, rng: Rng) -> None:
    """Changes one field of an unpacked flatbuffer table, an object of generated code."""
    found = list(_fields(table))
    owner, name = pick(rng, found)
    value = getattr(owner, name)
    if isinstance(value, (bool, int, np.integer)):
        setattr(owner, name, pick(rng, ODD_NUMBERS))
    elif isinstance(value, float):
        setattr(owner, name, pick(rng, (0.0, -1.0, math.nan, math.inf, 1e38)))
    elif value is None or not hasattr(value, "__len__") or len(value) == 0:
        setattr(owner, name, None)
    else:
        setattr(owner, name, pick(rng, SEQUENCES)(value, rng))


ODD_NUMBERS = (0, 1, 2, 3, 5, 17, 40, 127, -1, -2, 255, 32767, 65536, 2**31 - 1, -(2**31))


def _one_other(value: Any, rng: Rng) -> Any:
    value = value.copy() if isinstance(value, np.ndarray) else list(value)
    index = int(rng.integers(len(value)))
    number = pick(rng, ODD_NUMBERS)
    if isinstance(value[index], (int, float, np.number)):
        value[index] = number if isinstance(value, list) else np.array(number).astype(value.dtype)
    else:
        value[index] = pick(rng, value)
    return value


SEQUENCES: tuple[Callable[[Any, Rng], Any], ...] = (
    lambda value, rng: None,
    lambda value, rng: value[:0],
    lambda value, rng: value[:-1],
    lambda value, rng: value[::-1],
    lambda value, rng: (
        [*value, *value]
        if isinstance(value, list)
        else np.repeat(value, 2)
        if isinstance(value, np.ndarray)
        else value * 2
    ),
    _one_other,
    _one_other,
    _one_other,
)


def _fields(table: Any) -> Iterator[tuple[Any, str]]:
    """Every (object, name of a field) of a tree of generated objects."""
    for name, value in vars(table).items():
        yield table, name
        for child in value if isinstance(value, list) else [value]:
            if hasattr(child, "__dict__"):
                yield from _fields(child)


def change_message(message: Any, rng: Rng) -> None:
    """Changes one field of a protobuf message."""
    found = list(_messages(message))
    owner = pick(rng, found)
    fields = [field for field in owner.DESCRIPTOR.fields if rng.random() < 0.7] or list(
        owner.DESCRIPTOR.fields
    )
    # What is set is changed rather than what is not.
    named = [field for field, _ in owner.ListFields()]
    field = pick(rng, named or fields)
    if rng.random() < 0.15:
        field = pick(rng, fields)
    kind = int(rng.integers(4))
    if kind == 0:
        owner.ClearField(field.name)
        return
    repeated = not isinstance(getattr(owner, field.name), (int, float, str, bytes)) and hasattr(
        getattr(owner, field.name), "__len__"
    )
    if field.cpp_type == field.CPPTYPE_MESSAGE:
        if repeated and len(getattr(owner, field.name)):
            entries = getattr(owner, field.name)
            index = int(rng.integers(len(entries)))
            if kind == 1:
                entries.add().CopyFrom(entries[index])
            else:
                del entries[index]
        return
    value = _scalar(field, rng)
    if not repeated:
        setattr(owner, field.name, value)
    elif kind == 1 or not getattr(owner, field.name):
        getattr(owner, field.name).append(value)
    else:
        entries = getattr(owner, field.name)
        entries[int(rng.integers(len(entries)))] = value


def _scalar(field: Any, rng: Rng) -> Any:
    if field.cpp_type == field.CPPTYPE_STRING:
        texts: tuple[Any, ...] = ("", "x", "\x1b[2J", "../../x", "rgb", "depth", "y" * 10_000)
        text = pick(rng, texts)
        return text.encode() if field.type == field.TYPE_BYTES else text
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return pick(rng, (0.0, -1.0, math.nan, math.inf, 1e38))
    if field.cpp_type == field.CPPTYPE_BOOL:
        return bool(rng.integers(2))
    if field.cpp_type == field.CPPTYPE_ENUM:
        numbers = [value.number for value in field.enum_type.values]
        return pick(rng, numbers)
    wide = field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64)
    number = pick(rng, (pick(rng, ODD), -1, 2, 3, 7, 2**62 if wide else 99))
    signed = field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_INT32)
    if not signed:
        return abs(number)
    return number if wide or number < 2**31 else number - 2**32


def _messages(message: Any) -> Iterator[Any]:
    yield message
    for field, value in message.ListFields():
        if field.cpp_type != field.CPPTYPE_MESSAGE:
            continue
        for child in [value] if hasattr(value, "DESCRIPTOR") else value:
            yield from _messages(child)

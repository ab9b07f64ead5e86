"""Reads metadata out of .onnx files without any library.

An .onnx file is one protobuf message `ModelProto` (field numbers: ONNX's onnx/onnx.proto). Only
its outermost fields are visited, so this costs next to nothing beside making a session.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional, Union

_METADATA_PROPS = 14
_KEY, _VALUE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_metadata(data: bytes, name: str) -> Optional[bytes]:
    """Returns the value of the metadata property `name`; None where there is none.

    Raises:
        ValueError: The file is not a protobuf message, or is truncated.
    """
    if not data:
        raise ValueError("it is empty")
    for field, value in _fields(memoryview(data)):
        if field == _METADATA_PROPS and isinstance(value, memoryview):
            entry = {key: bytes(v) for key, v in _fields(value) if isinstance(v, memoryview)}
            if entry.get(_KEY) == name.encode():
                return entry.get(_VALUE, b"")
    return None


def _fields(message: memoryview) -> Iterator[tuple[int, Union[int, memoryview]]]:
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            number, position = _varint(message, position)
            yield field, number
            continue
        if kind == _BYTES:
            size, position = _varint(message, position)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"byte {position} is not protobuf")
        if position + size > len(message):
            raise ValueError(f"field {field} ends behind the file")
        yield field, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("it ends in the middle of a number")
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
    raise ValueError(f"byte {position} is not protobuf")

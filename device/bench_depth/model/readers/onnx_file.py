"""Reads metadata and the names of files with weights out of .onnx files without any library.

An .onnx file is one protobuf message `ModelProto` (field numbers: ONNX's onnx/onnx.proto). The
contents of weights are skipped, so this costs next to nothing beside making a session.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional, Union

_METADATA_PROPS = 14
_KEY, _VALUE = 1, 2
# Where tensors lie in each message that may hold some: number of the field, its message.
_HOLDERS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        **{5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
        **{22: "sparse tensor", 23: "sparse tensor"},
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _LOCATION = 13, b"location"
# Graphs lie in the nodes of loops and branches; no real one is as deep.
_MAX_DEPTH = 100
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


def external_names(data: bytes) -> set[str]:
    """Returns the paths, relative to the .onnx file, of the files that hold weights of it.

    Raises:
        ValueError: The file is not a protobuf message, is truncated, or is nested too deeply.
    """
    names = set()
    for tensor in _tensors(memoryview(data), "model", 0):
        for field, value in _fields(tensor):
            if field == _EXTERNAL_DATA and isinstance(value, memoryview):
                entry = {key: bytes(v) for key, v in _fields(value) if isinstance(v, memoryview)}
                if entry.get(_KEY) == _LOCATION:
                    names.add(entry.get(_VALUE, b"").decode(errors="surrogateescape"))
    return names


def _tensors(message: memoryview, kind: str, depth: int) -> Iterator[memoryview]:
    if kind == "tensor":
        yield message
        return
    if depth > _MAX_DEPTH:
        raise ValueError("its graphs are nested too deeply")
    for field, value in _fields(message):
        inner = _HOLDERS[kind].get(field)
        if inner is not None and isinstance(value, memoryview):
            yield from _tensors(value, inner, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, Union[int, memoryview]]]:
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        field, kind = key >> 3, key & 7
        # protobuf drops the bits above these, and so takes it for another field.
        if key >> 32:
            raise ValueError(f"byte {position} is not protobuf")
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

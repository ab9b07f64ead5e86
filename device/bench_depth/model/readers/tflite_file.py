"""Reads metadata out of .tflite files and finds damaged ones, without any library.

A .tflite file is a flatbuffer with root table `Model` (field numbers: TensorFlow's
tensorflow/lite/schema/schema.fbs). TFLite 2.5 does not verify a file before it follows the
offsets in it, so a truncated file can crash the process: `check` follows them first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Optional

_IDENTIFIER = b"TFL3"

# Field numbers of the tables that are visited.
_MODEL_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS, _MODEL_METADATA = 1, 2, 4, 6
_MODEL_METADATA_BUFFERS, _MODEL_SIGNATURES = 5, 7
_CODE_CUSTOM_NAME = 1
_GRAPH_TENSORS, _GRAPH_INPUTS, _GRAPH_OUTPUTS, _GRAPH_OPERATORS, _GRAPH_NAME = 0, 1, 2, 3, 4
_TENSOR_SHAPE, _TENSOR_BUFFER, _TENSOR_NAME, _TENSOR_QUANTIZATION = 0, 2, 3, 4
_QUANTIZATION_VECTORS = ((0, 4), (1, 4), (2, 4), (3, 8))  # min, max, scale, zero_point; bytes each
_TENSOR_SPARSITY, _TENSOR_SIGNATURE = 6, 7
_SPARSITY_VECTORS = ((0, 4), (1, 4))  # traversal order, block map
_SPARSITY_DIMENSIONS = 2
_OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _OPERATOR_OPTIONS, _OPERATOR_OPTIONS_2 = 1, 2, 4, 12
_OPERATOR_VECTORS = ((5, 1), (7, 1), (8, 4))  # custom options, mutating inputs, intermediates
_BUFFER_DATA = 0
# Of a buffer and of an op's options: offset in the file and size of what lies behind the tables.
_BUFFER_BEHIND, _OPERATOR_BEHIND = (1, 2), (9, 10)
_SIGNATURE_INPUTS, _SIGNATURE_OUTPUTS, _SIGNATURE_KEY, _MAP_NAME = 0, 1, 2, 0
_METADATA_NAME, _METADATA_BUFFER = 0, 1


class _Flatbuffer:
    """Bounds-checked access; every method raises ValueError where an offset leaves the file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        # An item of a vector takes four bytes or more. Only a file whose vectors lie on top of each
        # other lists more of them than this, and visiting those takes time that grows with the
        # square of its size.
        self._items_left = len(data) // 4

    def number(self, code: str, position: int) -> int:
        """One little-endian integer of struct's format `code`."""
        size = struct.calcsize(code)
        if position < 0 or position + size > len(self.data):
            raise ValueError(f"offset {position} of {len(self.data)} bytes")
        return int(struct.unpack_from("<" + code, self.data, position)[0])

    def follow(self, position: int) -> int:
        """The absolute position that the offset stored at `position` points to."""
        return position + self.number("I", position)

    def table(self, position: int) -> int:
        """Checks that the table at `position` lies in the file as a whole; gives `position`."""
        vtable = position - self.number("i", position)
        size = self.number("H", vtable)
        if size < 4 or size % 2 or vtable + size > len(self.data):
            raise ValueError(f"bad table at {position}")
        if position + self.number("H", vtable + 2) > len(self.data):
            raise ValueError(f"the table at {position} ends behind the file")
        return position

    def field(self, table: int, index: int) -> Optional[int]:
        """The position of a table's field; None where the field is absent."""
        vtable = table - self.number("i", table)
        if 4 + 2 * index + 2 > self.number("H", vtable):
            return None
        offset = self.number("H", vtable + 4 + 2 * index)
        return table + offset if offset else None

    def scalar(self, table: int, index: int, code: str) -> int:
        """A number field; 0 where it is absent."""
        position = self.field(table, index)
        return 0 if position is None else self.number(code, position)

    def subtable(self, table: int, index: int) -> Optional[int]:
        """A table field, checked."""
        position = self.field(table, index)
        return None if position is None else self.table(self.follow(position))

    def vector(self, table: int, index: int, item_size: int) -> tuple[int, int]:
        """A vector field: position of its first item, number of items; (0, 0) where absent."""
        field = self.field(table, index)
        if field is None:
            return 0, 0
        start = self.follow(field)
        count = self.number("I", start)
        if start + 4 + count * item_size > len(self.data):
            raise ValueError(f"{count} items at {start} end behind the file")
        return start + 4, count

    def visited(self, table: int, index: int) -> tuple[int, int]:
        """As `vector`, of offsets or indices each of which the caller visits."""
        start, count = self.vector(table, index, 4)
        self._items_left -= count
        if self._items_left < 0:
            raise ValueError("its tables share more items than the file can hold")
        return start, count

    def tables(self, table: int, index: int) -> Iterator[int]:
        """The tables of a vector-of-tables field, checked."""
        start, count = self.visited(table, index)
        for i in range(count):
            yield self.table(self.follow(start + 4 * i))

    def bytes(self, table: int, index: int) -> bytes:
        """A string or byte-vector field; empty where absent."""
        start, count = self.vector(table, index, 1)
        return self.data[start : start + count]

    def behind(self, table: int, fields: tuple[int, int]) -> None:
        """Checks offset and size, 64 bits each, whose sum a runtime may let overflow."""
        offset, size = (self.scalar(table, index, "Q") for index in fields)
        if offset + size > len(self.data):
            raise ValueError(f"{size} bytes at {offset} end behind the file")

    def holds(self, table: int, index: int, text: bytes) -> bool:
        """Whether a string field is `text`; no other string is copied."""
        return self.vector(table, index, 1)[1] == len(text) and self.bytes(table, index) == text


def check(data: bytes) -> None:
    """Follows every offset that a runtime follows while it loads the file.

    The time grows with the size of the file, however often its tables point to the same place.

    Raises:
        ValueError: The file is not a .tflite file, something points outside it, or its tables share
            more than the converters' files do.
    """
    flat, model = _open(data)
    graphs = list(flat.tables(model, _MODEL_SUBGRAPHS))
    if not graphs:
        raise ValueError("it holds no graph")
    for code in flat.tables(model, _MODEL_CODES):
        flat.vector(code, _CODE_CUSTOM_NAME, 1)
    buffers = 0
    for buffer in flat.tables(model, _MODEL_BUFFERS):
        flat.vector(buffer, _BUFFER_DATA, 1)
        flat.behind(buffer, _BUFFER_BEHIND)
        buffers += 1
    for entry in flat.tables(model, _MODEL_METADATA):
        flat.vector(entry, _METADATA_NAME, 1)
    flat.vector(model, _MODEL_METADATA_BUFFERS, 4)
    for signature in flat.tables(model, _MODEL_SIGNATURES):
        flat.vector(signature, _SIGNATURE_KEY, 1)
        for field in (_SIGNATURE_INPUTS, _SIGNATURE_OUTPUTS):
            for tensor in flat.tables(signature, field):
                flat.vector(tensor, _MAP_NAME, 1)
    for graph in graphs:
        _check_graph(flat, graph, buffers)


def _check_graph(flat: _Flatbuffer, graph: int, buffers: int) -> None:
    tensors = 0
    for tensor in flat.tables(graph, _GRAPH_TENSORS):
        tensors += 1
        flat.vector(tensor, _TENSOR_SHAPE, 4)
        flat.vector(tensor, _TENSOR_SIGNATURE, 4)
        flat.vector(tensor, _TENSOR_NAME, 1)
        if flat.scalar(tensor, _TENSOR_BUFFER, "I") >= buffers:
            raise ValueError("a tensor has no buffer")
        quantization = flat.subtable(tensor, _TENSOR_QUANTIZATION)
        if quantization is not None:
            for field, size in _QUANTIZATION_VECTORS:
                flat.vector(quantization, field, size)
        sparsity = flat.subtable(tensor, _TENSOR_SPARSITY)
        if sparsity is not None:
            for field, size in _SPARSITY_VECTORS:
                flat.vector(sparsity, field, size)
            for _ in flat.tables(sparsity, _SPARSITY_DIMENSIONS):
                pass
    ends = [(graph, _GRAPH_INPUTS), (graph, _GRAPH_OUTPUTS)]
    for operator in flat.tables(graph, _GRAPH_OPERATORS):
        flat.subtable(operator, _OPERATOR_OPTIONS)
        flat.subtable(operator, _OPERATOR_OPTIONS_2)
        flat.behind(operator, _OPERATOR_BEHIND)
        for field, size in _OPERATOR_VECTORS:
            flat.vector(operator, field, size)
        ends += [(operator, _OPERATOR_INPUTS), (operator, _OPERATOR_OUTPUTS)]
    for table, field in ends:
        start, count = flat.visited(table, field)
        if any(flat.number("i", start + 4 * i) >= tensors for i in range(count)):
            raise ValueError("an op uses a tensor that is not there")
    flat.vector(graph, _GRAPH_NAME, 1)


def read_metadata(data: bytes, name: str) -> Optional[bytes]:
    """Returns the content of the metadata entry `name`; None where there is none.

    Raises:
        ValueError: As `check`.
    """
    check(data)
    flat, model = _open(data)
    buffers = list(flat.tables(model, _MODEL_BUFFERS))
    for entry in flat.tables(model, _MODEL_METADATA):
        if flat.holds(entry, _METADATA_NAME, name.encode()):
            buffer = flat.scalar(entry, _METADATA_BUFFER, "I")
            if buffer >= len(buffers):
                raise ValueError("the metadata has no buffer")
            return flat.bytes(buffers[buffer], _BUFFER_DATA)
    return None


def _open(data: bytes) -> tuple[_Flatbuffer, int]:
    if data[4:8] != _IDENTIFIER:
        raise ValueError("it is not a .tflite file: the mark TFL3 is missing")
    flat = _Flatbuffer(data)
    return flat, flat.table(flat.follow(0))

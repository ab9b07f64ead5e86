"""How much work the check of a .tflite file can be made to do."""

from __future__ import annotations

import struct

import pytest
from bench_depth.model.readers import tflite_file


def flatbuffer(graphs: int, tensors: int) -> bytes:
    """A .tflite file of `graphs` graphs, all with the same list of `tensors` empty tensors."""
    model_vtable, graph_vtable, tensor_vtable, model = 8, 24, 30, 36
    subgraphs = model + 12
    buffers = subgraphs + 4 + 4 * graphs
    first_graph = buffers + 8
    shared = first_graph + 8 * graphs
    first_tensor = shared + 4 + 4 * tensors
    parts = [
        struct.pack("<I4s", model, b"TFL3"),
        struct.pack("<7H2x", 14, 12, 0, 0, 4, 0, 8),
        struct.pack("<3H", 6, 8, 4),
        struct.pack("<2H2x", 4, 4),
        struct.pack("<i2I", model - model_vtable, subgraphs - model - 4, buffers - model - 8),
        struct.pack("<I", graphs),
        *(struct.pack("<I", first_graph + 4 * i - subgraphs - 4) for i in range(graphs)),
        struct.pack("<2I", 1, first_tensor - buffers - 4),
    ]
    for i in range(graphs):
        place = first_graph + 8 * i
        parts.append(struct.pack("<iI", place - graph_vtable, shared - place - 4))
    parts.append(struct.pack("<I", tensors))
    parts += [struct.pack("<I", first_tensor - shared - 4) for i in range(tensors)]
    parts += [struct.pack("<i", first_tensor + 4 * i - tensor_vtable) for i in range(tensors)]
    return b"".join(parts)


def with_far_buffer(offset: int, size: int) -> bytes:
    """A .tflite file with a buffer that lies behind the tables."""
    data = flatbuffer(1, 1)
    entry = 60  # The place of the only buffer's offset.
    vtable = struct.pack("<5H2x", 10, 20, 0, 4, 12)
    table = struct.pack("<iQQ", len(vtable), offset, size)
    place = len(data) + len(vtable)
    return data[:entry] + struct.pack("<I", place - entry) + data[entry + 4 :] + vtable + table


@pytest.mark.parametrize(
    ("offset", "size"), [(2**64 - 8, 16), (2**63, 2**63), (0, 10**6), (10**6, 0), (2**64 - 1, 1)]
)
def test_a_buffer_behind_the_tables_lies_in_the_file(offset: int, size: int) -> None:
    tflite_file.check(with_far_buffer(4, 8))
    with pytest.raises(ValueError, match="end behind the file"):
        tflite_file.check(with_far_buffer(offset, size))


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    table = tflite_file._Flatbuffer.table

    def counted(self: tflite_file._Flatbuffer, position: int) -> int:
        found.append(position)
        return table(self, position)

    monkeypatch.setattr(tflite_file._Flatbuffer, "table", counted)
    return found


def test_a_file_without_sharing_is_followed_to_its_end(visits: list[int]) -> None:
    tflite_file.check(flatbuffer(1, 300))
    assert len(visits) == 303  # The model, the graph, a buffer.


@pytest.mark.parametrize("count", [100, 1000])
def test_work_grows_with_the_file_and_not_with_what_its_graphs_share(
    visits: list[int], count: int
) -> None:
    data = flatbuffer(count, count)
    with pytest.raises(ValueError, match="share more items than the file can hold"):
        tflite_file.check(data)
    assert len(visits) <= len(data) // 4

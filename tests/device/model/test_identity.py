from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.model.identity import identify
from bench_depth.model.readers.onnx_file import external_names
from bench_depth.model.runtimes.onnx import OnnxRuntime


def field(number: int, content: bytes) -> bytes:
    """A field of bytes in a protobuf message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low]) if not rest else bytes([low | 0x80]) + varint(rest)


def tensor(location: str) -> bytes:
    entry = field(1, b"location") + field(2, location.encode())
    return field(8, b"weights") + field(13, field(1, b"offset") + field(2, b"0")) + field(13, entry)


def model(*locations: str) -> bytes:
    """A model whose weights are in other files: of the graph, and of an op in a branch of it."""
    first, *others = locations
    graph = field(5, tensor(first))
    for location in others:
        constant = field(5, field(5, tensor(location)))  # attribute, its tensor
        branch = field(5, field(6, field(1, constant)))  # attribute, its graph, a node
        graph += field(1, branch)
    return field(2, b"a test") + field(7, graph)


def test_size_and_checksum_include_the_weights_beside_the_file(tmp_path: Path) -> None:
    data = model("b.data", "a/c.data")
    (tmp_path / "a").mkdir()
    (tmp_path / "m.onnx").write_bytes(data)
    (tmp_path / "b.data").write_bytes(b"one")
    (tmp_path / "a/c.data").write_bytes(b"three")
    found = identify(tmp_path / "m.onnx")
    assert found.bytes == len(data) + 8
    assert found.sha256 == hashlib.sha256(data + b"three" + b"one").hexdigest()
    (tmp_path / "b.data").write_bytes(b"two")
    assert identify(tmp_path / "m.onnx").sha256 != found.sha256


def test_a_file_without_others_has_its_own_checksum(tiny_tflite: Path, make_onnx, tmp_path) -> None:
    for path in (tiny_tflite, make_onnx(tmp_path / "m.onnx")):
        data = path.read_bytes()
        found = identify(path)
        assert (found.bytes, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("location", ["../x", "/etc/passwd", "a/../../x", "", "x\0y", "."])
def test_weights_elsewhere_are_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "m.onnx").write_bytes(model(location))
    with pytest.raises(UserError, match=r"m\.onnx: a file of its weights .* no plain file name"):
        identify(tmp_path / "m.onnx")


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(model("gone"))
    with pytest.raises(UserError, match=r"cannot read .*gone: No such file"):
        identify(tmp_path / "m.onnx")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "m.onnx").write_bytes(model("pipe"))
    with pytest.raises(UserError, match="pipe"):
        identify(tmp_path / "m.onnx")
    # Which would open it by itself.
    with pytest.raises(UserError, match="pipe"):
        OnnxRuntime().load(tmp_path / "m.onnx", threads=1)


def test_graphs_without_end_are_refused() -> None:
    graph = b""
    for _ in range(5000):
        graph = field(1, field(5, field(6, graph)))
    with pytest.raises(ValueError, match="nested too deeply"):
        external_names(field(7, graph))


def disguised(number: int, content: bytes, bits: int) -> bytes:
    """A field with bits above those of a number that protobuf reads."""
    return varint(number << 3 | 2 | bits << 32) + varint(len(content)) + content


@pytest.mark.parametrize("bits", [1, 2, 7])
@pytest.mark.parametrize("place", ["graph", "tensor", "data", "key"])
def test_a_field_whose_number_protobuf_cuts_off_hides_no_file(place: str, bits: int) -> None:
    hide = {place: bits}
    entry = disguised(1, b"location", hide.get("key", 0)) + field(2, b"x.data")
    held = disguised(13, entry, hide.get("data", 0))
    data = disguised(7, disguised(5, held, hide.get("tensor", 0)), hide.get("graph", 0))
    with pytest.raises(ValueError, match="is not protobuf"):
        external_names(data)


def test_weights_of_functions_and_of_trainings_are_found() -> None:
    constant = field(5, tensor("a"))  # An attribute's tensor.
    assert external_names(field(25, field(11, constant))) == {"a"}
    assert external_names(field(20, field(1, field(5, tensor("b"))))) == {"b"}


def test_an_address_in_memory_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "*" / "_ORT_MEM_ADDR_").mkdir(parents=True)
    (tmp_path / "*" / "_ORT_MEM_ADDR_" / "*").write_bytes(bytes(10))
    (tmp_path / "m.onnx").write_bytes(model("*/_ORT_MEM_ADDR_/*"))
    with pytest.raises(UserError, match=r"a file of its weights begins with \*"):
        identify(tmp_path / "m.onnx")


def test_what_protobuf_reads_is_found_or_refused() -> None:
    """Another reader of the format sees no location that is not found here."""
    onnx = pytest.importorskip("onnx")
    from google.protobuf.message import DecodeError

    rng = np.random.default_rng(2)

    def some(number: int, content: bytes) -> bytes:
        bits = int(rng.integers(1, 128)) if rng.random() < 0.3 else 0
        return varint(number << 3 | 2 | bits << 28) + varint(len(content)) + content

    for _ in range(3000):
        entry = some(1, b"location") + some(2, b"a")
        data = bytearray(some(7, some(5, some(13, entry) + some(8, b"w"))))
        if rng.random() < 0.5:
            data[int(rng.integers(len(data)))] = rng.integers(256)
        try:
            read = onnx.ModelProto.FromString(bytes(data))
            names = external_names(bytes(data))
        except (DecodeError, ValueError):
            continue
        # Text that is no UTF-8 is bytes there; `os.fsdecode` takes both.
        seen = {
            os.fsdecode(entry.value)
            for tensor in read.graph.initializer
            for entry in tensor.external_data
            if entry.key == "location"
        }
        assert seen <= names


def test_damaged_bytes_give_names_or_an_error() -> None:
    rng = np.random.default_rng(0)
    whole = model("b.data", "a/c.data")
    for _ in range(300):
        data = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        try:
            external_names(bytes(data))
        except ValueError:
            continue

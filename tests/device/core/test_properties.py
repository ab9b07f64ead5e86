"""Properties of the readers of what comes from outside, over whole spaces of input."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import os
import string
import struct
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bench_depth.core.compiled import native_lines
from bench_depth.core.errors import BAD_INPUT, UserError, exit_code
from bench_depth.core.files import LONGEST_NAME, plain_name, plain_path
from bench_depth.core.json_text import DEEPEST, NOT_FINITE, dumps, loads
from bench_depth.core.jsonable import build
from bench_depth.core.opencv import MAX_PIXELS
from bench_depth.core.picture import parse_header, parse_size
from bench_depth.core.screen import printable

pytest.importorskip("hypothesis")
from hypothesis import example, given, settings
from hypothesis import strategies as some

pytestmark = pytest.mark.same_everywhere
# The same inputs in every run, and nothing is kept on the disk.
quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)

TEXT = some.text(some.characters(exclude_categories=["Cs"]))
SCALARS = some.none() | some.booleans() | some.integers(-(2**63) + 1, 2**63 - 1) | TEXT
VALUES = some.recursive(
    SCALARS | some.floats(allow_nan=False, allow_infinity=False),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@quick
@given(VALUES)
def test_json_that_is_written_is_read_as_it_was(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert loads(dumps(value).encode()) == value


@quick
@given(some.binary(max_size=60) | TEXT.map(str.encode))
@example(b"\xef\xbb\xbf{}")
@example(b"[" * 100_000)
@example(b"9" * 5000)
@example(b'"\\ud800"')
def test_any_bytes_are_a_value_or_a_value_error(data: bytes) -> None:
    try:
        value = loads(data)
    except ValueError:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@quick
@given(some.integers(0, 2 * DEEPEST))
def test_nesting_has_one_limit(levels: int) -> None:
    text = "[" * levels + "0" + "]" * levels
    if levels <= DEEPEST:
        assert loads(text) is not None
    else:
        with pytest.raises(ValueError, match=f"deeper than {DEEPEST}"):
            loads(text)


class Odd:
    def __str__(self) -> str:
        return "odd"


@quick
@given(some.lists(some.floats() | some.text() | some.binary(max_size=3) | some.builds(Odd)))
@example([np.arange(3), {1, 2}])
def test_whatever_was_measured_is_written(values: list[Any]) -> None:
    assert isinstance(loads(dumps({"\ud800": 1, "measured": values})), dict)
    values = [value for value in values if not isinstance(value, np.ndarray)]
    read = loads(dumps(values))
    for value, entry in zip(values, read, strict=True):
        if isinstance(value, float) and math.isfinite(value):
            assert entry == value
        elif isinstance(value, float):
            assert repr(NOT_FINITE[entry]) == repr(value)
        else:
            assert isinstance(entry, str)


@dataclass(frozen=True)
class Inner:
    ratio: float
    names: list[str]


@dataclass(frozen=True)
class Record:
    count: int
    flag: bool
    inner: Inner
    pair: tuple[int, float]
    table: dict[str, float]
    note: str | None = None


RECORDS = some.builds(
    Record,
    count=some.integers(-(2**62), 2**62),
    flag=some.booleans(),
    inner=some.builds(
        Inner, ratio=some.floats(allow_nan=False), names=some.lists(TEXT, max_size=3)
    ),
    pair=some.tuples(some.integers(0, 9), some.floats(allow_nan=False)),
    table=some.dictionaries(TEXT, some.floats(allow_nan=False), max_size=3),
    note=some.none() | TEXT,
)


@quick
@given(RECORDS)
def test_a_record_comes_back_from_its_json(record: Record) -> None:
    assert build(Record, loads(dumps(asdict(record)))) == record


@quick
@given(RECORDS, some.sampled_from(["count", "flag", "inner", "pair", "table", "note"]), VALUES)
def test_any_value_in_a_field_is_taken_or_named(record: Record, name: str, value: Any) -> None:
    fields = {**loads(dumps(asdict(record))), name: value}
    try:
        built = build(Record, fields)
    except ValueError as error:
        assert str(error).startswith(name)
    else:
        assert set(asdict(built)) == set(fields)


@quick
@given(some.text() | VALUES)
@example("../../x")
@example(".hidden")
@example("-rf")
@example(" a")
@example("a\\b")
@example("\u202ea")
@example("ü" * LONGEST_NAME)
@example("\ud800")
def test_a_plain_name_stays_in_its_folder(text: Any) -> None:
    try:
        name = plain_name(text, "the name")
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 1300
        return
    assert (Path("/folder") / name).parent == Path("/folder")
    assert Path(name).name == name == name.strip() and len(name.encode()) <= LONGEST_NAME
    assert name[0] not in ".-" and "\\" not in name
    assert printable(name) == name


@quick
@given(some.lists(some.sampled_from(["a", "b.c", "..", ".", "", "~", "-x"]), max_size=4))
def test_a_plain_path_stays_in_its_folder(parts: list[str]) -> None:
    try:
        path = plain_path("/".join(parts), "the path")
    except UserError:
        return
    assert Path("/folder", path).resolve().is_relative_to(Path("/folder"))


@quick
@given(some.text(), some.sampled_from(["", "\n"]))
@example("\x1b[2J\u202e\x9b1m\r\n", "")
def test_what_is_printable_cannot_move_the_cursor(text: str, keep: str) -> None:
    shown = printable(text, keep)
    shown.encode()
    assert not [c for c in shown if c not in keep and (ord(c) < 32 or 127 <= ord(c) < 160)]
    assert printable(shown, keep) == shown
    plain = string.ascii_letters + string.digits + "äß漢 \\"
    assert printable(plain) == plain


SOUND = [
    cv2.imencode(suffix, np.arange(32 * 24 * 3, dtype=np.uint8).reshape(24, 32, 3))[1].tobytes()
    for suffix in (".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm")
]


@quick
@given(
    some.sampled_from([*SOUND, b""]),
    some.lists(some.tuples(some.integers(0, 2000), some.integers(0, 255)), max_size=5),
    some.integers(0, 2500),
    some.binary(max_size=30),
)
def test_a_header_of_any_bytes_is_possible_or_refused(
    sound: bytes, changes: list[tuple[int, int]], length: int, rest: bytes
) -> None:
    data = bytearray(sound[:length] + rest)
    for place, value in changes:
        if place < len(data):
            data[place] = value
    try:
        found = parse_header(io.BytesIO(bytes(data)), Path("a.png"))
    except UserError as error:
        assert "a.png" in str(error)
        return
    assert found is None or 0 < found.width * found.height <= MAX_PIXELS


# As `SOUND`, of another size.
LARGER = [
    cv2.imencode(suffix, np.arange(90 * 130 * 3).reshape(90, 130, 3).astype(np.uint8))[1].tobytes()
    for suffix in (".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm")
]
PLACES = some.integers(0, 200)
# Sizes, types and counts of tags, lengths of headers.
NUMBERS = some.sampled_from([0, 1, 2, 3, 4, 12, 13, 16, 24, 32, 36, 40, 90, 130, 256, 257, 268])
MARKERS = some.sampled_from(
    [
        b"\xff\x01",
        b"\xff\xd0",
        b"\xff\xd8",
        b"\xff\xd9",
        b"\xff\xff",
        b"#",
        b"\r",
        b"#\r\n",
        b"0" * 30,
    ]
)


def overwrite(data: bytes, place: int, piece: bytes) -> bytes:
    return data[:place] + piece + data[place + len(piece) :]


def insert(data: bytes, place: int, piece: bytes) -> bytes:
    return data[:place] + piece + data[place:]


def remove(data: bytes, place: int, piece: bytes) -> bytes:
    return data[:place] + data[place + len(piece) :]


HEADER_CHANGES = some.tuples(
    some.sampled_from([overwrite, insert, remove]),
    PLACES,
    some.builds(lambda n, size, order: n.to_bytes(size, order), NUMBERS,
                some.sampled_from([2, 4]), some.sampled_from(["little", "big"]))
    | some.builds(lambda data, at, n: data[at : at + n], some.sampled_from(SOUND + LARGER), PLACES,
                  some.integers(1, 60))
    | MARKERS,
)  # fmt: skip


def decoded_size(data: bytes) -> tuple[int, int] | None:
    said: list[bytes] = []
    try:
        with native_lines(said):
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return None if image is None else image.shape[1::-1]


@settings(quick, max_examples=600)
@given(some.sampled_from(SOUND + LARGER), some.lists(HEADER_CHANGES, min_size=1, max_size=4))
def test_the_size_in_a_header_is_the_decoded_size_or_the_picture_is_refused(
    data: bytes, changes: list[tuple[Any, int, bytes]]
) -> None:
    for change, place, piece in changes:
        data = change(data, place, piece)
    try:
        size = parse_size(io.BytesIO(data), Path("a.png"))
    except UserError:
        return
    # What claims very much is not decoded here, to save memory.
    if size[0] * size[1] < 1 << 20 and (decoded := decoded_size(data)):
        assert sorted(decoded) == sorted(size)


@quick
@given(
    some.permutations(["small", "large", "data", "text"]),
    some.lists(some.sampled_from(["small", "large", "data", "text"]), max_size=3),
)
def test_a_png_has_the_size_of_its_only_header(order: list[str], more: list[str]) -> None:
    small, large = png_chunks(SOUND[1]), png_chunks(LARGER[1])
    text = struct.pack(">I4s4sI", 4, b"tEXt", b"a\0bc", zlib.crc32(b"tEXta\0bc"))
    chunks = {"small": small[0], "large": large[0], "data": large[1], "text": text}
    data = SOUND[1][:8] + b"".join(chunks[name] for name in [*order, *more]) + small[-1]
    with contextlib.suppress(UserError):
        size = parse_size(io.BytesIO(data), Path("a.png"))
        assert decoded_size(data) in (None, size)


def png_chunks(data: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(data):
        size = 12 + int.from_bytes(data[at : at + 4], "big")
        found.append(data[at : at + size])
        at += size
    return found


@quick
@given(
    some.sampled_from("<>"),
    some.lists(
        some.tuples(
            some.sampled_from([256, 257, 258, 277, 322, 323]),
            some.integers(0, 18),
            some.integers(0, 4),
            some.sampled_from([1, 3, 8, 16, 40, 60, 200]),
        ),
        max_size=5,
    ),
)
def test_a_tiff_has_the_size_that_its_first_tags_say(
    order: str, others: list[tuple[int, int, int, int]]
) -> None:
    pixels = zlib.compress(bytes(40 * 60))
    sound = [(256, 4, 1, 60), (257, 4, 1, 40), (258, 4, 1, 8), (259, 4, 1, 8), (262, 4, 1, 1)]
    sound += [(273, 4, 1, 16), (277, 4, 1, 1), (278, 4, 1, 40), (279, 4, 1, len(pixels))]
    tags = sorted(others + sound, key=lambda tag: tag[0])
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 16 + len(pixels))
    body = b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags)
    data = head + struct.pack(f"{order}II", 200, 3) + pixels
    data += struct.pack(f"{order}H", len(tags)) + body + bytes(4)
    with contextlib.suppress(UserError):
        size = parse_size(io.BytesIO(data), Path("a.tiff"))
        decoded = decoded_size(data)
        assert decoded is None or sorted(decoded) == sorted(size)


@quick
@given(
    some.sampled_from(sorted(errno.errorcode)),
    some.none() | some.text(some.characters()) | some.binary() | some.integers(),
)
def test_whatever_the_system_refuses_is_one_line(code: int, name: object) -> None:
    def work() -> int:
        raise OSError(code, os.strerror(code), name)

    with contextlib.redirect_stderr(io.StringIO()) as screen:
        assert exit_code("x", work) == BAD_INPUT
    (line,) = screen.getvalue().splitlines()
    assert line.startswith("x: ") and os.strerror(code) in line

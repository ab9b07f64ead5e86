from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_depth.core.errors import UserError
from bench_depth.core.files import plain_name, plain_path, read_json, read_object, read_text
from bench_depth.core.json_text import dumps, loads

DOCUMENT = json.dumps({"a": [None, True, -(2**63) + 1, 1e-300], "ü𐀀": {"": [[], {}]}}).encode()
HOSTILE: list[Callable[[random.Random], bytes]] = [
    lambda rng: b"[" * rng.randrange(100_000),
    lambda rng: b'{"a":' * rng.randrange(70, 5000) + b"1" + b"}" * 5000,
    lambda rng: b"9" * rng.randrange(20, 10_000),
    lambda rng: b"[-1" + b"0" * rng.randrange(19, 500) + b"]",
    lambda rng: b"1e" + str(rng.randrange(309, 10**9)).encode(),
    lambda rng: rng.choice([b"NaN", b"[Infinity]", b'{"a": -Infinity}']),
    lambda rng: '{"name": "Köln"}'.encode(rng.choice(["latin-1", "utf-16", "utf-32"])),
    lambda rng: b'{"a": [%s]}' % json.dumps({"b": 1}).encode().replace(b"}", b', "b": 2}'),
    lambda rng: b'"\\ud8%02x"' % rng.randrange(256),
    lambda rng: rng.randbytes(rng.randrange(200)),
    lambda rng: DOCUMENT[: rng.randrange(1, len(DOCUMENT) + 1)],
]


def test_reading_raises_nothing_but_a_user_error(tmp_path: Path) -> None:
    for seed in range(500):
        rng = random.Random(seed)
        (tmp_path / "a.json").write_bytes(HOSTILE[seed % len(HOSTILE)](rng))
        try:
            value = read_json(tmp_path / "a.json")
        except UserError as error:
            assert str(error).startswith(f"cannot read {tmp_path / 'a.json'}: "), seed
            assert len(str(error)) < 400, seed
        else:
            # What is read can be written and read again.
            assert loads(dumps(value)) == value, seed


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 1}', '[{"x": {"a": 1, "\\u0061": 2}}]'])
def test_a_key_that_stands_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the key 'a' twice"):
        loads(text)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_object(tmp_path / "a.json") == {"a": 1}


def test_a_list_where_an_object_belongs(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(UserError, match="must hold a JSON object"):
        read_object(tmp_path / "a.json")


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(bytes(2**20 + 1))
    with pytest.raises(UserError, match="larger than 1 MiB"):
        read_text(tmp_path / "a.txt")


@pytest.mark.parametrize("name", ["a", "ghostdepth-xs", "Küche 2", "a.b", "..a"[2:], "x" * 200])
def test_plain_names(name: str) -> None:
    assert plain_name(name, "it") == name


# All others: test_a_plain_name_stays_in_its_folder.
@pytest.mark.parametrize("name", ["", "..", "a/b", "-rf", "\033[2J", "é" * 101, None])
def test_what_is_no_plain_name(name: Any) -> None:
    with pytest.raises(UserError, match=r"^config\.json: name ") as caught:
        plain_name(name, "config.json: name")
    assert len(str(caught.value)) < 400


def test_a_path_stays_in_its_folder() -> None:
    assert plain_path("rgb/1.5.png", "it") == "rgb/1.5.png"
    for path in ("/etc/passwd", "../x", "rgb/../../x", "rgb//x", "rgb/", "~/.x", "", None):
        with pytest.raises(UserError):
            plain_path(path, "it")

"""JSON: read with limits, as it comes from outside, and written whatever was measured."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn, Union

LARGEST = 64 * 2**20
DEEPEST = 64
_INTEGER_BITS = 63
_INTEGER_DIGITS = 19
# How a number that JSON does not have is written, as protobuf does.
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


def loads(data: Union[str, bytes], largest: int = LARGEST) -> Any:
    """Parses JSON from outside: UTF-8, each key once, finite numbers, 64-bit integers, few levels.

    Args:
        data: The text.
        largest: Limit of its size, bytes.

    Raises:
        ValueError: It is not JSON, or beyond a limit; the message is the end of a sentence about
            the text, like `it is not UTF-8`.
    """
    text = decode(data, largest) if isinstance(data, bytes) else data
    try:
        value = json.loads(
            text,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_no_constant,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not valid JSON ({error}); it may be truncated") from error
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    check_nesting(value)
    if _HALF_CHARACTER.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("it holds half a character (a lone surrogate)") from error
    return value


def decode(data: bytes, largest: int = LARGEST) -> str:
    """Decodes the bytes of a text file, with or without a byte order mark.

    Raises:
        ValueError: They are more than `largest`, or not UTF-8.
    """
    if len(data) > largest:
        raise ValueError(f"it is larger than {largest / 2**20:g} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8; save it as UTF-8 text") from error


def check_nesting(value: Any) -> None:
    """Checks that lists and dicts are at most `DEEPEST` levels deep.

    Raises:
        ValueError: They are deeper.
    """
    level = {0: value} if isinstance(value, (dict, list)) else {}
    for _ in range(DEEPEST):
        # By identity: YAML's aliases are one object however often they occur.
        level = {
            id(child): child
            for parent in level.values()
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        }
    if level:
        raise ValueError(_too_deep())


def dumps(value: Any, **layout: Any) -> str:
    """Returns JSON in ASCII; a number that is not finite becomes a string of `NOT_FINITE`.

    Args:
        value: Dicts, lists, tuples, strings, numbers (numpy's too), None; anything else is written
            as text, for what was measured must not be lost.
        layout: As for `json.dumps`, like `indent`.
    """
    try:
        text = json.dumps(value, allow_nan=False, **layout)
    except (TypeError, ValueError):
        return json.dumps(_plain(value), allow_nan=False, **layout)
    # Names of files that are not UTF-8 hold halves of characters, which no reader takes.
    return json.dumps(_plain(value), **layout) if _HALF_CHARACTER.search(text) else text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain_text(str(key)): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _plain_text(str(value))


def _plain_text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        left = dict(value)
        twice = next(key for key, _ in pairs if left.pop(key, pairs) is pairs)
        raise ValueError(f"it holds the key {twice[:80]!r} twice; remove one")
    return value


def _integer(text: str) -> int:
    digits = len(text.lstrip("-"))
    value = int(text) if digits <= _INTEGER_DIGITS else None
    if value is None or value.bit_length() > _INTEGER_BITS:
        raise ValueError(f"it holds an integer of {digits} digits; the largest has 64 bits")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it holds a number that is too large, {text[:24]}")
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"it holds {text}, which is no number in JSON")


def _too_deep() -> str:
    return f"it is nested deeper than {DEEPEST} levels"

"""Atomic writing of files: a final name never holds half a file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench_depth.core.errors import UserError
from bench_depth.core.json_text import LARGEST, decode, dumps, loads

# With `-int8.tflite` and the letters of a temporary file it stays below the 255 of file systems.
LONGEST_NAME = 200
_SHOWN = 80


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yields a temporary path beside `target`; renames it to `target` when the block succeeds.

    The data is flushed to the disk (fsync) before the rename, so that after a crash `target` is
    either the old file or the whole new one. A target that is no regular file (`/dev/stdout`, a
    pipe) cannot be replaced and is written directly.

    Raises:
        UserError: The folder cannot be written or the disk is full; the temporary file is removed.
    """
    target = Path(target)
    temporary = None
    try:
        if target.exists() and not target.is_file():
            yield target
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise UserError(
            f"cannot write {target}: {error.strerror or error}; check free space and permissions"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(target: Path, data: bytes) -> None:
    """Writes `data` to `target` atomically, see `atomic_path`."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def write_json(target: Path, value: Any) -> None:
    """Writes `value` as indented JSON, see `json_text.dumps`.

    Raises:
        UserError: The file cannot be written.
    """
    write_bytes(target, (dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Reads a JSON file within the limits of `json_text.loads`.

    Raises:
        UserError: The file is missing, unreadable, not JSON, or beyond a limit.
    """
    try:
        return loads(_read(path, LARGEST))
    except ValueError as error:
        raise UserError(f"cannot read {path}: {error}") from error


def read_object(path: Path) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Raises:
        UserError: As `read_json`, or it holds something else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a JSON object, {{...}}, but holds another value")
    return value


def read_text(path: Path, largest: int = 2**20) -> str:
    """Reads a text file, UTF-8.

    Args:
        path: The file.
        largest: Limit of its size, bytes.

    Raises:
        UserError: The file is missing, unreadable, too large or not UTF-8.
    """
    try:
        return decode(_read(path, largest), largest)
    except ValueError as error:
        raise UserError(f"cannot read {path}: {error}") from error


def plain_name(text: Any, where: str) -> str:
    """Returns a name that comes from a file or another machine, and becomes a part of a path.

    Args:
        text: The name; anything may have been read.
        where: Where it was read, to begin the error message with.

    Raises:
        UserError: It is no plain file name: empty, of another type, longer than `LONGEST_NAME`
            bytes, with a slash, backslash or control character, or with . or - at its beginning.
    """
    if not isinstance(text, str):
        raise UserError(f"{where} must be text, is {type(text).__name__}")
    plain = text.strip() == text != "" and text.isprintable() and text[0] not in ".-"
    if not plain or "/" in text or "\\" in text or len(text.encode()) > LONGEST_NAME:
        raise UserError(
            f"{where} is {_shown(text)}, which is no plain file name: 1 to {LONGEST_NAME} bytes "
            "without / and \\ and control characters, and not with . or - at its beginning"
        )
    return text


def plain_path(text: Any, where: str) -> str:
    """Returns a relative path, each part of it a `plain_name`, so that it stays in its folder.

    Raises:
        UserError: As `plain_name`.
    """
    for part in text.split("/") if isinstance(text, str) else [text]:
        plain_name(part, where)
    return str(text)


def _shown(text: Any) -> str:
    shown = repr(text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


def _read(path: Path, largest: int) -> bytes:
    """At most one byte more than `largest`, for whoever checks the size."""
    try:
        with open(path, "rb") as stream:
            return stream.read(largest + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

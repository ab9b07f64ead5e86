"""Atomic writing of files: a final name never holds half a file."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench_depth.core.errors import UserError


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
    """Writes `value` as indented JSON.

    Raises:
        ValueError: The value contains NaN or infinity.
        UserError: The file cannot be written.
    """
    write_bytes(target, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: The file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not valid JSON ({error}); it may be truncated") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""Which model a file holds: its size and checksum, with the weights that lie in files beside it."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model import onnx_file
from bench_depth.model.contract import read_model_bytes

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Identity:
    """What tells one model from another.

    Attributes:
        bytes: Size in bytes of the file and of the files with its weights.
        sha256: SHA-256 of the content of the file, followed by that of the files with its weights
            in the order of their names.
    """

    bytes: int
    sha256: str


def identify(path: Path) -> Identity:
    """Reads a model file, and the files beside an .onnx file that hold its weights.

    Raises:
        UserError: A file is missing or cannot be read (exit code 2), or the .onnx file is damaged
            or names a file outside its folder (exit code 3).
    """
    data = read_model_bytes(path)
    size, checksum = len(data), hashlib.sha256(data)
    for file in external_files(path, data) if Path(path).suffix == ".onnx" else []:
        for chunk in _chunks(path, file):
            size += len(chunk)
            checksum.update(chunk)
    return Identity(size, checksum.hexdigest())


def external_files(path: Path, data: bytes) -> list[Path]:
    """Returns the files that hold weights of an .onnx file, in the order of their names.

    Args:
        path: Path of the .onnx file.
        data: Its content.

    Raises:
        UserError: The file is damaged, or names a file outside its folder (exit code 3).
    """
    try:
        names = onnx_file.external_names(data)
    except ValueError as error:
        raise UserError(
            f"{path} is damaged or truncated ({error}); copy or export it again", MODEL_FAILED
        ) from error
    for name in names:
        parts = Path(name).parts
        if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
            raise UserError(
                f"{path} has weights in {name!r}, which is outside its folder; save it with its "
                "weights in one file",
                MODEL_FAILED,
            )
    return [Path(path).parent / name for name in sorted(names)]


def _chunks(path: Path, file: Path) -> Iterator[bytes]:
    try:
        # A pipe would be waited for without end.
        if not stat.S_ISREG(file.stat().st_mode):
            raise UserError(f"{path} has weights in {file}, which is no regular file; copy it")
        with open(file, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise UserError(
            f"{path} has weights in {file}, which cannot be read: {error.strerror or error}; copy "
            "both files"
        ) from error

"""Which model a file holds: its size and checksum, with the weights that lie in files beside it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.files import open_regular, plain_path
from bench_depth.model.contract import read_model_bytes
from bench_depth.model.readers import onnx_file

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Identity:
    """The figures that identify a model.

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
        UserError: A file is missing, cannot be read or lies outside the folder of the .onnx file
            (exit code 2), or that is damaged (exit code 3).
    """
    data = read_model_bytes(path)
    size, checksum = len(data), hashlib.sha256(data)
    for file in external_files(path, data) if Path(path).suffix == ".onnx" else []:
        with open_regular(file) as stream:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                checksum.update(chunk)
    return Identity(size, checksum.hexdigest())


def external_files(path: Path, data: bytes) -> list[Path]:
    """Returns the files that hold weights of an .onnx file, in the order of their names.

    Args:
        path: Path of the .onnx file.
        data: Content of the file.

    Raises:
        UserError: The file is damaged (exit code 3), or names a file outside its folder.
    """
    try:
        names = onnx_file.external_names(data)
    except ValueError as error:
        raise UserError(
            f"{path} is damaged or truncated ({error}); copy or export it again", MODEL_FAILED
        ) from error
    where = f"{path}: a file of its weights"
    # In place of a file, ONNX Runtime would take the weights from an address in its memory.
    if any(name.startswith("*") for name in names):
        raise UserError(f"{where} begins with *, which is no file; export the model again")
    # Without a `./` at its beginning, which means nothing.
    return sorted(Path(path).parent / plain_path(str(PurePosixPath(n)), where) for n in names)

"""What the service starts and reads: paths that the next deployment does not remove."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import bench_depth
from bench_depth.core.compiled import bundle_folder
from bench_depth.core.errors import UserError
from bench_depth.model.released import default_model, find_model

_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 (nothing is written there)
_HOMES = ("/home", "/root", "/run/user")
_CAMERAS = ("auto", "picamera2")


def command_of(words: Sequence[str], options: argparse.Namespace) -> list[str]:
    """The command of the service: absolute paths, in a bundle those below its `current`.

    Args:
        words: Arguments of `bench-depth live` as given.
        options: The same arguments, parsed.

    Raises:
        UserError: The model or the source is not there.
    """
    find_model(options.model or default_model())
    files = {
        str(value): str(_lasting(path))
        for value, path in ((options.model, _model(options)), (options.source, _source(options)))
        if path is not None
    }
    prefix = bundle_folder()
    program = [sys.executable, "-m", "bench_depth"]
    if prefix is not None:
        program = [str(prefix / "current" / "bench-depth")]
    return [*program, "live", *(_replaced(word, files) for word in words)]


def hidden_files(options: argparse.Namespace, system: bool) -> list[Path]:
    """The files and folders that the service reads and that lie in folders hidden from it.

    Args:
        options: Arguments of `bench-depth live`, parsed.
        system: Whether the service runs as a user of its own, from which home folders are hidden.
    """
    model = find_model(options.model or default_model()).absolute()
    found = [
        bundle_folder() or Path(sys.prefix),
        Path(sys.base_prefix),
        Path(bench_depth.__file__).parents[1],
        _lasting(model),
        *(Path(f"{model}.json"), model.with_suffix(".json")),
        *([_lasting(path)] if (path := _source(options)) is not None else []),
    ]
    roots = (*_TEMPORARY, *(_HOMES if system else ()))
    hidden = {path for path in found if path.exists() and _inside(path, roots)}
    return sorted(path for path in hidden if not hidden & set(path.parents))


def _model(options: argparse.Namespace) -> Optional[Path]:
    """The model where it is a file, None where it is a released name."""
    path = Path(options.model) if options.model is not None else None
    return path if path is not None and os.path.isfile(path) else None  # noqa: PTH113


def _source(options: argparse.Namespace) -> Optional[Path]:
    """The source where it is a file or folder, None where it is a camera."""
    text = options.source
    if text in _CAMERAS or text.isdecimal() or text.startswith("/dev/"):
        return None
    if not os.access(text, os.F_OK):
        raise UserError(f"--source {text} does not exist; give a camera, a video or a folder")
    return Path(text)


def _replaced(word: str, files: dict[str, str]) -> str:
    name, equals, value = word.partition("=")
    if equals and name.startswith("--"):
        return f"{name}={files.get(value, value)}"
    return files.get(word, word)


def _lasting(path: Path) -> Path:
    """The absolute path; of a file in a bundle's present version the one that stays."""
    prefix = bundle_folder()
    if prefix is not None:
        current = prefix / "current"
        if _inside(path.resolve(), (str(current.resolve()),)):
            return current / path.resolve().relative_to(current.resolve())
    return path.absolute()


def _inside(path: Path, roots: Sequence[str]) -> bool:
    return any(Path(root) in (path, *path.parents) for root in roots)

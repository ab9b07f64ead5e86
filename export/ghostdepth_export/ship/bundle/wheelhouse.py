"""Wheels by their checksums, downloaded once and kept."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from bench_depth.core.errors import UserError
from bench_depth.core.temporary import fresh_folder
from ghostdepth_export.host.cache import cache_folder, locked
from ghostdepth_export.host.programs import run
from ghostdepth_export.host.wheels import WheelTarget

_PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")


def fetch(lines: Sequence[str], system: WheelTarget, target: str) -> list[Path]:
    """The wheels of a list, from the cache; pip downloads those that are not there.

    Args:
        lines: Lines of a requirements file, each with one sha256.
        system: System that the wheels must run on.
        target: Name of the target, for messages.

    Returns:
        The files, each of the checksum that its line names.

    Raises:
        UserError: The index cannot be reached, a wheel there has another checksum, or the cache
            cannot be written.
    """
    house = cache_folder() / "bundle-wheels"
    with locked(house):
        missing = [line for line in lines if _find(house, line) is None]
        try:
            if missing:
                _download(missing, system, target, house)
        except OSError as error:
            raise UserError(
                f"cannot keep wheels in {house}: {error.strerror or error}; "
                "set GHOSTDEPTH_CACHE to a folder with some gigabytes of space"
            ) from error
        found = [_find(house, line) for line in lines]
    assert None not in found, "pip left out a wheel"
    return [path for path in found if path is not None]


def sha256(path: Path) -> str:
    """The checksum of a file, in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _find(house: Path, line: str) -> Path | None:
    checksum = line.partition("sha256:")[2].strip()
    for path in (house / checksum).glob("*.whl"):
        if sha256(path) == checksum:
            return path
    return None


def _download(lines: Sequence[str], system: WheelTarget, target: str, house: Path) -> None:
    house.mkdir(parents=True, exist_ok=True)
    with fresh_folder(".download-", house) as folder:
        requirements = folder / "requirements.txt"
        requirements.write_text("".join(f"{line}\n" for line in lines))
        command = [*_PIP, "--no-deps", "--require-hashes", *system.options()]
        command += ["--dest", str(folder), "-r", str(requirements)]
        run(command, f"cannot download the wheels for {target} (is the package index reachable?)")
        for wheel in folder.glob("*.whl"):
            place = house / sha256(wheel)
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            wheel.rename(place / wheel.name)

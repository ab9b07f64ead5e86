"""Python packages for a Raspberry Pi, fetched on any machine, by committed lists with checksums."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_depth.core.errors import UserError
from ghostdepth_export.host.programs import run

_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
# The first manylinux tag that names its glibc, and the oldest that wheels of the Pi have.
_OLDEST_GLIBC = 17


@dataclass(frozen=True)
class WheelTarget:
    """The system that wheels must run on.

    Attributes:
        python: Like `3.9`.
        glibc: Minor version of its glibc 2.x; wheels built for it and older ones run.
    """

    python: str
    glibc: int

    def options(self) -> list[str]:
        """Of `pip`: take wheels of this system and nothing else."""
        options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", self.python]
        for minor in range(self.glibc, _OLDEST_GLIBC - 1, -1):
            options += ["--platform", f"manylinux_2_{minor}_aarch64"]
        return [*options, "--platform", "manylinux2014_aarch64"]


def resolve(wanted: Sequence[str], target: WheelTarget) -> str:
    """Finds the newest wheels that fit together.

    pip evaluates environment markers for the Python it runs on, so a package that only an old
    Python needs must be among the wanted.

    Args:
        wanted: Requirements, like `numpy<2`.
        target: The system.

    Returns:
        A requirements file: one line a wheel, with its version and sha256.

    Raises:
        UserError: The index cannot be reached, or nothing fits.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [*_PIP, "install", "--dry-run", "--ignore-installed", "--report", str(report)]
        command += ["--target", folder, *target.options(), *wanted]
        run(command, f"cannot find wheels for Python {target.python}")
        wheels = json.loads(report.read_text())["install"]
    lines = [
        f"{wheel['metadata']['name'].lower()}=={wheel['metadata']['version']}"
        f" --hash=sha256:{wheel['download_info']['archive_info']['hashes']['sha256']}"
        for wheel in wheels
    ]
    return "".join(f"{line}\n" for line in sorted(lines))


def install(lock: Path, target: WheelTarget, folder: Path) -> None:
    """Unpacks the wheels of a list into a folder that is to be on Python's path.

    Raises:
        UserError: The index cannot be reached, a checksum is wrong or the disk is full.
    """
    command = [*_PIP, "install", "--no-deps", "--no-compile", "--require-hashes"]
    command += [*target.options(), "--target", str(folder), "-r", str(lock)]
    run(command, f"cannot install the wheels of {lock.name}")


def build_bench_depth(folder: Path) -> Path:
    """Builds the wheel of bench-depth from this checkout; the same sources give the same bytes.

    Args:
        folder: Where it is written.

    Raises:
        UserError: The sources are not there, or the build backend is missing.
    """
    source = Path(__file__).resolve().parents[3] / "device"
    if not (source / "pyproject.toml").is_file():
        raise UserError(f"{source} is missing: bench-depth is built from a checkout of the project")
    command = [*_PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    # The earliest time a zip file can hold.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}
    run([*command, str(source)], "cannot build the wheel of bench-depth", environment)
    (wheel,) = folder.glob("bench_depth-*.whl")
    return wheel

"""Python packages for a Raspberry Pi, fetched on any machine, by committed lists with checksums."""

from __future__ import annotations

import base64
import json
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import bench_depth
from bench_depth.core.errors import UserError
from bench_depth.core.temporary import fresh_folder
from ghostdepth_export.host.programs import run

_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
# The first manylinux tag that names its glibc, and the oldest that wheels of the Pi have.
_OLDEST_GLIBC = 17
_WHEEL = b"Wheel-Version: 1.0\nGenerator: ghostdepth\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


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
        """The options of `pip` that restrict it to wheels of this system."""
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
        target: System that the wheels must run on.

    Returns:
        A requirements file: one line a wheel, with its version and sha256.

    Raises:
        UserError: The index cannot be reached, or nothing fits.
    """
    with fresh_folder("ghostdepth-wheels-") as folder:
        report = folder / "report.json"
        command = [*_PIP, "install", "--dry-run", "--ignore-installed", "--report", str(report)]
        command += ["--target", str(folder), *target.options(), *wanted]
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
    """Packs the wheel of bench-depth from the installed package.

    The same sources give the same bytes: no build backend is needed, and no time, mode or path of
    this machine gets into the file.

    Args:
        folder: Folder that the wheel is written to.

    Raises:
        UserError: bench-depth is not installed, or was installed as another version than its
            sources have.
    """
    version, package = bench_depth.__version__, Path(bench_depth.__file__).parent
    try:
        installed = distribution("bench-depth")
    except PackageNotFoundError as error:
        raise UserError("bench-depth is not installed; run: pip install -e ./device") from error
    if installed.version != version:
        raise UserError(
            f"bench-depth is installed as {installed.version}, its sources are {version}; "
            "install it again: pip install -e ./device"
        )
    files = {
        path.relative_to(package.parent).as_posix(): path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    info = f"bench_depth-{version}.dist-info"
    for name in ("METADATA", "entry_points.txt"):
        files[f"{info}/{name}"] = (installed.read_text(name) or "").encode()
    files[f"{info}/WHEEL"] = _WHEEL
    record = "".join(f"{name},{_digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel = folder / f"bench_depth-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            # Without a time given, an entry has the earliest that a zip file can hold.
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return wheel


def _digest(data: bytes) -> str:
    """The checksum of a file as a wheel's RECORD writes it."""
    return "sha256=" + base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()

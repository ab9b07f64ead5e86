"""Builds bench-depth-native: `python -m ghostdepth_export.ship.native FOLDER`."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bench_depth.core.errors import exit_code
from bench_depth.core.screen import say
from ghostdepth_export.host.cache import cache_folder, locked
from ghostdepth_export.host.checkout import SOURCE
from ghostdepth_export.host.programs import need, run
from ghostdepth_export.pi4.emulator import debian

_SOURCE = SOURCE / "device" / "native"
# What is built against this release runs on it and on every later one.
_SUITE = "bullseye"
_PACKAGES = ("libc6-dev", "libstdc++-10-dev", "nlohmann-json3-dev")


def build_native(folder: Path, progress: Callable[[str], None] = lambda line: None) -> Path:
    """Cross compiles bench-depth-native.

    Args:
        folder: Folder of the build; it may hold an earlier one.
        progress: Takes one line whenever something slow begins.

    Returns:
        The program; `libLiteRt.so`, which it needs, lies beside it.

    Raises:
        UserError: A program is missing, Debian's mirror or the package index cannot be reached, or
            the compiler complains.
    """
    cmake = need("cmake")
    need("aarch64-linux-gnu-g++")
    sysroot = _sysroot(progress)
    progress("compiling bench-depth-native for arm64")
    folder = folder.absolute()
    # Settings of an earlier build would win over those given now.
    (folder / "CMakeCache.txt").unlink(missing_ok=True)
    configure = [cmake, "-S", str(_SOURCE), "-B", str(folder)]
    configure += [f"-DCMAKE_TOOLCHAIN_FILE={_SOURCE / 'pi4.cmake'}", f"-DCMAKE_SYSROOT={sysroot}"]
    configure += [f"-DPython3_EXECUTABLE={sys.executable}"]
    run(configure, "cannot set up the build of bench-depth-native")
    run([cmake, "--build", str(folder), "--parallel", "2"], "cannot compile bench-depth-native")
    return folder / "bench-depth-native"


def _sysroot(progress: Callable[[str], None]) -> Path:
    """Headers and libraries of the Pi's system, unpacked once and kept."""
    key = hashlib.sha256(repr((_SUITE, _PACKAGES)).encode()).hexdigest()[:12]
    folder = cache_folder() / "sysroots" / f"{_SUITE}-{key}"
    with locked(folder):
        if not folder.exists():
            progress(f"unpacking headers and libraries of Debian {_SUITE} for arm64")
            partial = folder.with_name(f".{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            debian.unpack(_SUITE, _PACKAGES, partial)
            partial.rename(folder)
    return folder


def _main() -> int:
    say(build_native(Path(sys.argv[1]), lambda line: say(line, error=True)))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("ghostdepth", _main))

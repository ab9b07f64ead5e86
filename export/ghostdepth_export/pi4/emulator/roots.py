"""Debian roots with Python and the runtimes of a Raspberry Pi, built once and kept."""

from __future__ import annotations

import hashlib
import inspect
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from bench_depth.core.errors import UserError
from bench_depth.core.files import read_object, write_json
from ghostdepth_export.host.cache import cache_folder, locked
from ghostdepth_export.host.wheels import WheelTarget, install
from ghostdepth_export.pi4.emulator import debian, pi4

# A shell, the tools that an installer and ssh need, and the libraries that wheels link against.
_PACKAGES = (
    "bash",
    "coreutils",
    "dash",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "libatomic1",
    "libgomp1",
    "libstdc++6",
    "openssh-sftp-server",
    "procps",
    "python3",
    "python3-distutils",
    "rsync",
    "sed",
    "tar",
    "util-linux",
)


@dataclass(frozen=True)
class Recipe:
    """How a root is made.

    Attributes:
        suite: Debian's name of the release.
        target: Python and glibc of the root.
        packages: Names of Debian packages.
        extra_sites: Folders under /opt with packages that only `PYTHONPATH` shows, each from its
            own lock file.
    """

    suite: str
    target: WheelTarget
    packages: tuple[str, ...] = _PACKAGES
    extra_sites: tuple[str, ...] = field(default=())

    @property
    def site(self) -> str:
        """Where Debian's Python looks for packages that are not Debian's, from the root."""
        return f"usr/local/lib/python{self.target.python}/dist-packages"

    def lock(self, name: str) -> Path:
        """The committed list of wheels with their checksums."""
        return Path(str(resources.files(__package__) / "wheels" / f"{name}.txt"))


RECIPES = {
    # Raspberry Pi OS Bullseye: the last Python that TensorFlow Lite 2.5 has wheels for.
    "bullseye": Recipe("bullseye", WheelTarget("3.9", 31), extra_sites=("litert21",)),
    # picamera2 was built for its numpy 1.
    "bookworm": Recipe("bookworm", WheelTarget("3.11", 36)),
    "trixie": Recipe(
        "trixie", WheelTarget("3.13", 41), tuple(p for p in _PACKAGES if p != "python3-distutils")
    ),
}


def build_root(name: str, progress: Callable[[str], None] = lambda line: None) -> Path:
    """Builds a root, or finds the one built earlier.

    It is built anew when its recipe, its wheels or this code changed, and when files of it are
    missing or have another size or mode than when it was built.

    Args:
        name: A key of `RECIPES`.
        progress: Takes one line whenever something slow begins.

    Returns:
        The root folder; it must not be written to.

    Raises:
        UserError: The name is unknown, a program is missing, a mirror or package index cannot be
            reached, or the disk is full.
    """
    if name not in RECIPES:
        raise UserError(f"unknown root {name!r}; choose from {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    folder = cache_folder() / "roots" / f"{name}-{_key(recipe)}"
    root, record = folder / "root", folder / "root.json"
    with locked(folder):
        if not record.exists() or read_object(record).get("inventory") != inventory(root):
            if folder.exists():
                progress(f"the root {name} is not whole; it is built anew")
            _build(recipe, folder, progress)
            write_json(record, {"name": name, "inventory": inventory(root)})
    return root


def inventory(root: Path) -> str:
    """A checksum over every file's path, mode, size and link target; not over the contents."""
    digest = hashlib.sha256()
    for line in sorted(_entries(root)):
        digest.update(line.encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()


def _entries(root: Path) -> Iterator[str]:
    for folder, names, files in os.walk(root):
        for name in names + files:
            path = Path(folder, name)
            status = path.lstat()
            target = str(path.readlink()) if path.is_symlink() else ""
            size = 0 if path.is_dir() else status.st_size
            yield f"{path.relative_to(root)} {status.st_mode:o} {size} {target}"


def _key(recipe: Recipe) -> str:
    sources = [inspect.getsource(module) for module in (sys.modules[__name__], debian, pi4)]
    locks = [recipe.lock(name).read_text() for name in (recipe.suite, *recipe.extra_sites)]
    return hashlib.sha256("\0".join([repr(recipe), *sources, *locks]).encode()).hexdigest()[:12]


def _build(recipe: Recipe, folder: Path, progress: Callable[[str], None]) -> None:
    root = folder / "root"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    progress(f"unpacking Debian {recipe.suite} for arm64")
    debian.unpack(recipe.suite, recipe.packages, root)
    pi4.write(root)
    (root / "home/pi").mkdir(parents=True)
    # ssh hands commands to the login shell, which is looked up by user.
    (root / "etc/passwd").write_text("root:x:0:0:root:/home/pi:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    progress(f"installing the wheels of {recipe.suite}")
    install(recipe.lock(recipe.suite), recipe.target, root / recipe.site)
    for name in recipe.extra_sites:
        install(recipe.lock(name), recipe.target, root / "opt" / name)
    scripts = root / recipe.site / "bin"
    if scripts.is_dir():
        shutil.rmtree(scripts)

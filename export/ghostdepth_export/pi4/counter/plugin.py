"""Compiles the QEMU plugins and runs emulated programs under it."""

from __future__ import annotations

import hashlib
import platform
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Generic

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.files import atomic_path
from ghostdepth_export.host.cache import cache_folder, locked
from ghostdepth_export.host.programs import need, run
from ghostdepth_export.pi4.counter.listing import (
    C,
    InstructionCounts,
    Listing,
    ThreadCounts,
    read_listing,
)

CPU = "cortex-a72"
_HEADERS = (
    *("a64.h", "cache.h", "counts.h", "memory.h", "ops.h"),
    *("plugin_api.h", "stream.h", "uops.h"),
)


@dataclass(frozen=True)
class Plugin(Generic[C]):
    """A plugin of QEMU.

    Attributes:
        source: Name of the file that is compiled.
        counts: Makes counts of the figures of a line that it writes.
    """

    source: str
    counts: Callable[..., C]


COUNTER = Plugin("counter.c", InstructionCounts)
THREADS = Plugin("threads.c", ThreadCounts.of)


class GuestError(UserError):
    """The emulated program failed; the message is its last line."""


@dataclass(frozen=True)
class Qemu:
    """An installed qemu-aarch64 that can load plugins.

    Attributes:
        program: Path of the program.
        version: Version of QEMU, like `7.2.22`.
    """

    program: str
    version: str


def find_qemu() -> Qemu:
    """Finds QEMU's user-mode emulator for aarch64.

    Raises:
        UserError: It is missing, or was built without plugins; the line names the package.
    """
    program = need("qemu-aarch64")
    text = run([program, "--version"], f"cannot start {program}").stdout
    found = re.search(r"version (\d+(?:\.\d+)+)", text)
    version = found.group(1) if found else "unknown"
    if "-plugin " not in run([program, "-h"], f"cannot start {program}").stdout:
        raise UserError(
            f"{program} (QEMU {version}) was built without plugins; Debian's package qemu-user has "
            "them, qemu-user-static does not"
        )
    return Qemu(program, version)


def build_plugin(plugin: Plugin[Any]) -> Path:
    """Compiles a plugin, or finds a build of the same sources in the cache.

    Args:
        plugin: `COUNTER` or `THREADS`.

    Raises:
        UserError: gcc is missing or fails, or the cache cannot be written.
    """
    sources = [resources.files(__package__) / "qemu" / name for name in (plugin.source, *_HEADERS)]
    key = hashlib.sha256(platform.machine().encode())
    for each in sources:
        key.update(each.read_bytes())
    name = f"{Path(plugin.source).stem}-{key.hexdigest()[:12]}.so"
    target = cache_folder() / "counter" / name
    with locked(target):
        if not target.exists():
            command = [need("gcc"), "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread"]
            with resources.as_file(sources[0]) as path, atomic_path(target) as temporary:
                run([*command, "-o", str(temporary), str(path)], f"cannot compile {plugin.source}")
    return target


def run_counted(
    qemu: Qemu,
    program: Path,
    arguments: Sequence[str],
    plugin: Plugin[C],
    *,
    folder: Path,
    root: Path | None = None,
    name: str | None = None,
    environment: Mapping[str, str] | None = None,
    cpu: str = CPU,
) -> tuple[str, Listing[C]]:
    """Runs an aarch64 program under a plugin.

    Addresses, the environment and random bytes are fixed, so that runs are reproducible.

    Args:
        qemu: QEMU from `find_qemu`.
        program: Path of the program on the host.
        arguments: Arguments of the program, without its name.
        plugin: `COUNTER` or `THREADS`.
        folder: Working directory; the plugin's output is left there.
        root: Root folder with the program's libraries; None for a static program.
        name: The program's `argv[0]`; `program` if None.
        environment: Complete environment of the program.
        cpu: QEMU's name of the CPU; its features decide which kernels a library chooses.

    Returns:
        The program's standard output, and the counts.

    Raises:
        UserError: QEMU refuses the plugin.
        GuestError: The program failed.
    """
    library = str(build_plugin(plugin)).replace(",", ",,")
    listing = folder / "counts.txt"
    listing.unlink(missing_ok=True)
    command = [need("setarch"), "-R", qemu.program, "-cpu", cpu, "-seed", "1"]
    if root is not None:
        command += ["-L", str(root)]
    command += ["-plugin", f"{library},out={listing.name}", "-0", name or str(program)]
    done = subprocess.run(
        [*command, str(program), *arguments],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=folder,
        env=dict(environment or {}),
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        message = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        if "requires API version" in message:
            raise UserError(
                f"QEMU {qemu.version} lacks version 1 of the plugin interface, which Debian 12's "
                "qemu-user 7.2 has; put that one first on PATH"
            )
        raise GuestError(message, MODEL_FAILED)
    return done.stdout, read_listing(listing, plugin.counts)

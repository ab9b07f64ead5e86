"""Builds the image of Dockerfile.arm64 without Docker.

`python -m ghostdepth_export.ship.image FILE` writes it.

buildah does it, on a base of Debian bullseye for arm64 that is unpacked here. RUN steps are
emulated in a user namespace, so that the machine's own binfmt handlers are left alone; giving that
namespace all user ids takes root.
"""

from __future__ import annotations

import ast
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

from bench_depth import __version__
from bench_depth.core.errors import UserError, exit_code
from bench_depth.core.files import atomic_path
from bench_depth.core.screen import say
from bench_depth.core.temporary import fresh_folder
from ghostdepth_export.host.cache import cache_folder
from ghostdepth_export.host.checkout import SOURCE
from ghostdepth_export.host.programs import need, run
from ghostdepth_export.pi4.emulator import debian

TAG = f"bench-depth:{__version__}"
_SUITE = "bullseye"
_PACKAGES = (
    "coreutils",
    "dash",
    "grep",
    "libatomic1",
    "libgomp1",
    "libstdc++6",
    "python3",
    "python3-pip",
    "python3-venv",
)
_BASE = "localhost/base"
_IN_IMAGE_PIP = "/etc/pip.conf"
_IN_IMAGE_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# What of this machine's pip settings makes sense inside.
_PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
_ALL_IDS = "0 0 4294967295"


def build_image(
    archive: Path, source: Path = SOURCE, progress: Callable[[str], None] = lambda line: None
) -> None:
    """Builds the image and writes it as an archive for `docker load` and `podman load`.

    pip inside the build uses this machine's index, proxy and certificates: they are mounted for the
    RUN steps and stay out of the image.

    Args:
        archive: A .tar file.
        source: The checkout, which is the build's context.
        progress: Takes one line whenever something slow begins.

    Raises:
        UserError: This is not root, a program is missing, Debian's mirror or the package index
            cannot be reached, or the disk is full.
    """
    if os.geteuid() != 0:
        raise UserError("an image is built by root; use sudo, or docker buildx (Dockerfile.arm64)")
    need("buildah")
    qemu = need("qemu-aarch64-static")
    cache_folder().mkdir(parents=True, exist_ok=True)
    with fresh_folder("image-", cache_folder()) as folder:
        buildah = ["buildah", "--storage-driver", "vfs"]
        buildah += ["--root", str(folder / "storage"), "--runroot", str(folder / "run")]
        progress(f"unpacking Debian {_SUITE} for arm64 as the base")
        _make_base(buildah, folder / "base")
        progress("building the image, emulated")
        command = [*buildah, "build", "--quiet", "--isolation", "chroot", "--arch", "arm64"]
        command += ["--file", str(source / "Dockerfile.arm64"), "--build-arg", f"BASE={_BASE}"]
        command += [*_pip_volumes(folder), "--tag", TAG, str(source)]
        _run_emulated(command, qemu)
        progress(f"writing {archive}")
        with atomic_path(archive) as partial:
            run([*buildah, "push", "--quiet", TAG, f"docker-archive:{partial}:{TAG}"], "buildah")


def _make_base(buildah: Sequence[str], root: Path) -> None:
    debian.unpack(_SUITE, _PACKAGES, root)
    # Containers get a /dev of their own, and a user namespace may not make devices.
    shutil.rmtree(root / "dev")
    (root / "dev").mkdir()
    made = run([*buildah, "from", "--arch", "arm64", "scratch"], "buildah cannot start a base")
    container = made.stdout.strip()
    run([*buildah, "copy", "--quiet", container, str(root), "/"], "buildah cannot copy the base")
    run([*buildah, "commit", "--quiet", "--rm", container, _BASE], "buildah cannot keep the base")


def _pip_volumes(folder: Path) -> list[str]:
    """Options of `buildah build` that let pip in RUN steps reach what pip here reaches."""
    listed = run([sys.executable, "-m", "pip", "config", "list"], "cannot read pip's settings")
    settings: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    lines = ["[global]"]
    for key in _PIP_KEYS:
        if key in settings:
            lines += [f"{key} =", *(f"    {value}" for value in settings[key].split())]
    config = folder / "pip.conf"
    volumes = {_IN_IMAGE_PIP: str(config)}
    certificates = settings.get("cert") or ssl.get_default_verify_paths().cafile
    if certificates is not None:
        lines.append(f"cert = {_IN_IMAGE_CERTIFICATES}")
        volumes[_IN_IMAGE_CERTIFICATES] = certificates
    config.write_text("\n".join(lines) + "\n")
    return [part for place, file in volumes.items() for part in ("--volume", f"{file}:{place}:ro")]


def _run_emulated(command: Sequence[str], qemu: str) -> None:
    """Runs a command as root in namespaces of its own, in which arm64 programs are emulated."""
    script = str(resources.files(__package__) / "emulated.sh")
    process = subprocess.Popen(
        [need("unshare"), "--user", "--mount", "sh", script, qemu, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        output = process.stdout.readline()
        if output == "ready\n":
            for ids in ("uid_map", "gid_map"):
                Path(f"/proc/{process.pid}/{ids}").write_text(_ALL_IDS)
            output, _ = process.communicate("go\n")
    if process.returncode:
        lines = [line for line in output.splitlines() if line.strip()] or ["no output"]
        # buildah's last line says which step failed, pip's says why.
        reasons = [line for line in lines if line.startswith("ERROR: ")] or lines
        raise UserError(f"cannot build the image: {reasons[-1]}")


def _main() -> int:
    build_image(Path(sys.argv[1]), progress=lambda line: say(line, error=True))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("ghostdepth", _main))

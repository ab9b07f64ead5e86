"""Programs of the host that are called, and how to get them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence

from bench_depth.core.errors import UserError

# Debian's (and Ubuntu's) package of each program.
PACKAGES = {
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    "mmdebstrap": "mmdebstrap debian-archive-keyring",
    "qemu-aarch64-static": "qemu-user-static",
    "qemu-aarch64": "qemu-user",
    "setarch": "util-linux",
    "sftp": "openssh-client",
    "ssh": "openssh-client",
    "unshare": "util-linux",
}


def need(program: str) -> str:
    """The path of a program.

    Raises:
        UserError: It is not installed; the line names its package.
    """
    found = shutil.which(program)
    if found is None:
        package = PACKAGES.get(program, program)
        raise UserError(f"{program} is not installed; on Debian or Ubuntu: apt install {package}")
    return found


def run(
    command: Sequence[str], task: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a program of the host to its end.

    Args:
        command: The program and its arguments.
        task: What it does, for the error line, like `cannot unpack Debian`.
        environment: Instead of this process's.

    Raises:
        UserError: It failed; the line ends with the last thing the program said.
    """
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise UserError(f"{task}: {said[-1] if said else f'exit code {done.returncode}'}")
    return done

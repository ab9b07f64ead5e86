"""Running programs of the host, with the Debian package that has each."""

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
        task: Beginning of the error line, like `cannot unpack Debian`.
        environment: Environment variables; those of this process where None.

    Raises:
        UserError: It failed; the line ends with the last line that the program printed.
    """
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, errors="replace", env=environment
    )
    if done.returncode:
        output = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise UserError(f"{task}: {output[-1] if output else f'exit code {done.returncode}'}")
    return done

"""Unpacks a Debian root for arm64 on a machine of any kind; nothing of it is run."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from ghostdepth_export.host.programs import need, run

SOURCES = Path("/etc/apt")


def unpack(suite: str, packages: tuple[str, ...], root: Path) -> None:
    """Unpacks packages and what they depend on.

    Signatures are checked by apt against the host's Debian keyring. No maintainer script runs, so
    that neither emulation nor root is needed.

    Args:
        suite: Debian's name of the release, like `bullseye`.
        packages: Names of the packages.
        root: Folder to make; the parent folder must exist.

    Raises:
        UserError: mmdebstrap is missing or fails.
    """
    mode = "root" if os.geteuid() == 0 else "chrootless"
    command = [need("mmdebstrap"), "--quiet", f"--mode={mode}", "--variant=extract"]
    command += ["--arch=arm64", f"--include={','.join(packages)}", suite, str(root)]
    mirror = local_mirror(SOURCES)
    if mirror is not None:
        # The main suite alone: not every mirror has an old release's security updates.
        command.append(f"deb {mirror} {suite} main")
    run(command, f"cannot unpack Debian {suite} (its mirror must be reachable)")


def local_mirror(sources: Path) -> str | None:
    """The Debian mirror that this machine itself uses.

    Args:
        sources: apt's folder of settings.

    Returns:
        Address of the mirror; None where the host does not run Debian, so that mmdebstrap chooses.
    """
    try:
        system = platform.freedesktop_os_release()["ID"]
    except (OSError, KeyError):
        return None
    if system != "debian":
        return None
    for file in [*sorted(sources.glob("sources.list.d/*.sources")), sources / "sources.list"]:
        if file.is_file():
            text = file.read_text(errors="replace")
            found = re.search(r"^(?:URIs:|deb(?:\s+\[.*?\])?)\s*(\S+/debian/?)(?=\s|$)", text, re.M)
            if found:
                return found.group(1)
    return None

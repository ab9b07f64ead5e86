"""Copies a bundle's files to the Pi; what an interrupted copy left there is continued."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from bench_depth.core.errors import UserError
from ghostdepth_export.host.programs import need
from ghostdepth_export.ship.deploy.copy_plan import CopyPlan
from ghostdepth_export.ship.deploy.ssh.connection import PI, Link
from ghostdepth_export.ship.deploy.ssh.errors import RemoteError

Progress = Callable[[float], None]


def copy(link: Link, bundle: Path, bundle_id: str, plan: CopyPlan, progress: Progress) -> None:
    """Sends the files of a plan, by rsync where both sides have it, else by sftp.

    Args:
        link: Connection to the Pi; `prepare` has been run there.
        bundle: Folder of the bundle.
        bundle_id: Id in the manifest of the bundle.
        plan: The files to send.
        progress: Called with the fraction of the plan that has arrived, 0..1.

    Raises:
        LinkLostError: The connection broke off; what has arrived stays there.
        UserError: The Pi's disk is full, or the program failed.
    """
    if not plan.send:
        return
    target = f"{link.facts.prefix}/incoming/{bundle_id}"
    rsync = link.facts.rsync and shutil.which("rsync")
    try:
        if rsync:
            _rsync(link, rsync, bundle, target, plan, progress)
        else:
            _sftp(link, bundle, target, plan, progress)
    except RemoteError as error:
        # sftp reports a full disk as `Failure`.
        if any("No space left" in line or line.endswith(": Failure") for line in error.output):
            raise UserError(
                f"the disk is full at {link.facts.prefix}; make room there ({error})"
            ) from error
        raise


def _rsync(
    link: Link, rsync: str, bundle: Path, target: str, plan: CopyPlan, progress: Progress
) -> None:
    # In place: what a killed rsync has written so far is found under its name the next time. The
    # plan has compared checksums, rsync's comparison of times and sizes is left out.
    command = [rsync, "--inplace", "--ignore-times", "--perms", "--timeout=60", "--protect-args"]
    command += ["--info=progress2", "--no-inc-recursive", "--from0", "--files-from=-"]
    command += ["--rsh=./ssh", "--", f"{bundle.absolute()}/", f"{PI}:{target}/"]

    def line(text: str) -> None:
        percent = re.search(r"\s(\d+)%", text)
        if percent:
            progress(int(percent.group(1)) / 100)

    link.use(command, "rsync", b"\0".join(name.encode() for name in plan.send), line)


def _sftp(link: Link, bundle: Path, target: str, plan: CopyPlan, progress: Progress) -> None:
    done = 0

    def line(text: str) -> None:
        nonlocal done
        if re.match(r"sftp> (re)?put ", text):
            progress(done / len(plan.send))
            done += 1

    command = [need("sftp"), "-S", "./ssh", "-b", "-", PI]
    link.use(command, "sftp", sftp_batch(bundle.absolute(), target, plan).encode(), line)


def sftp_batch(bundle: Path, target: str, plan: CopyPlan) -> str:
    """The commands for sftp.

    Args:
        bundle: Folder here.
        target: Absolute folder on the Pi.
        plan: The files to send.
    """
    lines = [f"lcd {_quote(str(bundle))}", f"cd {_quote(target)}"]
    for name in plan.send:
        verb = "reput" if name in plan.resume else "put"
        lines.append(f"{verb} -p {_quote(name)} {_quote(name)}")
    return "".join(f"{line}\n" for line in lines)


def _quote(text: str) -> str:
    """One word for sftp: within quotes it takes the characters of patterns as they are."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

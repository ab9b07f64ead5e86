"""The machines that a user names on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_depth.core.errors import UserError
from ghostdepth_export.host.programs import need

# ssh puts these into commands of its own (ProxyCommand, Match exec): nothing that a shell reads.
_DESTINATION = re.compile(r"(?:[A-Za-z0-9_][\w.+-]*@)?[A-Za-z0-9_:][\w.:%-]*", re.ASCII)


def check_hosts(hosts: Sequence[str]) -> None:
    """Refuses what is no destination for ssh.

    Args:
        hosts: Like `pi@raspberrypi.local`; a name of ssh's settings or an address will do.

    Raises:
        UserError: A name is empty, begins with `-`, holds spaces or other characters that no host
            name has, or is there twice.
    """
    for host in hosts:
        if not _DESTINATION.fullmatch(host):
            raise UserError(f"{host!r} is not a host; write it like pi@raspberrypi.local")
    twice = sorted({host for host in hosts if hosts.count(host) > 1})
    if twice:
        raise UserError(f"{twice[0]} is named twice; name each host once")


@dataclass(frozen=True)
class SshSettings:
    """How hosts are reached; None leaves it to ssh's own settings."""

    port: int | None = None
    identity: Path | None = None
    config: Path | None = None

    def options(self) -> list[str]:
        """The options of `ssh`."""
        options = [] if self.port is None else ["-p", str(self.port)]
        if self.config is not None:
            options += ["-F", str(self.config.absolute())]
        if self.identity is not None:
            options += ["-i", str(self.identity.absolute()), "-o", "IdentitiesOnly=yes"]
        return options

    def check(self) -> None:
        """Refuses what is known to fail before any host is asked.

        Raises:
            UserError: A file is missing, or there is no ssh here.
        """
        need("ssh")
        for name, path in (("--identity", self.identity), ("--ssh-config", self.config)):
            if path is not None and not path.is_file():
                raise UserError(f"{name} {path} is not a file")

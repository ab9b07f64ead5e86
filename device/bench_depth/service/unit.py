"""The text of the systemd unit, quoted as systemd.syntax(7) has it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bench_depth.core.errors import UserError

# A camera that was unplugged may be back later: it is tried for ever, which `StartLimit` would end.
# Memory is limited so that a leak ends in a restart and not in a board without an answer.
_UNIT = """\
[Unit]
Description=bench-depth live: depth of a camera
{after}StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command}
EnvironmentFile={secrets}
WorkingDirectory=/
Restart=on-failure
RestartSec=10
SuccessExitStatus=130
TimeoutStopSec=15
MemoryMax=75%
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
{more}
[Install]
WantedBy={target}
"""
# A user's manager of older systems cannot give up capabilities, and starts no unit that does.
_USER = "ProtectHome=read-only\n"
_SYSTEM = """\
DynamicUser=yes
{groups}ProtectHome=tmpfs
CapabilityBoundingSet=
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
"""


def unit_text(
    command: Sequence[str], secrets: Path, reads: Sequence[Path], system: bool, groups: str = ""
) -> str:
    """The unit that runs a command, restarted on failure and with few rights.

    Args:
        command: The program, an absolute path, and its arguments.
        secrets: File of the environment variables that nobody else may read.
        reads: Files and folders that the service must see although they lie in a place that is
            hidden from it: a home of another user, or a folder for temporary files.
        system: Whether it is a unit of the system, with a user of its own, or one of a user.
        groups: Groups of that user, separated by spaces.

    Raises:
        UserError: A path or an argument cannot be written into a unit.
    """
    # The colon keeps `$` what it is.
    program = quote(f":{_plain(Path(command[0]))}")
    more = "".join(f"BindReadOnlyPaths={quote(_plain(path))}\n" for path in reads)
    if system:
        own = f"SupplementaryGroups={groups}\n" if groups else ""
        more = _SYSTEM.format(groups=own) + more
    else:
        more = _USER + more
    return _UNIT.format(
        after="Wants=network-online.target\nAfter=network-online.target\n" if system else "",
        command=" ".join([program, *map(quote, command[1:])]),
        secrets=_plain(secrets).replace("%", "%%"),
        more=more,
        target="multi-user.target" if system else "default.target",
    )


def quote(word: str) -> str:
    """Quotes a word so that systemd reads it back as it is, `%` and escapes included.

    `$` stays a reference to a variable, unless the command of the line begins with a colon.

    Raises:
        UserError: The word is not UTF-8, which a unit must be.
    """
    try:
        word.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{word!r} is not UTF-8, as a systemd unit must be; rename it") from error
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    # A line ends at a control character, and systemd trims some.
    escaped = re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", escaped)
    return f'"{escaped}"'


def environment_line(name: str, value: str) -> str:
    """A line of an environment file, as systemd.exec(5) has it; the value in double quotes.

    Raises:
        UserError: The value has a control character or is not UTF-8.
    """
    if not value.isprintable():
        raise UserError(f"{name} has a control character; a service cannot be given it")
    escaped = re.sub(r'(["\\$`])', r"\\\1", value)
    return f'{name}="{escaped}"\n'


def _plain(path: Path) -> str:
    """A path of letters that every setting takes."""
    text = str(path)
    if not text.isprintable() or re.search(r"[\"'\\]|\s$", text):
        raise UserError(
            f"{path} has a quote, backslash or control character, which systemd takes in no path; "
            "rename it"
        )
    return text

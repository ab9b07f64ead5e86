"""Errors of ssh, each as one line with its remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench_depth.core.errors import UserError


class LinkLostError(UserError):
    """The connection ended in the middle; trying again may help."""


class UnreachableError(UserError):
    """Nothing answers; trying again may help where something did before."""


# The first pattern found in the error output of ssh decides.
_LINES: tuple[tuple[str, type[UserError], str], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        UserError,
        "its host key is not the one that is known ({offending}); if the Pi was set up anew, "
        "`ssh-keygen -R {name}` forgets the old key and `ssh {host}` shows and adds the new one",
    ),
    (
        r"host key is known for|Host key verification failed",
        UserError,
        "its host key is not known here; compare and add it by `ssh {host}`",
    ),
    (
        r"UNPROTECTED PRIVATE KEY FILE|Bad owner or permissions",
        UserError,
        "ssh refuses a file of yours that others may read or write: {last}",
    ),
    (
        r"Permission denied|Too many authentication failures",
        UserError,
        "the login was refused; `ssh-copy-id {host}` puts your key there (passwords are not asked "
        "for), --identity names another key",
    ),
    (
        r"Could not resolve hostname",
        UnreachableError,
        "no such host; check its name, or use its address",
    ),
    (
        r"Connection refused",
        UnreachableError,
        "nothing answers on its ssh port; is ssh switched on there, and is --port right?",
    ),
    (
        r"[Cc]onnect.* timed out|No route to host|Network is unreachable|Host is down",
        UnreachableError,
        "it cannot be reached ({last}); is it on, and in this network?",
    ),
    (
        r"[Cc]onnection (closed|reset)|Broken pipe|[Tt]imeout",
        LinkLostError,
        "the connection was lost ({last})",
    ),
)


# The exit code of ssh for errors of its own.
_SSH_ITSELF = 255


def explain(host: str, output: Sequence[str], *, connected: bool) -> UserError:
    """The error for a connection that ended.

    Args:
        host: As the user named it.
        output: Lines that ssh wrote to standard error.
        connected: Whether the connection had been there before.
    """
    output = [line.strip() for line in output if line.strip()]
    text = "\n".join(output)
    last = output[-1] if output else "ssh gives no reason"
    offending = re.search(r"Offending .*? in (\S+:\d+)", text)
    names = {
        "host": host,
        "name": host.rpartition("@")[2],
        "last": last,
        "offending": offending.group(1) if offending else "see your known_hosts",
    }
    if connected:
        return LinkLostError("the connection was lost" + (f" ({last})" if output else ""))
    for pattern, kind, line in _LINES:
        if re.search(pattern, text):
            return kind(line.format(**names))
    return UserError(f"ssh failed: {last}")


class RemoteError(UserError):
    """Something that ran on the Pi, or that copied to it, failed.

    Args:
        task: The task, in a word.
        code: Exit code.
        output: The last lines that it printed.
    """

    def __init__(self, task: str, code: int, output: Sequence[str]) -> None:
        # rsync's last line only repeats its exit code in words.
        output = [text for text in output if text.strip() and not text.startswith("rsync error:")]
        ended = f"ended by signal {code - 128}" if code > 128 else f"exit code {code}"
        if code == _SSH_ITSELF:
            ended = "the connection broke off; start it again"
        last = output[-1].strip() if output and code <= 128 else ended
        super().__init__(last if re.match(r"[\w-]+: ", last) else f"{task}: {last}")
        self.code = code
        self.output = output

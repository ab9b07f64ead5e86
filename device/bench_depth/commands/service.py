"""The command line of `bench-depth service`."""

from __future__ import annotations

import argparse
import getpass
import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench_depth.commands.arguments import HelpFormatter, Parser
from bench_depth.core.errors import UserError, exit_code
from bench_depth.core.screen import say, show

if TYPE_CHECKING:
    from bench_depth.service.manager import Service

_EPILOG = """\
`install` takes the options of `bench-depth live`, after -- where they could be meant for install:

  bench-depth service install --host 0.0.0.0
  bench-depth service install --system -- --source /dev/video0

Without --system the service is the user's: it runs while they are logged in, from the start of the
board after `loginctl enable-linger`. With --system it starts with the board and has a user of its
own. It is started again when it fails. The page's token stays the same; it lies in a file that only
its owner can read. BENCH_DEPTH_TOKEN in the environment of `install` sets it.

exit codes: 0 success, 2 invalid options or systemd refuses, 3 the service does not run
"""
# Exit code of `systemctl status` for a service that does not run.
_FAILS = 3


def main(arguments: Sequence[str]) -> int:
    """Runs the command.

    Args:
        arguments: Command-line arguments after `service`.

    Returns:
        The exit code; argparse itself exits with 0 or 2.
    """
    words = list(arguments)
    # What follows -- is for `live`, whatever it looks like.
    end = words.index("--") if "--" in words else len(words)
    parser = _parser()
    options, live = parser.parse_known_args(words[:end])
    live += words[end + 1 :]
    if live and options.action != "install":
        parser.error(f"{options.action} takes no {live[0]}")
    return exit_code("bench-depth", lambda: _run(options, live))


def _run(options: argparse.Namespace, live: Sequence[str]) -> int:
    from bench_depth.service.manager import Service

    service = Service(options.system)
    if options.action == "install":
        return _install(service, live, options.print)
    if options.action == "logs":
        return service.logs(options.follow)
    if options.action == "status":
        code = service.status()
        if page := service.page():
            say(f"open {page}")
        return code
    service.remove()
    say(f"removed {service.unit}")
    return 0


def _install(service: Service, words: Sequence[str], print_only: bool) -> int:
    from bench_depth.commands import live
    from bench_depth.service.places import command_of, hidden_files
    from bench_depth.service.unit import unit_text

    options = live.parse(words)
    if options.record is not None:
        raise UserError(
            "a service starts again and a recording is never written over; leave out --record"
        )
    if options.port == 0:
        raise UserError("--port 0 is another port at every start; give one, or leave it out")
    text = unit_text(
        command_of(words, options),
        service.secrets,
        hidden_files(options, service.system),
        service.system,
        "video" if _has_group("video") else "",
    )
    if print_only:
        show(text)
        return 0
    host = options.host or live.LOOPBACK
    url = "" if options.no_server else f"http://{_shown(host)}:{options.port or live.PORT}/"
    page = service.install(text, url, not _is_loopback(host))
    say(f"installed and started {service.unit}")
    if page:
        say(f"open {page}")
    if not service.system and not Path("/var/lib/systemd/linger", getpass.getuser()).exists():
        say("it ends when you log out; to have it run from the start: loginctl enable-linger")
    logs = f"bench-depth service logs{' --system' * service.system}"
    reason = service.failure()
    if reason is not None:
        raise UserError(
            f"the service is installed and fails: {reason or 'its log cannot be read here'}; it is "
            f"tried again every 10 s, see {logs}",
            _FAILS,
        )
    say(f"its log: {logs}")
    return 0


def _shown(host: str) -> str:
    """The host of the page's address; of a server on all addresses its name in the network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return f"{socket.gethostname().partition('.')[0]}.local"
    return f"[{host}]" if address.version == 6 else host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _has_group(name: str) -> bool:
    import grp

    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _parser() -> Parser:
    parser = Parser(
        prog="bench-depth service",
        description="Runs `bench-depth live` as a systemd service.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in {
        "install": "write the unit, start it now and whenever systemd starts",
        "status": "whether it runs, and the address of its page",
        "logs": "what it printed last",
        "remove": "end it and delete its files",
    }.items():
        action = actions.add_parser(
            name,
            help=text,
            description=f"{text.capitalize()}.",
            epilog=_EPILOG if name == "install" else None,
            formatter_class=HelpFormatter,
            allow_abbrev=False,
        )
        action.add_argument(
            "--system", action="store_true", help="the service of the system, not of this user"
        )
        if name == "install":
            action.add_argument("--print", action="store_true", help="print the unit, do no more")
        if name == "logs":
            action.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    return parser

"""An ssh server whose logins are in a Pi, and a proxy that cuts connections."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

SSHD = "/usr/sbin/sshd"
_SETTINGS = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
ForceCommand {folder}/login
Subsystem sftp /usr/lib/openssh/sftp-server
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 50
"""
_CLIENT = """\
Host {name}
    HostName 127.0.0.1
    User {user}
    Port {port}
    IdentityFile {folder}/user_key
    IdentitiesOnly yes
    HostKeyAlias emulated-pi
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile none
"""


class SshServer:
    """sshd as an ordinary process on loopback, with keys of its own.

    Args:
        folder: For its keys, settings and log; the path must be free of spaces.
        login: Runs every command of every login, which becomes its last argument.
    """

    def __init__(self, folder: Path, login: Sequence[str]) -> None:
        self.folder, self.port = folder, free_port()
        for name in ("host_key", "user_key"):
            make_key(folder / name)
        self.trust(folder / "host_key.pub")
        script = folder / "login"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(login)} "$SSH_ORIGINAL_COMMAND"\n')
        script.chmod(0o755)
        settings = folder / "sshd_config"
        settings.write_text(_SETTINGS.format(port=self.port, folder=folder))
        if os.geteuid() == 0:
            # sshd as root wants it for the part of it that gives up its rights.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        log = (folder / "sshd.log").open("wb")
        self._process = subprocess.Popen([SSHD, "-D", "-e", "-f", settings], stderr=log)
        log.close()
        wait_for_port(self.port)

    def trust(self, key: Path) -> None:
        """Makes clients expect this host key."""
        (self.folder / "known_hosts").write_text(f"emulated-pi {key.read_text()}")

    def client(self, port: int | None = None, name: str = "pi4") -> Path:
        """Settings for ssh in which `name` is this server, or a proxy to it."""
        path = self.folder / f"{name}.ssh_config"
        user = getpass.getuser()
        path.write_text(
            _CLIENT.format(name=name, user=user, port=port or self.port, folder=self.folder)
        )
        return path

    def kill_sessions(self) -> None:
        """kill -9 to sshd's side of every connection; what they started is left to itself."""
        tasks = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for pid in tasks.read_text().split():
            for child in [*Path(f"/proc/{pid}/task/{pid}/children").read_text().split(), pid]:
                if Path(f"/proc/{child}/comm").read_text() == "sshd\n":
                    os.kill(int(child), signal.SIGKILL)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


class Proxy:
    """Forwards connections to a port of loopback, and breaks them off.

    Args:
        port: To forward to.
        cut_after: Bytes from the client after which a connection is cut; None never by itself.
        cuts: How many connections are cut so.
        pause: Seconds to wait after each piece of at most 64 KiB.
    """

    def __init__(
        self, port: int, cut_after: int | None = None, cuts: int = 1, pause: float = 0
    ) -> None:
        self._target, self._cut_after, self._cuts, self._pause = port, cut_after, cuts, pause
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks all connections off now."""
        sockets, self._open = self._open, []
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        """Refuses new connections too."""
        # Closing alone would leave the thread that accepts at it.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                for pair in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                time.sleep(self._pause)
                passed += len(data)
                if counted and self._cuts and self._cut_after and passed >= self._cut_after:
                    self._cuts -= 1
                    self.cut()
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxy(
    port: int, cut_after: int | None = None, cuts: int = 1, pause: float = 0
) -> Iterator[Proxy]:
    made = Proxy(port, cut_after, cuts, pause)
    try:
        yield made
    finally:
        made.close()


def make_key(path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path]
    subprocess.run(command, check=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def wait_for_port(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}")

"""One ssh connection to one Pi, over which everything runs; it ends when this process ends."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import IO

from bench_depth.core.errors import UserError
from bench_depth.core.temporary import fresh_folder
from ghostdepth_export.host.programs import need
from ghostdepth_export.ship.deploy.ssh.answers import (
    FACTS,
    LONG,
    SHORT,
    answer,
    each_line,
    lines,
)
from ghostdepth_export.ship.deploy.ssh.errors import RemoteError, explain
from ghostdepth_export.ship.deploy.ssh.hosts import SshSettings
from ghostdepth_export.ship.deploy.ssh.processes import Process, Processes, blocks, write
from ghostdepth_export.ship.deploy.ssh.system import SystemFacts, parse_system_facts

TakeLine = Callable[[str], object]

# Any name will do: what uses the open connection takes the host from there.
PI = "pi"
_REMOTE = (resources.files(__package__) / "remote.sh").read_bytes()
_HELLO = "ghostdepth"
_BUSY = 75
_SSH_FAILED = (255, -9, -15)
_END_SECONDS = 3
_GIVEN_UP_SECONDS = 15
_COMMON = ("-T", "-o", "BatchMode=yes", "-o", "ClearAllForwardings=yes", "-o", "ForwardAgent=no")
_MASTER = (
    *("-o", "ControlMaster=yes", "-o", "ControlPersist=no", "-o", "RemoteCommand=none"),
    *("-o", "StrictHostKeyChecking=yes", "-o", "PermitLocalCommand=no", "-o", "LogLevel=INFO"),
    *("-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"),
)
# Where the connection is gone, ssh would open another one by itself: it must not get through.
_SLAVE = ("-F", "none", "-o", "ControlMaster=no", "-o", "ProxyCommand=false")


class Link:
    """An open connection, with the Pi's lock held; to be closed.

    Args:
        host: Destination for ssh.
        settings: Settings of the ssh connection.
        prefix: Folder on the Pi; a relative one starts at its home folder.
        processes: Runs ssh, rsync and sftp.
        wait: Seconds to wait for another deployment to end; None for a look without a lock, which
            changes nothing on the Pi.

    Attributes:
        facts: System of the Pi.

    Raises:
        LinkLostError: The connection broke off.
        UserError: It could not be made, or the Pi refuses; the line says why.
    """

    def __init__(
        self,
        host: str,
        settings: SshSettings,
        prefix: str,
        processes: Processes,
        wait: int | None,
    ) -> None:
        self._host, self._prefix, self._processes = host, prefix, processes
        self._errors: deque[str] = deque(maxlen=50)
        self._connected = False
        self._stack = contextlib.ExitStack()
        try:
            self._folder = self._stack.enter_context(fresh_folder("ghostdepth-ssh-"))
            # A socket's whole path may have some 100 bytes; its name alone always fits.
            common = ["-S", "connection", *_COMMON]
            self._write_program([need("ssh"), *_SLAVE, *common])
            call = self._call("hold", "-" if wait is None else str(wait))
            command = [need("ssh"), *_MASTER, *common, *settings.options(), "--", host, call]
            running = processes.running(command, self._folder)
            self._master: Process = self._stack.enter_context(running)
            self._listener = threading.Thread(target=self._listen, daemon=True)
            self._listener.start()
            self.facts = self._read_facts()
            processes.hold(self._master)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the connection; the Pi gives its lock back."""
        self._stack.close()

    def ask(self, verb: str, *arguments: str, data: bytes = b"") -> str:
        """Runs a verb of remote.sh that is soon done.

        Args:
            verb: See remote.sh.
            arguments: Those after the prefix.
            data: Standard input of the command.

        Returns:
            What it prints.

        Raises:
            LinkLostError: The connection broke off.
            RemoteError: The verb failed.
        """
        command = ["./ssh", PI, self._call(verb, *arguments)]
        with (
            self._processes.running(command, self._folder) as process,
            _feeding(process, _REMOTE + data),
            _tail(process.stderr) as errors,
        ):
            out = b"".join(answer(process, SHORT))
        self._check(process, verb, errors)
        return out.decode(errors="surrogateescape").partition(f"{_HELLO}\n")[2]

    def watch(self, verb: str, *arguments: str, line: TakeLine) -> None:
        """Runs a verb that takes its time; the Pi ends it when this process goes away.

        Args:
            verb: See remote.sh.
            arguments: Those after the prefix.
            line: Takes each line that it prints.

        Raises:
            LinkLostError: The connection broke off.
            RemoteError: The verb failed.
        """

        def take(text: str) -> None:
            self._processes.check()
            if text != _HELLO:
                line(text)

        command = ["./ssh", PI, self._call(verb, *arguments)]
        with self._processes.running(command, self._folder, subprocess.STDOUT) as process:
            self._processes.hold(process)
            write(process.stdin, _REMOTE)
            kept = each_line(answer(process, LONG), take)
        self._check(process, verb, [text for text in kept if text != _HELLO])

    def use(self, command: Sequence[str], task: str, data: bytes, line: TakeLine) -> None:
        """Runs a program of this machine that reaches the Pi by `./ssh` in its working folder.

        Args:
            command: The program and its arguments; it calls the host `PI`.
            task: Name of the task.
            data: Standard input of the command.
            line: Takes each line that it prints, also those that end in a carriage return.

        Raises:
            LinkLostError: The connection broke off.
            RemoteError: The program failed.
        """
        with (
            self._processes.running(command, self._folder, subprocess.STDOUT) as process,
            _feeding(process, data),
        ):
            kept = each_line(answer(process, LONG), line)
        self._check(process, task, kept, by_ssh=False)

    def _write_program(self, command: Sequence[str]) -> None:
        program = self._folder / "ssh"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        program.chmod(0o700)

    def _call(self, verb: str, *arguments: str) -> str:
        """The command line for the Pi: one line of words quoted for any shell."""
        script = f'eval "$(head -c {len(_REMOTE)})"'
        return shlex.join(["sh", "-c", script, "ghostdepth", verb, self._prefix, *arguments])

    def _listen(self) -> None:
        each_line(blocks(self._master.stderr), self._errors.append)

    def _read_facts(self) -> SystemFacts:
        write(self._master.stdin, _REMOTE)
        found: list[str] = []
        for line in lines(answer(self._master, FACTS)):
            if line == "ready":
                break
            found.append(line)
        else:
            if found[:1] == [_HELLO]:
                raise self._why()
            # What such a login prints, as nologin does, is the reason.
            raise self._why("its login runs no command", found)
        if found[:1] != [_HELLO]:
            first = "".join(found[:1]).strip()[:60]
            raise UserError(
                f"its login prints {first!r} where only answers may be; move what "
                "prints in ~/.bashrc behind its test for an interactive shell"
            )
        self._connected = True
        return parse_system_facts(found[1:])

    def _why(self, task: str = "preparing", said: Sequence[str] = ()) -> UserError:
        """Why the connection ended, in the middle of a task; what the Pi `said` may tell it."""
        try:
            code = self._master.wait(timeout=_GIVEN_UP_SECONDS)
        except subprocess.TimeoutExpired:
            self._master.kill()
            code = self._master.wait()
        self._listener.join(timeout=5)
        self._processes.check()
        if code == _BUSY:
            return UserError("another deployment to it is at work; try again when it is done")
        if code in _SSH_FAILED:
            return explain(self._host, self._errors, connected=self._connected)
        return RemoteError(task, code, [*said, *self._errors])

    def _check(
        self, process: Process, task: str, output: Sequence[str], *, by_ssh: bool = True
    ) -> None:
        """Raises the error for a process that failed."""
        self._processes.check()
        if process.returncode == 0:
            return
        # ssh has one exit code of its own; all others are of what ran on the Pi.
        may_be_lost = not by_ssh or process.returncode in _SSH_FAILED
        try:
            # Where the connection is gone, the master ends as well: its error output is the cause.
            self._master.wait(timeout=_END_SECONDS if may_be_lost else 0)
        except subprocess.TimeoutExpired:
            raise RemoteError(task, process.returncode, output) from None
        raise self._why()


@contextlib.contextmanager
def _feeding(process: Process, data: bytes) -> Iterator[None]:
    """Writes the standard input of a process while its output is read."""
    feed = threading.Thread(target=write, args=(process.stdin, data, True), daemon=True)
    feed.start()
    yield
    feed.join()


@contextlib.contextmanager
def _tail(stream: IO[bytes] | None) -> Iterator[list[str]]:
    """Reads a pipe while another one is read; yields a list that then holds its last lines."""
    kept: list[str] = []
    reader = threading.Thread(
        target=lambda: kept.extend(each_line(blocks(stream), lambda _: None)), daemon=True
    )
    reader.start()
    yield kept
    reader.join()

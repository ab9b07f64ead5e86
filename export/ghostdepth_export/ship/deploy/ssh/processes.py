"""Programs of this machine that work for a deployment, so that all can be ended together."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

Process = subprocess.Popen[bytes]

# The Pi ends what it runs for us after 60 seconds without a sign of life; see remote.sh.
_HEARTBEAT_SECONDS = 10.0
_GRACE_SECONDS = 15.0


class Processes:
    """Those of all hosts; threads share it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        # Those that end with their standard input, on the Pi as well; and those to be ended here.
        self._held: set[Process] = set()
        self._others: set[Process] = set()
        self._interrupted = threading.Event()

    def check(self) -> None:
        """Ends the thread that calls it, once `interrupt` was called.

        Raises:
            KeyboardInterrupt: It was.
        """
        if self._interrupted.is_set():
            raise KeyboardInterrupt

    def pause(self, seconds: float) -> None:
        """Waits.

        Raises:
            KeyboardInterrupt: All were interrupted.
        """
        self._interrupted.wait(seconds)
        self.check()

    def interrupt(self) -> None:
        """Ends what runs, here and on the Pis, and lets nothing new begin."""
        with self._guard:
            self._interrupted.set()
            for process in self._held:
                close(process.stdin)
            for process in self._others:
                process.terminate()

    @contextlib.contextmanager
    def running(
        self, command: Sequence[str], folder: Path, stderr: int = subprocess.PIPE
    ) -> Iterator[Process]:
        """Runs a program; when the block ends, its input is closed and its end awaited.

        It gets a session of its own: Ctrl-C must not reach it before the Pi has been notified.

        Args:
            command: The program and its arguments.
            folder: Working folder of the process.
            stderr: As for `subprocess.Popen`.

        Raises:
            KeyboardInterrupt: All were interrupted.
        """
        with self._guard:
            self.check()
            process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=folder,
                start_new_session=True,
            )
            self._others.add(process)
        try:
            yield process
        finally:
            with self._guard:
                self._others.discard(process)
                self._held.discard(process)
                close(process.stdin)
            _await(process)

    def hold(self, process: Process) -> None:
        """Sends signs of life from now on: what it runs on the Pi lives as long as its input.

        Raises:
            KeyboardInterrupt: All were interrupted.
        """
        with self._guard:
            self.check()
            self._others.discard(process)
            self._held.add(process)
        threading.Thread(target=self._beat, args=(process,), daemon=True).start()

    def _beat(self, process: Process) -> None:
        while not self._interrupted.wait(_HEARTBEAT_SECONDS):
            with self._guard:
                if process not in self._held:
                    return
                write(process.stdin, b".")


def blocks(stream: IO[bytes] | None) -> Iterator[bytes]:
    """What a pipe holds, as it comes; without a limit, for pipes that are read beside another."""
    assert stream is not None
    # A process that was ended has its pipes closed while a thread still reads them.
    with contextlib.suppress(ValueError, OSError):
        while block := stream.read(4096):
            yield block


def write(stream: IO[bytes] | None, data: bytes, end: bool = False) -> None:
    """Writes as far as the other side reads: that it has gone is seen elsewhere.

    Args:
        stream: A process's input.
        data: Bytes for its standard input.
        end: Whether nothing more comes.
    """
    assert stream is not None
    # Closed by `interrupt`: ValueError.
    with contextlib.suppress(BrokenPipeError, ValueError):
        view = memoryview(data)
        while view:
            view = view[stream.write(view) :]
    if end:
        close(stream)


def close(stream: IO[bytes] | None) -> None:
    """Closes a pipe, whether or not the other side is still there."""
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.close()


def _await(process: Process) -> None:
    try:
        process.wait(timeout=_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        close(stream)

"""Runs work in a child process, so that a crash inside a runtime is one line and not the end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Optional

from bench_depth.core.errors import MODEL_FAILED, UserError

# Seconds. Loading a model and running it once takes a Pi a few; an emulator perhaps a minute.
HANG = 300.0
_PASSED_ON = (signal.SIGINT, signal.SIGTERM)
OnTask = Callable[[str, Optional[float]], None]
CRASHES: dict[int, str] = {
    signal.SIGSEGV: "crashed (segmentation fault)",
    signal.SIGBUS: "crashed (bus error)",
    signal.SIGABRT: "aborted",
    signal.SIGILL: "crashed (an instruction that this CPU does not have)",
    signal.SIGFPE: "crashed (arithmetic error)",
    signal.SIGKILL: "was killed; probably there is too little memory",
}


def guarded(work: Callable[[OnTask], int]) -> int:
    """Runs `work` in a forked child and gives its exit code.

    Args:
        work: Takes a function to be called with what is done next, for the error line, and with
            the seconds that it may take (None for any). No thread or runtime may have been started
            before.

    Returns:
        The exit code of `work`.

    Raises:
        UserError: The child crashed, or took longer than it may and was ended (exit code 3).
    """
    if not hasattr(os, "fork"):
        return work(lambda doing, limit: None)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _leave(work, writer)
    os.close(writer)
    before = {
        number: signal.signal(number, lambda number, frame: os.kill(child, number))
        for number in _PASSED_ON
    }
    try:
        doing, hung = _follow(reader, child)
        status = os.waitpid(child, 0)[1]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if hung:
        raise UserError(
            f"the runtime hung while it worked on {doing} and was ended; export the file again, or "
            "try another --runtime",
            MODEL_FAILED,
        )
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    number = signal.Signals(os.WTERMSIG(status))
    if number in CRASHES:
        where = f"while it worked on {doing}" if doing else "before a model was loaded"
        raise UserError(
            f"the runtime {CRASHES[number]} {where}; export the file again, or try another "
            "--runtime",
            MODEL_FAILED,
        )
    os.kill(os.getpid(), number)
    return 128 + number


def _leave(work: Callable[[OnTask], int], writer: int) -> None:
    """The child: ends the process, whatever `work` does."""
    # Ctrl-C on a terminal goes to a whole group: here to the parent alone, which passes it on once.
    os.setpgid(0, 0)
    end_with_parent()
    code = 1
    try:
        code = work(lambda doing, limit: _tell(writer, doing, limit))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Not sys.exit: what the parent registered to run at its end is not the child's to run.
        os._exit(code)


def end_with_parent() -> None:
    """Asks Linux to kill this process when its parent is killed; others have no such thing."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _tell(writer: int, doing: str, limit: Optional[float]) -> None:
    line = f"{limit or 0} {doing}".replace("\n", " ")
    os.write(writer, line.encode(errors="replace") + b"\n")


def _follow(reader: int, child: int) -> tuple[str, bool]:
    """Reads until the child has ended or takes too long.

    Returns:
        What it was doing, and whether it took too long (it has been killed then).
    """
    doing, limit, rest = "", 0.0, b""
    with os.fdopen(reader, "rb", buffering=0) as stream:
        while True:
            ready, _, _ = select.select([stream], [], [], limit or None)
            if not ready:
                os.kill(child, signal.SIGKILL)
                return doing, True
            data = stream.read(4096)
            if not data:
                return doing, False
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                seconds, _, doing = lines[-1].decode(errors="replace").partition(" ")
                limit = float(seconds)

"""Runs a function in a child process, so that a crash inside a runtime ends in one error line."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Optional

from bench_depth.core.errors import MODEL_FAILED, UserError

# Time limit of loading a model, and of each run of it, seconds. A Pi needs a few, an emulator
# perhaps sixty.
HANG = 300.0
# Seconds that a child has to end after a signal, and after the first Ctrl-C, on which it writes
# what is done.
GRACE = 5.0
PATIENCE = 60.0
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OnTask = Callable[[str, Optional[float]], None]
CRASHES: dict[int, str] = {
    signal.SIGSEGV: "crashed (segmentation fault)",
    signal.SIGBUS: "crashed (bus error)",
    signal.SIGABRT: "aborted",
    signal.SIGILL: "crashed (an instruction that this CPU does not have)",
    signal.SIGFPE: "crashed (arithmetic error)",
    signal.SIGKILL: "was killed, probably for too little memory,",
}


def guarded(work: Callable[[OnTask], int], grace: Optional[float] = None) -> int:
    """Runs `work` in a forked child. No thread or runtime may have been started before.

    Args:
        work: Called with a function that it must call before each task, with the task's description
            for the error line and its time limit in seconds (None for none). A call with the same
            description costs one system call, so that each run of a model may have a limit.
        grace: Seconds that the child has to end after Ctrl-C, SIGTERM or SIGHUP, whatever library
            it is in, before it is killed; None stands for `PATIENCE` after the first Ctrl-C, and
            for `GRACE` otherwise.

    Returns:
        The exit code that `work` returned.

    Raises:
        UserError: The child crashed, or exceeded a time limit and was killed (exit code 3), or did
            not end in time after signal N and was killed (exit code 128 + N).
    """
    if not hasattr(os, "fork"):
        return work(lambda task, limit: None)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _leave(work, writer)
    os.close(writer)
    stopping = _Stopping(child, grace)
    # A shell starts background jobs with SIGINT ignored; that is kept.
    heard = [number for number in _FORWARDED if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stopping.forward) for number in heard}
    if signal.getsignal(signal.SIGTSTP) != signal.SIG_IGN:
        before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, stopping.suspend)
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, stopping.kill)
    try:
        task = _last_task(reader)
        status = os.waitpid(child, 0)[1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    return _outcome(status, task, stopping)


def _outcome(status: int, task: str, stopping: _Stopping) -> int:
    """The exit code of a child that has ended, or the error that `guarded` documents."""
    if stopping.killed and os.WIFSIGNALED(status):
        where = f" while it worked on {task}" if task else ""
        code = 128 + stopping.heard
        raise UserError(f"interrupted; it did not end{where} and was killed", code)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        raise UserError(
            f"the runtime hung while it worked on {task} and was killed; export the file again, or "
            "try another --runtime",
            MODEL_FAILED,
        )
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    number = signal.Signals(os.WTERMSIG(status))
    if number in CRASHES:
        where = f"while it worked on {task}" if task else "before a model was loaded"
        raise UserError(
            f"the runtime {CRASHES[number]} {where}; export the file again, or try another "
            "--runtime",
            MODEL_FAILED,
        )
    os.kill(os.getpid(), number)
    return 128 + number


class _Stopping:
    """Forwards signals to the child, and kills it when it does not end then."""

    def __init__(self, child: int, grace: Optional[float]) -> None:
        self.killed = False
        self.heard = 0
        self._child = child
        self._grace = grace

    def forward(self, number: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, number)
        patient = self._grace is None and number == signal.SIGINT and not self.heard
        seconds = PATIENCE if patient else GRACE if self._grace is None else self._grace
        self.heard = self.heard or number
        left = signal.getitimer(signal.ITIMER_REAL)[0]
        signal.setitimer(signal.ITIMER_REAL, min(seconds, left or seconds))

    def suspend(self, number: int, frame: object) -> None:
        """Ctrl-Z stops both; `fg` continues both."""
        os.kill(self._child, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.kill(self._child, signal.SIGCONT)

    def kill(self, number: int, frame: object) -> None:
        self.killed = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)


def _leave(work: Callable[[OnTask], int], writer: int) -> None:
    """Runs `work` in the child and ends the process, whatever `work` does."""
    # Ctrl-C on a terminal goes to the whole group. The parent alone gets it and forwards it once.
    os.setpgid(0, 0)
    end_with_parent()
    for number in _FORWARDED:
        # What the parent would do on a signal is not for the child to do.
        if signal.getsignal(number) != signal.SIG_IGN:
            own = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, own)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    code = 1
    try:
        code = work(_Tasks(writer))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Not sys.exit, which would run the parent's exit handlers.
        os._exit(code)


def end_with_parent() -> None:
    """Has Linux kill this process when its parent is killed; does nothing on other systems."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class _Tasks:
    """Tells the parent what the child works on, and has the system end the child at a time limit.

    The alarm needs nobody who waits for it: its default action kills whatever library is at work.
    """

    def __init__(self, writer: int) -> None:
        self._writer = writer
        self._told = ""

    def __call__(self, task: str, limit: Optional[float]) -> None:
        if task != self._told:
            self._told = task
            line = task.replace("\n", " ").encode(errors="replace")
            os.write(self._writer, line + b"\n")
        signal.setitimer(signal.ITIMER_REAL, limit or 0)


def _last_task(reader: int) -> str:
    """The last task that the child reports until it ends; empty for none."""
    task, rest = b"", b""
    with os.fdopen(reader, "rb", buffering=0) as stream:
        while data := stream.read(4096):
            *lines, rest = (rest + data).split(b"\n")
            task = lines[-1] if lines else task
    return task.decode(errors="replace")

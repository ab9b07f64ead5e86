"""Commands in forked processes, and what counts as a fault.

The heavy packages are imported once, in the process that forks; no runtime or thread may have been
started there.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench_depth.core.files import PARTIAL

LIMIT_S = 60.0
# Peak memory of a command and of its guarded child, bytes.
LIMIT_MEMORY = 4 << 30
PROGRAMS = ("bench-depth:", "ghostdepth:")
KILLED = -9


@dataclass(frozen=True)
class Outcome:
    """The result of one run.

    Attributes:
        code: Exit code, negative for a signal; None for a run that was killed after its limit.
        text: Output on stdout and stderr.
        peak: Peak resident memory of the largest process, bytes.
        seconds: Wall time.
    """

    code: int | None
    text: str
    peak: int
    seconds: float

    @property
    def fault(self) -> str:
        """What is wrong with the run, followed by its output; empty for a clean one."""
        what = self._fault()
        return f"{what}\n{self.text[-4000:]}" if what else ""

    def _fault(self) -> str:
        errors = sum(
            line.startswith(PROGRAMS) and ": warning: " not in line
            for line in self.text.splitlines()
        )
        wanted = 0 if self.code == 0 else 1
        faults = {
            f"hang: no end after {self.seconds:.0f} s": self.code is None,
            "traceback": "Traceback (most recent call last)" in self.text,
            f"exit code {self.code}": self.code not in (None, 0, 1, 2, 3, 4),
            f"memory: {self.peak / 2**30:.1f} GiB": self.peak > LIMIT_MEMORY,
            "a control character on the screen": bool({"\x1b", "\x07"} & set(self.text)),
            f"exit code {self.code} with {errors} error lines": errors != wanted,
        }
        return next((what for what, found in faults.items() if found), "")


def bench(*words: object) -> Callable[[], int]:
    """`bench-depth` with these arguments, for `run`."""
    from bench_depth.commands import cli

    return lambda: cli.main([str(word) for word in words])


def ghostdepth(*words: object) -> Callable[[], int]:
    """`ghostdepth` with these arguments, for `run`."""
    from ghostdepth.commands import main

    def work() -> int:
        sys.argv = ["ghostdepth", *map(str, words)]
        main()
        return 0

    return work


class Command:
    """A command in a forked process; a context manager, which kills it in the end.

    Args:
        work: Returns the exit code, or raises SystemExit.
    """

    def __init__(self, work: Callable[[], int]) -> None:
        self._stream = tempfile.TemporaryFile()  # noqa: SIM115
        self._begin = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            _child(work, self._stream.fileno())
        self._ended = False

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        self._stream.close()

    def text(self) -> str:
        """What it has written by now."""
        return os.pread(self._stream.fileno(), 1 << 24, 0).decode(errors="replace")

    def wait(self, limit: float, on_purpose: bool = False) -> Outcome:
        """Waits for the end, and kills it after `limit` seconds: as a hang, or on purpose."""
        ended, status, usage = _wait(self.pid, limit)
        self._ended = True
        code = os.waitstatus_to_exitcode(status) if ended else KILLED if on_purpose else None
        return Outcome(code, self.text(), usage.ru_maxrss * 1024, time.monotonic() - self._begin)


def run(
    work: Callable[[], int], limit: float = LIMIT_S, kill_after: float | None = None
) -> Outcome:
    """Runs a command in a forked process.

    Args:
        work: Returns the exit code, or raises SystemExit.
        limit: Seconds after which it is killed as a hang.
        kill_after: Seconds after which it is killed on purpose, if it has not ended by then.
    """
    with Command(work) as command:
        return command.wait(limit if kill_after is None else kill_after, kill_after is not None)


def inside(work: Callable[[], int], limit: float = LIMIT_S) -> Outcome:
    """Runs a command in this process, hundreds of which then cost little.

    Args:
        work: Returns the exit code, or raises SystemExit.
        limit: Seconds of the processor, which other programs may keep busy, after which it is ended
            as a hang, where Python still runs.
    """
    begin = time.monotonic()
    with _recorded() as stream:
        signal.signal(signal.SIGPROF, _late)
        signal.setitimer(signal.ITIMER_PROF, limit)
        try:
            code: int | None = work()
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 1
        except _LateError:
            code = None
        except BaseException:
            traceback.print_exc()
            code = 70
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    with stream:
        text = os.pread(stream.fileno(), 1 << 24, 0).decode(errors="replace")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Outcome(code, text, peak, time.monotonic() - begin)


class _LateError(BaseException):
    """No `except Exception` of a command catches it."""


def _late(*_: object) -> None:
    raise _LateError


@contextlib.contextmanager
def _recorded() -> Iterator[IO[bytes]]:
    """Sends what is written on stdout and stderr into a file, which the caller closes."""
    stream = tempfile.TemporaryFile()  # noqa: SIM115
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    os.dup2(stream.fileno(), 1)
    os.dup2(stream.fileno(), 2)
    try:
        yield stream
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, number in zip(kept, (1, 2), strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _wait(child: int, seconds: float) -> tuple[bool, int, os.struct_rusage]:
    """Whether the child ended by itself in time, its status, and what it used."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return True, status, usage
        time.sleep(0.005)
    os.kill(child, 9)
    _, status, usage = os.wait4(child, 0)
    return False, status, usage


def _child(work: Callable[[], int], stream: int) -> None:
    code = 70
    try:
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        code = work()
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def left_overs(folder: Path) -> str:
    """A fault where a program that ended by itself left a temporary file; else empty."""
    found = [str(path) for path in folder.rglob(f"*{PARTIAL}*")]
    return f"left behind: {', '.join(found)}" if found else ""

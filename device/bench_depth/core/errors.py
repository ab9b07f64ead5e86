"""The error that ends a command with one clear line, and the exit codes."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from bench_depth.core.screen import open_streams, printable, say

THRESHOLD_FAILED = 1
BAD_INPUT = 2
MODEL_FAILED = 3
WARNED = 4
INTERRUPTED = 130

# Ended by any of these, a program leaves as little behind as after Ctrl-C.
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A name of a megabyte must not push what to do, at the end, out of sight.
_LONGEST = 1200
_END = 400


class UserError(Exception):
    """An error that the user can correct.

    Args:
        message: One line that says what is wrong, where, and what to do. Control characters, of a
            name in it, become escapes, and a very long line is shortened in the middle.
        exit_code: Exit status of the process, one of the constants of this module.
    """

    def __init__(self, message: str, exit_code: int = BAD_INPUT) -> None:
        line = printable(" ".join(message.split()))
        if len(line) > _LONGEST:
            line = f"{line[: _LONGEST - _END]} ... {line[-_END:]}"
        super().__init__(line)
        self.exit_code = exit_code


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "", prefix: str = "") -> str:
    """The end of a message about an unknown name: `; did you mean PREFIXNAME?`.

    Args:
        name: The unknown name.
        known: The known names.
        otherwise: Text if no known name is similar; empty for none.
        prefix: Text before the suggested name.
    """
    import difflib  # Here, because `--help` must not wait for it.

    near = difflib.get_close_matches(name, list(known), 1)
    hint = f"did you mean {prefix}{near[0]}?" if near else otherwise
    return f"; {hint}" if hint else ""


def refuse_warnings(codes: Iterable[str], strict: bool) -> None:
    """Ends the work where there are warnings and `strict` is set.

    Raises:
        UserError: With exit code `WARNED`.
    """
    found = sorted(set(codes))
    if strict and found:
        raise UserError(f"--strict: there are warnings: {', '.join(found)}", WARNED)


def exit_code(program: str, work: Callable[[], int], interrupted: str = "interrupted") -> int:
    """Runs a command; a `UserError`, Ctrl-C, SIGTERM or SIGHUP becomes one line on standard error.

    So does what the system refuses and nobody else has put into words: a name that is too long, a
    folder that may not be entered, a full disk, a reader of the output that has gone. The signals
    interrupt the work as Ctrl-C does, so that locks and temporary files go. After one of them any
    error is the signal: a library in which it came may have made another one of it. One more of
    them, while the process ends, ends it at once, without Python's traceback.

    Args:
        program: Name of the program, with which the line begins.
        work: The command; returns the exit code when it succeeds.
        interrupted: Message after Ctrl-C or a signal.

    Returns:
        The exit code that `work` returned, that of its error, `BAD_INPUT` for what the system
        refused, or `INTERRUPTED`; 128 + N after signal N.
    """
    open_streams()
    with _as_ctrl_c() as heard:
        code = _code(program, work, interrupted, heard)
        return 128 + heard.numbers[0] if heard.numbers and code == INTERRUPTED else code


@dataclass
class _Heard:
    """The signals that came, and whether the line about them is being written."""

    numbers: list[int] = field(default_factory=list)
    ending: bool = False


def _code(program: str, work: Callable[[], int], interrupted: str, heard: _Heard) -> int:
    stopped = UserError(interrupted, INTERRUPTED)
    try:
        return work()
    except KeyboardInterrupt:
        error = stopped
    except UserError as raised:
        error = raised
    except OSError as refused:
        error = _refused(refused)
    except Exception:
        if not heard.numbers:
            raise
        error = stopped
    heard.ending = True
    if heard.numbers and error.exit_code not in (0, INTERRUPTED):
        error = stopped
    say(f"{program}: {error}", error=True)
    return error.exit_code


@contextlib.contextmanager
def _as_ctrl_c() -> Iterator[_Heard]:
    """Makes the signals of `_STOPPING` raise KeyboardInterrupt, unless somebody else handles them.

    Yields:
        Those that came. Once it says `ending`, they raise nothing, and the third ends the process.
    """
    heard = _Heard()

    def stop(number: int, frame: object) -> None:
        heard.numbers.append(number)
        if not heard.ending:
            raise KeyboardInterrupt
        # A terminal and a parent process may both have sent the same one: the third is meant.
        if len(heard.numbers) > 2:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    own = threading.current_thread() is threading.main_thread()
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    found = {number: signal.getsignal(number) for number in _STOPPING if own}
    free = {number: handler for number, handler in found.items() if handler in defaults}
    try:
        for number in free:
            signal.signal(number, stop)
        yield heard
    finally:
        for number, handler in free.items():
            signal.signal(number, signal.SIG_DFL if heard.numbers else handler)


def _refused(error: OSError) -> UserError:
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return UserError(reason)
    return UserError(f"cannot use {error.filename}: {reason}; check the name and its permissions")

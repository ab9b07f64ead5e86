"""The error that ends a command with one clear line, and the exit codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench_depth.core.screen import printable, say

THRESHOLD_FAILED = 1
BAD_INPUT = 2
MODEL_FAILED = 3
WARNED = 4
INTERRUPTED = 130

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


def refuse_warnings(codes: Iterable[str], strict: bool) -> None:
    """Ends the work where there are warnings and `strict` is set.

    Raises:
        UserError: With exit code `WARNED`.
    """
    found = sorted(set(codes))
    if strict and found:
        raise UserError(f"--strict: there are warnings: {', '.join(found)}", WARNED)


def exit_code(program: str, work: Callable[[], int], interrupted: str = "interrupted") -> int:
    """Runs a command; a `UserError` or Ctrl-C becomes one line on standard error.

    Args:
        program: Name of the program, with which the line begins.
        work: The command; returns the exit code when it succeeds.
        interrupted: Message after Ctrl-C.

    Returns:
        The exit code that `work` returned, that of its error, or `INTERRUPTED`.
    """
    try:
        return work()
    except KeyboardInterrupt:
        say(f"{program}: {interrupted}", error=True)
        return INTERRUPTED
    except UserError as error:
        say(f"{program}: {error}", error=True)
        return error.exit_code

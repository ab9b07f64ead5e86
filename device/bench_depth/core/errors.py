"""The error that ends a command with one clear line, and the exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable

THRESHOLD_FAILED = 1
BAD_INPUT = 2
MODEL_FAILED = 3
WARNED = 4
INTERRUPTED = 130


class UserError(Exception):
    """An error that the user can correct.

    Args:
        message: One line that says what is wrong, where, and what to do.
        exit_code: Exit status of the process, one of the constants of this module.
    """

    def __init__(self, message: str, exit_code: int = BAD_INPUT) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code


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
        print(f"{program}: {interrupted}", file=sys.stderr)
        return INTERRUPTED
    except UserError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return error.exit_code

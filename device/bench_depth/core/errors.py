"""The one error that ends a command with a clear line, and how it does."""

from __future__ import annotations

import sys
from collections.abc import Callable

THRESHOLD_FAILED = 1
BAD_INPUT = 2
MODEL_FAILED = 3
WARNED = 4
INTERRUPTED = 130


class UserError(Exception):
    """Something the user can put right.

    Args:
        message: One line: what is wrong, where, and what to do.
        exit_code: The process's exit status; one of the constants of this module.
    """

    def __init__(self, message: str, exit_code: int = BAD_INPUT) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code


def exit_code(program: str, work: Callable[[], int], interrupted: str = "interrupted") -> int:
    """Does a command's work; a `UserError` or Ctrl-C becomes one line on standard error.

    Args:
        program: What the line begins with.
        work: Gives the exit code when all goes well.
        interrupted: What is said after Ctrl-C.

    Returns:
        The exit code of the work, of its error, or `INTERRUPTED`.
    """
    try:
        return work()
    except KeyboardInterrupt:
        print(f"{program}: {interrupted}", file=sys.stderr)
        return INTERRUPTED
    except UserError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return error.exit_code

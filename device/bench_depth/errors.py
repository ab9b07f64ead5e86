"""The one error that ends a command with a clear line."""

from __future__ import annotations

GATE_FAILED = 1
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

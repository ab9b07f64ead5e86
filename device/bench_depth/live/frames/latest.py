"""A place that holds only the newest of something: how frames are dropped instead of queued."""

from __future__ import annotations

import threading
from typing import Generic, Optional, TypeVar

T = TypeVar("T")


class EndedError(Exception):
    """Nothing more will come.

    Attributes:
        error: Why; None for an end that was to be expected.
    """

    def __init__(self, error: Optional[Exception]) -> None:
        super().__init__(str(error) if error else "ended")
        self.error = error


class Latest(Generic[T]):
    """One producer puts values; any number of readers each take the newest when they are ready.

    A reader that is slow misses values and delays nobody. Values are numbered from 1 in the order
    they were put, so that a reader knows which it has seen and how many it missed.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0
        self._value: Optional[T] = None
        self._closed = False
        self._error: Optional[Exception] = None

    def put(self, value: T) -> None:
        """Replaces the value and wakes all readers."""
        with self._changed:
            self._number += 1
            self._value = value
            self._changed.notify_all()

    def close(self, error: Optional[Exception] = None) -> None:
        """Says that nothing more will come; the first call's `error` counts."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._changed.notify_all()

    def newer(self, than: int, timeout: float) -> Optional[tuple[int, T]]:
        """Waits for a value other than number `than`.

        Args:
            than: The number of the value seen last; 0 for none.
            timeout: Seconds to wait.

        Returns:
            The newest value and its number; None when the time is up.

        Raises:
            EndedError: Nothing more will come. A last value that was not seen is given before that.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > than, timeout)
            if self._number > than and self._value is not None:
                return self._number, self._value
            if self._closed:
                raise EndedError(self._error)
            return None

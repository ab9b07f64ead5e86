"""A slot that holds only the newest value, so that frames are dropped instead of queued."""

from __future__ import annotations

import threading
from typing import Generic, Optional, TypeVar

T = TypeVar("T")


class EndedError(Exception):
    """No further value will be put.

    Attributes:
        error: The failure that ended the series; None for a regular end.
    """

    def __init__(self, error: Optional[Exception]) -> None:
        super().__init__(str(error) if error else "ended")
        self.error = error


class Latest(Generic[T]):
    """Passes the newest value from one producer to any number of readers.

    A slow reader skips values and does not block the producer or other readers. Values are numbered
    from 1 in the order in which they are put, so that a reader can tell how many it skipped.
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
        """Marks the end of the series; only the first call sets `error`."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._changed.notify_all()

    def newer(self, than: int, timeout: float) -> Optional[tuple[int, T]]:
        """Waits for a value newer than number `than`.

        Args:
            than: Number of the value seen last; 0 for none.
            timeout: Maximum time to wait, in seconds.

        Returns:
            The number and the newest value; None on timeout.

        Raises:
            EndedError: The series has ended and its last value has been seen.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > than, timeout)
            if self._number > than and self._value is not None:
                return self._number, self._value
            if self._closed:
                raise EndedError(self._error)
            return None

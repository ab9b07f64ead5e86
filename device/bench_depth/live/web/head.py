"""Reads HTTP requests within limits that hold before any of it is parsed."""

from __future__ import annotations

import socket
from http import HTTPStatus
from typing import Optional

# A browser sends about 1 kB and 20 headers, cookies of other servers of the same host aside.
MAX_HEAD_BYTES = 16384
MAX_LINE_BYTES = 2048
MAX_HEADERS = 64
_RECEIVE_BYTES = 4096


class HeadTooLargeError(Exception):
    """A request exceeds a limit.

    Attributes:
        status: HTTP status of the response.
    """

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Heads:
    """The heads of the requests of one connection, one after the other, and bodies if asked for.

    At most `MAX_HEAD_BYTES` and one more call's bytes are received before a head is complete.

    Args:
        connection: The connected socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = bytearray()

    def next(self) -> Optional[bytes]:
        """Receives the next head: request line, headers and the empty line behind them.

        Returns:
            The head; None where the connection was closed before it was complete.

        Raises:
            HeadTooLargeError: The request line is longer than `MAX_LINE_BYTES`, there are more
                headers than `MAX_HEADERS`, or all together is longer than `MAX_HEAD_BYTES`.
            OSError: The connection broke off, or nothing came within its timeout.
        """
        while True:
            end = self._end()
            head = self._received if end is None else self._received[:end]
            _check(head)
            if end is not None:
                del self._received[:end]
                return bytes(head)
            part = self._connection.recv(_RECEIVE_BYTES)
            if not part:
                return None
            self._received += part

    def body(self, length: int) -> Optional[bytes]:
        """Receives the body that follows the last head.

        Args:
            length: Size of the body in bytes, which the caller has limited.

        Returns:
            The body; None where the connection was closed before it was complete.

        Raises:
            OSError: The connection broke off, or nothing came within its timeout.
        """
        while len(self._received) < length:
            part = self._connection.recv(_RECEIVE_BYTES)
            if not part:
                return None
            self._received += part
        body = bytes(self._received[:length])
        del self._received[:length]
        return body

    def _end(self) -> Optional[int]:
        """Length of the first head; None until it is complete."""
        ends = [
            place + len(mark)
            for mark in (b"\n\r\n", b"\n\n")
            if (place := self._received.find(mark)) >= 0
        ]
        return min(ends, default=None)


def _check(head: bytearray) -> None:
    line = head.find(b"\n")
    if (len(head) if line < 0 else line) > MAX_LINE_BYTES:
        raise HeadTooLargeError(HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long")
    # The request line and the empty line are no headers.
    if len(head) > MAX_HEAD_BYTES or head.count(b"\n") > MAX_HEADERS + 2:
        too_large = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        raise HeadTooLargeError(too_large, "the headers are too many or too long")

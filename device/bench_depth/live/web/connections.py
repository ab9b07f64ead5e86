"""The open connections of a server: how many there may be, and for how long."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections import Counter

MAX_CONNECTIONS = 64
# Connections from one address: the others are left for everybody else. A tunnel or a proxy brings
# all its viewers from one address, and each viewer needs one connection.
MAX_PER_ADDRESS = 24
MAX_VIEWERS = 16
# Seconds that a connection may take to send a request, and to receive the response.
REQUEST_TIMEOUT_SECONDS = 15.0


class Connections:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[socket.socket, float] = {}
        self._place: dict[socket.socket, str] = {}
        self._places: Counter[str] = Counter()
        self._viewers: set[socket.socket] = set()

    def __len__(self) -> int:
        """Returns the number of open connections."""
        return len(self._until)

    def enter(self, connection: socket.socket, address: str) -> bool:
        """Whether there is a place for a new connection from `address`; it then takes it."""
        place = place_of(address)
        with self._lock:
            if len(self._until) >= MAX_CONNECTIONS or self._places[place] >= MAX_PER_ADDRESS:
                return False
            self._until[connection] = time.monotonic() + REQUEST_TIMEOUT_SECONDS
            self._place[connection] = place
            self._places[place] += 1
            return True

    def leave(self, connection: socket.socket) -> None:
        """Frees the place of a connection; one that has none is ignored."""
        with self._lock:
            self._viewers.discard(connection)
            self._until.pop(connection, None)
            place = self._place.pop(connection, None)
            if place is not None:
                self._places[place] -= 1
                self._places += Counter()  # Removes addresses without a connection.

    def limit(self, connection: socket.socket, seconds: float) -> None:
        """Sets the time that a connection has from now on; `inf` during a response."""
        with self._lock:
            if connection in self._until:
                self._until[connection] = time.monotonic() + seconds

    def admit(self, connection: socket.socket) -> bool:
        """Whether a connection may be a viewer; it remains one until it is closed."""
        with self._lock:
            if connection not in self._viewers and len(self._viewers) >= MAX_VIEWERS:
                return False
            self._viewers.add(connection)
            return True

    def end_late(self) -> None:
        """Ends the connections that exceed their time limit."""
        now = time.monotonic()
        self._shutdown({c for c, until in self._snapshot().items() if until < now})

    def end_all(self, how: int = socket.SHUT_RDWR) -> None:
        """Ends all connections in the direction `how`, as `socket.shutdown` takes it."""
        self._shutdown(set(self._snapshot()), how)

    def _snapshot(self) -> dict[socket.socket, float]:
        with self._lock:
            return dict(self._until)

    @staticmethod
    def _shutdown(connections: set[socket.socket], how: int = socket.SHUT_RDWR) -> None:
        for connection in connections:
            with contextlib.suppress(OSError):  # The peer may have closed it already.
                connection.shutdown(how)


def place_of(address: str) -> str:
    """The address that connections are counted by: of IPv6 the network of 64 bits.

    A host chooses the other 64 bits itself.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))

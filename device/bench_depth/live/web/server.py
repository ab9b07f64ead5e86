"""Serves the page and its frames over HTTP to a few viewers on a local network."""

from __future__ import annotations

import errno
import ipaddress
import socket
import socketserver
import sys
import threading
import time
from functools import partial
from http.server import ThreadingHTTPServer
from typing import Any, Optional

from bench_depth.core.errors import UserError
from bench_depth.live.web.access import TOKEN_VARIABLE, Access
from bench_depth.live.web.handler import Handler
from bench_depth.live.web.site import Site
from bench_depth.live.web.view import View

_MAX_PORT = 65535
# Bytes that the kernel keeps of what a peer sends ahead; a request is smaller.
_RECEIVE_BUFFER = 32768
# Seconds between two checks whether the server is to stop.
_TICK_SECONDS = 0.1


def check_port(port: int) -> None:
    """Refuses a number that is no TCP port.

    Raises:
        UserError: It is not from 0 to 65535.
    """
    if not 0 <= port <= _MAX_PORT:
        raise UserError(f"there is no port {port}; give one from 0 to {_MAX_PORT}")


class ViewServer(ThreadingHTTPServer):
    """HTTP server that binds on construction and serves from `start` to `stop`.

    Args:
        host: Host name or address to listen on.
        port: TCP port, 0 to 65535; 0 for any free one.
        view: The frames and the model information to serve.

    Raises:
        UserError: The server cannot listen on the address.
    """

    daemon_threads = False
    request_queue_size = 32

    def __init__(self, host: str, port: int, view: View) -> None:
        check_port(port)
        try:
            family, _, _, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self.address_family = family
            self.site = Site(view, Access.for_address(str(address[0])))
            super().__init__((str(address[0]), port), partial(Handler, self.site))
        except OSError as error:
            raise UserError(_cannot_listen(host, port, error)) from error
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_TICK_SECONDS,), name="server"
        )

    def server_bind(self) -> None:
        """Binds without a reverse DNS look-up of the host name, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        socketserver.TCPServer.server_bind(self)
        self.server_name = str(self.server_address[0])
        self.server_port = int(self.server_address[1])

    @property
    def url(self) -> str:
        """URL of the page, with the token if one is required and is not known already."""
        address = self.server_name
        if ipaddress.ip_address(address).is_unspecified:
            address = _own_address(self.address_family) or socket.gethostname()
        host = f"[{address}]" if ":" in address else address
        token = self.site.access.token if self.site.access.printed else f"${TOKEN_VARIABLE}"
        query = f"?token={token}" if self.site.access.token is not None else ""
        return f"http://{host}:{self.server_port}/{query}"

    def start(self) -> None:
        """Starts serving in background threads."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the viewers' requests, joins the threads and frees the port."""
        self.site.view.frames.close()
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        # Idle connections see the end of the stream; responses under way get a moment to finish.
        self.site.connections.end_all(socket.SHUT_RD)
        deadline = time.monotonic() + 1
        while self.site.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        self.site.connections.end_all()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handles the connection in a thread, or closes it if there are too many."""
        if self.site.connections.enter(request, str(client_address[0])):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Closes a connection and frees its place."""
        self.site.connections.leave(request)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Ends connections that exceed their time limit; called at every tick."""
        self.site.connections.end_late()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores disconnected viewers; any other exception is a bug and is printed."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _own_address(family: int) -> Optional[str]:
    """The address of this machine on the network; None without a network."""
    # Connecting a datagram socket sends nothing; both addresses are reserved for documentation.
    target = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken; give another --port, or 0 for any free one"
    if error.errno == errno.EACCES:
        return f"port {port} needs administrator rights; give a --port of at least 1024"
    return f"cannot listen on {host}: {error}; give --host an address of this machine"

"""Serves the page and its frames over HTTP to a few viewers on a local network."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import socket
import socketserver
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional
from urllib.parse import parse_qs

from bench_depth import __version__
from bench_depth.core.errors import UserError
from bench_depth.live.frames.latest import EndedError
from bench_depth.live.web.access import Access
from bench_depth.live.web.page import Page
from bench_depth.live.web.view import View

MAX_VIEWERS = 16
MAX_CONNECTIONS = 64
# Seconds for which a request for the next frame is held open.
POLL_SECONDS = 10.0
# Seconds that a connection may take to send a request, and to receive the response.
REQUEST_TIMEOUT_SECONDS = 15.0
_MAX_TARGET_LENGTH = 1000
_MAX_PORT = 65535
# Seconds between two checks whether the server is to stop.
_TICK_SECONDS = 0.1


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
        self.view = view
        self.page = Page()
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, float] = {}
        self._viewers: set[socket.socket] = set()
        if not 0 <= port <= _MAX_PORT:
            raise UserError(f"there is no port {port}; give one from 0 to {_MAX_PORT}")
        try:
            family, _, _, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self.address_family = family
            self.access = Access.for_address(str(address[0]))
            super().__init__((str(address[0]), port), _Handler)
        except OSError as error:
            raise UserError(_cannot_listen(host, port, error)) from error
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_TICK_SECONDS,), name="server"
        )

    def server_bind(self) -> None:
        """Binds without a reverse DNS look-up of the host name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name = str(self.server_address[0])
        self.server_port = int(self.server_address[1])

    @property
    def url(self) -> str:
        """URL of the page, with the token if one is required."""
        address = self.server_name
        if ipaddress.ip_address(address).is_unspecified:
            address = _own_address(self.address_family) or socket.gethostname()
        host = f"[{address}]" if ":" in address else address
        query = f"?token={self.access.token}" if self.access.token is not None else ""
        return f"http://{host}:{self.server_port}/{query}"

    def start(self) -> None:
        """Starts serving in background threads."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the viewers' requests, joins the threads and frees the port."""
        self.view.frames.close()
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        # Idle connections see the end of the stream; responses under way get a moment to finish.
        self._cut(socket.SHUT_RD)
        deadline = time.monotonic() + 1
        while self._connections and time.monotonic() < deadline:
            time.sleep(0.01)
        self._cut(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handles the connection in a thread, or closes it if there are too many."""
        with self._lock:
            full = len(self._connections) >= MAX_CONNECTIONS
            if not full:
                self._connections[request] = time.monotonic() + REQUEST_TIMEOUT_SECONDS
        if full:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Closes a connection and removes it from the lists."""
        with self._lock:
            self._connections.pop(request, None)
            self._viewers.discard(request)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Ends connections that exceed their time limit; called at every tick."""
        now = time.monotonic()
        with self._lock:
            late = [request for request, until in self._connections.items() if until < now]
        for request in late:
            _shutdown(request, socket.SHUT_RDWR)

    def expect_request(self, request: socket.socket, within: float) -> None:
        """Sets the time limit of a connection in seconds; `inf` during a response."""
        with self._lock:
            if request in self._connections:
                self._connections[request] = time.monotonic() + within

    def admit(self, request: socket.socket) -> bool:
        """Whether a connection may be a viewer; it remains one until it is closed."""
        with self._lock:
            if request not in self._viewers and len(self._viewers) >= MAX_VIEWERS:
                return False
            self._viewers.add(request)
            return True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores disconnected viewers; any other exception is a bug and is printed."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def _cut(self, how: int) -> None:
        with self._lock:
            open_now = list(self._connections)
        for request in open_now:
            _shutdown(request, how)


class _Handler(BaseHTTPRequestHandler):
    server: ViewServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    server_version = f"bench-depth/{__version__}"
    sys_version = ""
    timeout = REQUEST_TIMEOUT_SECONDS
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        self.server.expect_request(self.connection, REQUEST_TIMEOUT_SECONDS)
        super().handle_one_request()

    def do_GET(self) -> None:
        self.server.expect_request(self.connection, float("inf"))
        if len(self.path) > _MAX_TARGET_LENGTH:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long")
            return
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "send nothing")
            return
        path, _, rest = self.path.partition("?")
        query = {name: values[-1] for name, values in parse_qs(rest).items()}
        refusal = self.server.access.refusal(self.headers, query.get("token", ""), page=path == "/")
        if refusal is not None:
            self._refuse(HTTPStatus.FORBIDDEN, refusal)
        elif path == "/":
            page = self.server.page
            policy = {"Content-Security-Policy": page.policy}
            self._answer(page.html, "text/html; charset=utf-8", policy)
        elif path == "/info":
            info = {**self.server.view.info, "run": self.server.view.run}
            self._answer(json.dumps(info).encode(), "application/json")
        elif path == "/frame":
            self._frame(query.get("after", ""))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here; go to /")

    def do_HEAD(self) -> None:
        self.do_GET()

    def send_error(
        self, code: int, message: Optional[str] = None, explain: Optional[str] = None
    ) -> None:
        self._refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing, so that the terminal shows only the progress of the run."""

    def _frame(self, after: str) -> None:
        if not self.server.admit(self.connection):
            reason = f"{MAX_VIEWERS} viewers are connected already"
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, reason)
            return
        view = self.server.view
        run, _, number = after.partition("-")
        seen = int(number) if run == view.run and number.isdecimal() else 0
        try:
            found = view.frames.newer(seen, POLL_SECONDS)
        except EndedError as end:
            self._refuse(HTTPStatus.GONE, str(end.error or "bench-depth has ended"))
            return
        if found is None:
            self._answer(b"", "application/octet-stream")
            return
        tag = f"{view.run}-{found[0]}"
        self._answer(found[1].message(), "application/octet-stream", {"X-Frame": tag})

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True
        self._answer(reason.encode(), "text/plain; charset=utf-8", status=status)

    def _answer(
        self,
        body: bytes,
        kind: str,
        headers: Optional[dict[str, str]] = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _shutdown(request: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # The peer may have closed it already.
        request.shutdown(how)


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

"""One HTTP connection: receives requests within limits and sends answers."""

from __future__ import annotations

import io
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Optional

from bench_depth import __version__
from bench_depth.live.web import connections
from bench_depth.live.web.head import Heads, HeadTooLargeError
from bench_depth.live.web.site import Site


class Exchange(BaseHTTPRequestHandler):
    """Reads requests and writes answers; what is answered is up to the class that extends it.

    Args:
        site: State that all connections share.
        *arguments: Those of `BaseHTTPRequestHandler`.
    """

    protocol_version = "HTTP/1.1"
    server_version = f"bench-depth/{__version__}"
    sys_version = ""
    timeout = connections.REQUEST_TIMEOUT_SECONDS
    disable_nagle_algorithm = True

    def __init__(self, site: Site, *arguments: Any) -> None:
        self.site = site
        super().__init__(*arguments)

    def setup(self) -> None:
        """Replaces the stream, which would read any amount, by heads of a limited size."""
        super().setup()
        self.rfile.close()
        self._heads = Heads(self.connection)

    def handle_one_request(self) -> None:
        """Receives one request within the limits, and only then has it parsed and answered."""
        self.site.connections.limit(self.connection, connections.REQUEST_TIMEOUT_SECONDS)
        try:
            head = self._heads.next()
        except HeadTooLargeError as error:
            self.command, self.requestline, self.request_version = "", "", self.protocol_version
            self.refuse(error.status, str(error))
            return
        self.rfile = io.BytesIO(head or b"")
        super().handle_one_request()

    def do_GET(self) -> None:
        """Has a request without body answered."""
        self.site.connections.limit(self.connection, float("inf"))
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "send nothing")
        else:
            self.get()

    def do_HEAD(self) -> None:
        """As `do_GET`; `answer` leaves the body out."""
        self.do_GET()

    def do_POST(self) -> None:
        """Has a request answered that may have a body."""
        self.post()

    def get(self) -> None:
        """Answers GET and HEAD."""
        raise NotImplementedError

    def post(self) -> None:
        """Answers POST; the time limit of the request holds until its body is read."""
        raise NotImplementedError

    def body(self, largest: int) -> Optional[bytes]:
        """The body of the request; None if it is refused, which has been answered.

        Args:
            largest: Limit of the size of the body, bytes.
        """
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or "Transfer-Encoding" in self.headers:
            self.refuse(HTTPStatus.LENGTH_REQUIRED, "say the number of bytes in Content-Length")
            return None
        # A number of a thousand digits is not parsed.
        if len(length) > len(str(largest)) or int(length) > largest:
            reason = f"send at most {largest} bytes"
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
            return None
        found = self._heads.body(int(length))
        if found is None:
            self.close_connection = True
        return found

    def send_error(
        self, code: int, message: Optional[str] = None, explain: Optional[str] = None
    ) -> None:
        """Answers what cannot be parsed in one plain line."""
        self.refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing, so that the terminal shows only the progress of the run."""

    def refuse(self, status: HTTPStatus, reason: str) -> None:
        """Answers with one line of text, and closes the connection."""
        self.close_connection = True
        self.answer(reason.encode(), "text/plain; charset=utf-8", status=status)

    def answer(
        self,
        body: bytes,
        kind: str,
        headers: Optional[dict[str, str]] = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        """Sends a whole answer; to HEAD its head alone.

        Args:
            body: Bytes of the answer.
            kind: Media type of the body.
            headers: Further headers.
            status: Status of the answer.
        """
        self.start(kind, {"Content-Length": str(len(body)), **(headers or {})}, status)
        if self.command != "HEAD":
            self.wfile.write(body)

    def start(
        self,
        kind: str,
        headers: Optional[dict[str, str]] = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        """Sends the head of an answer, see `answer`."""
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
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

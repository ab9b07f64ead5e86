"""Answers HTTP requests: the page, what it is about, and its frames."""

from __future__ import annotations

import io
import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import parse_qs

from bench_depth import __version__
from bench_depth.live.frames.latest import EndedError
from bench_depth.live.web import connections
from bench_depth.live.web.head import Heads, HeadTooLargeError

if TYPE_CHECKING:
    from bench_depth.live.web.server import ViewServer

# Seconds for which a request for the next frame is held open.
POLL_SECONDS = 10.0


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: ViewServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    server_version = f"bench-depth/{__version__}"
    sys_version = ""
    timeout = connections.REQUEST_TIMEOUT_SECONDS
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Replaces the stream, which would read any amount, by heads of a limited size."""
        super().setup()
        self.rfile.close()
        self._heads = Heads(self.connection)

    def handle_one_request(self) -> None:
        """Receives one request within the limits, and only then has it parsed and answered."""
        self.server.connections.limit(self.connection, connections.REQUEST_TIMEOUT_SECONDS)
        try:
            head = self._heads.next()
        except HeadTooLargeError as error:
            self.command, self.requestline, self.request_version = "", "", self.protocol_version
            self._refuse(error.status, str(error))
            return
        self.rfile = io.BytesIO(head or b"")
        super().handle_one_request()

    def do_GET(self) -> None:
        """Answers what is there to those who may ask."""
        self.server.connections.limit(self.connection, float("inf"))
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
        """As `do_GET`, without the body."""
        self.do_GET()

    def send_error(
        self, code: int, message: Optional[str] = None, explain: Optional[str] = None
    ) -> None:
        """Answers what cannot be parsed in one plain line."""
        self._refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing, so that the terminal shows only the progress of the run."""

    def _frame(self, after: str) -> None:
        if not self.server.connections.admit(self.connection):
            reason = f"{connections.MAX_VIEWERS} viewers are connected already"
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

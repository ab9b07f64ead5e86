"""Answers HTTP requests: the page and its frames, and the newest frame for other programs."""

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
    from bench_depth.live.web.view import ViewFrame

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
        elif path in _RESOURCES:
            _RESOURCES[path](self, query.get("after", ""))
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

    def page(self, _: str) -> None:
        """The page itself."""
        page = self.server.page
        policy = {"Content-Security-Policy": page.policy}
        self._answer(page.html, "text/html; charset=utf-8", policy)

    def info(self, _: str) -> None:
        """What does not change during the run."""
        info = {**self.server.view.info, "run": self.server.view.run}
        self._answer(json.dumps(info).encode(), "application/json")

    def frame(self, after: str) -> None:
        """The first frame after the one with the tag `after`; nothing if none comes in time."""
        run, _, number = after.partition("-")
        seen = int(number) if run == self.server.view.run and number.isdecimal() else 0
        found = self._newer(seen)
        if found is not None:
            tag, frame = found
            body = b"" if frame is None else frame.message()
            self._answer(body, "application/octet-stream", {"X-Frame": tag} if tag else None)

    def distances(self, _: str) -> None:
        """The newest frame in numbers."""
        found = self._newest()
        if found is not None:
            self._answer(found[1].distances(), "application/json", {"X-Frame": found[0]})

    def depth_map(self, _: str) -> None:
        """The newest depth map as a picture of millimetres."""
        found = self._newest()
        if found is None:
            return
        png = found[1].millimetres()
        if png is None:
            reason = "the model gives relative depth, which is no millimetres"
            self._refuse(HTTPStatus.NOT_FOUND, reason)
        else:
            self._answer(png, "image/png", {"X-Frame": found[0]})

    def events(self, _: str) -> None:
        """Every frame in numbers, as server-sent events; a slow reader gets fewer."""
        if not self._admitted():
            return
        self.close_connection = True
        self._head("text/event-stream")
        if self.command == "HEAD":
            return
        view, number = self.server.view, 0
        while True:
            try:
                found = view.frames.newer(number, POLL_SECONDS)
            except EndedError:
                return
            if found is None:
                self.wfile.write(b": no frame yet\n\n")  # So that a reader that left is noticed.
                continue
            number, frame = found
            self.wfile.write(f"id: {view.run}-{number}\n".encode())
            self.wfile.write(b"data: " + frame.distances() + b"\n\n")

    def _newest(self) -> Optional[tuple[str, ViewFrame]]:
        """Tag and newest frame; None where there is none, which has been answered."""
        found = self._newer(0)
        if found is None:
            return None
        tag, frame = found
        if frame is None:
            reason = "there is no frame yet; try again"
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, reason)
            return None
        return tag, frame

    def _newer(self, seen: int) -> Optional[tuple[str, Optional[ViewFrame]]]:
        """Tag and frame after number `seen`, without frame on timeout; None if refused."""
        if not self._admitted():
            return None
        view = self.server.view
        try:
            found = view.frames.newer(seen, POLL_SECONDS)
        except EndedError as end:
            self._refuse(HTTPStatus.GONE, str(end.error or "bench-depth has ended"))
            return None
        return ("", None) if found is None else (f"{view.run}-{found[0]}", found[1])

    def _admitted(self) -> bool:
        """Whether the connection may be a viewer; if not, that has been answered."""
        admitted = self.server.connections.admit(self.connection)
        if not admitted:
            reason = f"{connections.MAX_VIEWERS} viewers are connected already"
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        return admitted

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
        self._head(kind, {"Content-Length": str(len(body)), **(headers or {})}, status)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(
        self,
        kind: str,
        headers: Optional[dict[str, str]] = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
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


_RESOURCES = {
    "/": Handler.page,
    "/info": Handler.info,
    "/frame": Handler.frame,
    "/depth.json": Handler.distances,
    "/depth.png": Handler.depth_map,
    "/events": Handler.events,
}

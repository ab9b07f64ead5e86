"""Answers HTTP requests: the page and its frames, and the newest frame for other programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Optional
from urllib.parse import parse_qs

from bench_depth.core.errors import UserError
from bench_depth.live.frames.latest import EndedError
from bench_depth.live.web import connections
from bench_depth.live.web.exchange import Exchange
from bench_depth.live.zones import MAX_BYTES, parse_posted

if TYPE_CHECKING:
    from bench_depth.live.web.view import ViewFrame

Query = dict[str, str]

# Seconds for which a request for the next frame is held open.
POLL_SECONDS = 10.0
_JSON = "application/json"


class Handler(Exchange):
    """Answers the requests of one connection."""

    def get(self) -> None:
        """Answers what is there to those who may ask."""
        path, query = self._allowed()
        if path is None:
            return
        if path in _RESOURCES:
            _RESOURCES[path](self, query)
        else:
            self.refuse(HTTPStatus.NOT_FOUND, "there is nothing here; go to /")

    def post(self) -> None:
        """Takes zones, or holds the newest frame; from those who may."""
        path, _ = self._allowed()
        if path is None:
            return
        if path not in _ACTIONS:
            self.refuse(HTTPStatus.METHOD_NOT_ALLOWED, "nothing can be posted here")
        # No form of another site can send this type: a browser asks first, and is refused.
        elif self.headers.get_content_type() != _JSON:
            self.refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send it as {_JSON}")
        else:
            body = self.body(MAX_BYTES)
            if body is not None:
                self.site.connections.limit(self.connection, float("inf"))
                _ACTIONS[path](self, body)

    def page(self, _: Query) -> None:
        """The page itself."""
        page = self.site.page
        policy = {"Content-Security-Policy": page.policy}
        self.answer(page.html, "text/html; charset=utf-8", policy)

    def info(self, _: Query) -> None:
        """What does not change during the run."""
        info = {**self.site.view.info, "run": self.site.view.run}
        self.answer(json.dumps(info).encode(), _JSON)

    def frame(self, query: Query) -> None:
        """The first frame after the one with the tag `after`; nothing if none comes in time.

        With `frame`, that one which is held.
        """
        run, _, number = query.get("after", "").partition("-")
        seen = int(number) if run == self.site.view.run and number.isdecimal() else 0
        found = self._held(query) if "frame" in query else self._newer(seen)
        if found is not None:
            tag, frame = found
            body = b"" if frame is None else frame.message()
            self.answer(body, "application/octet-stream", {"X-Frame": tag} if tag else None)

    def distances(self, query: Query) -> None:
        """The newest frame in numbers."""
        self._give(query, _JSON, lambda frame: frame.distances())

    def depth_map(self, query: Query) -> None:
        """The newest depth map as a picture of millimetres."""
        self._give(query, "image/png", lambda frame: frame.millimetres())

    def photo(self, query: Query) -> None:
        """The newest photo."""
        self._give(query, "image/jpeg", lambda frame: frame.photo())

    def still(self, query: Query) -> None:
        """The newest photo beside its coloured depth."""
        self._give(query, "image/jpeg", lambda frame: frame.still())

    def cloud(self, query: Query) -> None:
        """The newest frame as coloured points."""
        hfov = self.site.view.hfov
        self._give(query, "application/octet-stream", lambda frame: frame.cloud(hfov))

    def events(self, _: Query) -> None:
        """Every frame in numbers, as server-sent events; a slow reader gets fewer."""
        if not self._admitted():
            return
        self.close_connection = True
        self.start("text/event-stream")
        if self.command == "HEAD":
            return
        view, number = self.site.view, 0
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

    def watch(self, body: bytes) -> None:
        """Replaces the zones and the alarm; answers with their edition."""
        view = self.site.view
        try:
            watch = parse_posted(body, bool(view.info.get("relative")))
        except UserError as error:
            self.refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        self.answer(json.dumps({"edition": view.replace_watch(watch)}).encode(), _JSON)

    def hold(self, _: bytes) -> None:
        """Keeps the newest frame for a viewer that pauses; answers with its tag."""
        found = self._newest({})
        if found is not None:
            self.site.view.hold(*found)
            self.answer(json.dumps({"frame": found[0]}).encode(), _JSON)

    def _allowed(self) -> tuple[Optional[str], Query]:
        """Path and query of the request; no path if it is refused, which has been answered."""
        path, _, rest = self.path.partition("?")
        query = {name: values[-1] for name, values in parse_qs(rest).items()}
        token = query.get("token", "")
        page = path == "/" and self.command != "POST"
        refusal = self.site.access.refusal(self.headers, token, page)
        if refusal is None:
            return path, query
        self.refuse(HTTPStatus.FORBIDDEN, refusal)
        return None, query

    def _give(self, query: Query, kind: str, make: Callable[[ViewFrame], Optional[bytes]]) -> None:
        """Answers with a form of the frame that is asked for; None is one that needs metres."""
        found = self._newest(query)
        if found is None:
            return
        tag, frame = found
        body = make(frame)
        if body is None:
            reason = "the model gives relative depth, which has no metres"
            self.refuse(HTTPStatus.NOT_FOUND, reason)
        else:
            self.answer(body, kind, {"X-Frame": tag})

    def _newest(self, query: Query) -> Optional[tuple[str, ViewFrame]]:
        """Tag and frame, the newest or that held one which is asked for.

        None where there is none, which has been answered.
        """
        if "frame" in query:
            return self._held(query)
        found = self._newer(0)
        if found is None:
            return None
        tag, frame = found
        if frame is None:
            reason = "there is no frame yet; try again"
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, reason)
            return None
        return tag, frame

    def _held(self, query: Query) -> Optional[tuple[str, ViewFrame]]:
        """Tag and frame that is held; None if it is not, which has been answered."""
        tag = query["frame"]
        frame = self.site.view.held(tag)
        if frame is None:
            reason = "this frame is kept no longer; go on and pause again"
            self.refuse(HTTPStatus.NOT_FOUND, reason)
            return None
        return (tag, frame) if self._admitted() else None

    def _newer(self, seen: int) -> Optional[tuple[str, Optional[ViewFrame]]]:
        """Tag and frame after number `seen`, without frame on timeout; None if refused."""
        if not self._admitted():
            return None
        view = self.site.view
        try:
            found = view.frames.newer(seen, POLL_SECONDS)
        except EndedError as end:
            self.refuse(HTTPStatus.GONE, str(end.error or "bench-depth has ended"))
            return None
        return ("", None) if found is None else (f"{view.run}-{found[0]}", found[1])

    def _admitted(self) -> bool:
        """Whether the connection may be a viewer; if not, that has been answered."""
        admitted = self.site.connections.admit(self.connection)
        if not admitted:
            reason = f"{connections.MAX_VIEWERS} viewers are connected already"
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        return admitted


_RESOURCES = {
    "/": Handler.page,
    "/info": Handler.info,
    "/frame": Handler.frame,
    "/depth.json": Handler.distances,
    "/depth.png": Handler.depth_map,
    "/photo.jpg": Handler.photo,
    "/still.jpg": Handler.still,
    "/cloud.ply": Handler.cloud,
    "/events": Handler.events,
}
_ACTIONS = {"/zones": Handler.watch, "/hold": Handler.hold}

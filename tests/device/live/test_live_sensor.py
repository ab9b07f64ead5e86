"""The newest frame for other programs: JSON, a PNG of millimetres, server-sent events."""

from __future__ import annotations

import http.client
import json

import cv2
import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.depth.scale import Scale
from bench_depth.live.web import handler
from bench_depth.live.web.server import ViewServer
from bench_depth.live.web.view import ViewFrame

from tests.device.live.test_live_server import TOKEN, ask, serving

PATHS = ("/depth.json", "/depth.png", "/events")


def sensed(nearest: float = 0.5, scale: Scale | None = None) -> ViewFrame:
    depth = np.full((4, 6), 2.0, np.float32)
    depth[0, 0], depth[1, 1], depth[2, 2], depth[3, 3] = nearest, 7.25, np.nan, -1
    figures = {
        "name": "000007",
        "time": "2026-01-01T00:00:00.000+00:00",
        "fps": 12.5,
        "possible": 31.257,
    }
    return ViewFrame(np.zeros((4, 6, 3), np.uint8), depth, scale or Scale(), figures)


def test_json_has_the_distances_of_the_newest_frame() -> None:
    with serving() as server:
        server.view.frames.put(sensed(1.0))
        server.view.frames.put(sensed(0.5))
        answer = ask(server, "/depth.json")
    assert answer.headers["X-Frame"] == f"{server.view.run}-2"
    assert json.loads(answer.body) == {
        "time": "2026-01-01T00:00:00.000+00:00",
        "name": "000007",
        "nearest": 0.5,
        "median": 2.0,
        "farthest": 7.25,
        "unit": "m",
        "rate": 12.5,
        "possible_rate": 31.26,
    }


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (Scale(relative=True), (-1.0, 2.0, 7.25, "relative")),
        (Scale(relative=True, inverse=True), (7.25, 2.0, -1.0, "relative")),
    ],
)
def test_relative_depth_has_no_unit_and_no_millimetres(
    scale: Scale, expected: tuple[float, float, float, str]
) -> None:
    with serving() as server:
        server.view.frames.put(sensed(scale=scale))
        found = json.loads(ask(server, "/depth.json").body)
        picture = ask(server, "/depth.png")
    assert tuple(found[key] for key in ("nearest", "median", "farthest", "unit")) == expected
    assert (picture.status, b"relative depth" in picture.body) == (404, True)


def test_a_frame_without_any_depth_has_none() -> None:
    frame = ViewFrame(
        np.zeros((2, 2, 3), np.uint8), np.full((2, 2), np.nan, np.float32), Scale(), {}
    )
    assert json.loads(frame.distances())["nearest"] is None


def test_the_picture_has_16_bit_millimetres() -> None:
    with serving() as server:
        server.view.frames.put(sensed())
        answer = ask(server, "/depth.png")
    assert answer.headers["Content-Type"] == "image/png"
    depth = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert (depth.dtype, depth.shape) == (np.uint16, (4, 6))
    assert (depth[0, 0], depth[1, 1], depth[2, 2], depth[3, 3]) == (500, 7250, 0, 0)
    assert depth[0, 1] == 2000


def test_events_tell_every_frame_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "POLL_SECONDS", 0.1)
    with serving() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        connection.request("GET", "/events")
        stream = connection.getresponse()
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert stream.readline() == b": no frame yet\n"
        for nearest in (0.5, 0.75):
            server.view.frames.put(sensed(nearest))
            while not (line := stream.readline()).startswith(b"data: "):
                assert line.startswith((b"id: ", b": ", b"\n"))
            assert json.loads(line[6:])["nearest"] == nearest
        server.view.frames.close(UserError("unplugged"))
        assert b"data" not in stream.read()
        connection.close()


def test_without_a_frame_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "POLL_SECONDS", 0.1)
    with serving() as server:
        for path in ("/depth.json", "/depth.png"):
            assert ask(server, path).status == 503
        server.view.frames.close(UserError("unplugged"))
        assert (ask(server, "/depth.json").status, ask(server, "/depth.png").body) == (
            410,
            b"unplugged",
        )


def heads(server: ViewServer, path: str) -> int:
    return ask(server, path, method="HEAD").status


def test_the_token_protects_all_of_it() -> None:
    with serving(TOKEN) as server:
        server.view.frames.put(sensed())
        for path in PATHS:
            assert heads(server, path) == 403
            assert heads(server, f"{path}?token={TOKEN}") == 200
            assert ask(server, f"{path}?token=wrong").status == 403

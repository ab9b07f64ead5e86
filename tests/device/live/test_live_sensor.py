"""The newest frame for other programs: JSON, a PNG of millimetres, server-sent events."""

from __future__ import annotations

import http.client
import json

import cv2
import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.depth.scale import Scale
from bench_depth.live.web import connections, handler
from bench_depth.live.web.server import ViewServer
from bench_depth.live.web.view import ViewFrame

from tests.device.live.test_live_server import TOKEN, ask, drain, raw, serving

PATHS = ("/depth.json", "/depth.png", "/photo.jpg", "/still.jpg", "/cloud.ply", "/events")


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
        server.site.view.frames.put(sensed(1.0))
        server.site.view.frames.put(sensed(0.5))
        answer = ask(server, "/depth.json")
    assert answer.headers["X-Frame"] == f"{server.site.view.run}-2"
    assert json.loads(answer.body) == {
        "time": "2026-01-01T00:00:00.000+00:00",
        "name": "000007",
        "nearest": 0.5,
        "median": 2.0,
        "farthest": 7.25,
        "unit": "m",
        "rate": 12.5,
        "possible_rate": 31.26,
        "zones": [],
        "alarm": False,
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
        server.site.view.frames.put(sensed(scale=scale))
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
        server.site.view.frames.put(sensed())
        answer = ask(server, "/depth.png")
    assert answer.headers["Content-Type"] == "image/png"
    depth = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert (depth.dtype, depth.shape) == (np.uint16, (4, 6))
    assert (depth[0, 0], depth[1, 1], depth[2, 2], depth[3, 3]) == (500, 7250, 0, 0)
    assert depth[0, 1] == 2000


def test_events_have_every_frame_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "POLL_SECONDS", 0.1)
    with serving() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        connection.request("GET", "/events")
        stream = connection.getresponse()
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert stream.readline() == b": no frame yet\n"
        for nearest in (0.5, 0.75):
            server.site.view.frames.put(sensed(nearest))
            while not (line := stream.readline()).startswith(b"data: "):
                assert line.startswith((b"id: ", b": ", b"\n"))
            assert json.loads(line[6:])["nearest"] == nearest
        server.site.view.frames.close(UserError("unplugged"))
        assert b"data" not in stream.read()
        connection.close()


def test_without_a_frame_the_answer_has_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "POLL_SECONDS", 0.1)
    with serving() as server:
        for path in ("/depth.json", "/depth.png"):
            assert ask(server, path).status == 503
        server.site.view.frames.close(UserError("unplugged"))
        assert (ask(server, "/depth.json").status, ask(server, "/depth.png").body) == (
            410,
            b"unplugged",
        )


def heads(server: ViewServer, path: str) -> int:
    return ask(server, path, method="HEAD").status


def test_the_token_protects_all_of_it() -> None:
    with serving(TOKEN) as server:
        server.site.view.frames.put(sensed())
        for path in PATHS:
            assert heads(server, path) == 403
            assert heads(server, f"{path}?token={TOKEN}") == 200
            assert ask(server, f"{path}?token=wrong").status == 403


# ---- Zones that are posted, frames that are held, files that are saved


def post(
    server: ViewServer, path: str, value: object, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    connection.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def put(server: ViewServer, depth: float) -> None:
    picture = np.full((4, 6), depth, np.float32)
    server.site.view.put(np.zeros((4, 6, 3), np.uint8), picture, Scale(), {"name": "n"})


ZONES = {"zones": [{"name": "door", "x": 0, "y": 0, "width": 0.5, "height": 1}], "alarm": 1}


def test_posted_zones_are_measured_in_the_next_frames() -> None:
    with serving() as server:
        put(server, 0.5)
        assert post(server, "/zones", ZONES) == (200, '{"edition": 1}')
        assert json.loads(ask(server, "/depth.json").body)["zones"] == []
        put(server, 0.5)
        found = json.loads(ask(server, "/depth.json").body)
        assert found["alarm"] is True
        (zone,) = found["zones"]
        assert (zone["name"], zone["nearest"], zone["alarm"]) == ("door", 0.5, True)
        assert b'"edition": 1' in ask(server, "/frame").body
        status, reason = post(server, "/zones", {"zones": ZONES["zones"] * 2})
        assert (status, reason) == (400, "two zones are named door; give each a name of its own")
        assert len(server.site.view.watch.zones) == 1


def test_a_paused_frame_stays_and_is_measured_in_new_zones() -> None:
    with serving() as server:
        put(server, 0.5)
        tag = json.loads(post(server, "/hold", {})[1])["frame"]
        put(server, 3.0)
        post(server, "/zones", ZONES)
        held = json.loads(ask(server, f"/depth.json?frame={tag}").body)
        assert (held["nearest"], held["zones"][0]["nearest"]) == (0.5, 0.5)
        assert ask(server, f"/frame?frame={tag}").headers["X-Frame"] == tag
        for _ in range(4):
            put(server, 3.0)
            post(server, "/hold", {})
        gone = ask(server, f"/still.jpg?frame={tag}")
        assert (gone.status, b"pause again" in gone.body) == (404, True)


def test_a_photo_a_still_and_points_are_saved() -> None:
    with serving() as server:
        put(server, 2.0)
        photo, still = (
            cv2.imdecode(np.frombuffer(ask(server, path).body, np.uint8), cv2.IMREAD_COLOR)
            for path in ("/photo.jpg", "/still.jpg")
        )
        points = ask(server, "/cloud.ply").body
    assert photo.shape == (4, 6, 3)
    assert (still.shape[0], still.shape[1] > 12) == (4, True)
    assert b"element vertex 24\n" in points
    with serving() as server:
        server.site.view.frames.put(sensed(scale=Scale(relative=True)))
        assert ask(server, "/cloud.ply").status == 404


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/zones", b"{}", {"Origin": "http://evil.example"}, 403),
        ("/zones", b"{}", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("/zones", b"{}", {"Host": "evil.example"}, 403),
        ("/", b"{}", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("/zones", b"{}", {"Content-Type": "text/plain"}, 415),
        ("/zones", b" " * 16385, {}, 413),
        ("/zones", b"", {"Content-Length": "9" * 1000}, 413),
        ("/zones", b"", {"Content-Length": "-1"}, 411),
        ("/zones", b"", {"Transfer-Encoding": "chunked"}, 411),
        ("/frame", b"{}", {}, 405),
        ("/zones", b"{}", {}, 400),
        ("/zones", b"[" * 9000, {}, 400),
    ],
)
def test_what_may_not_be_posted(
    path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    with serving() as server:
        found, reason = post(server, path, body, headers)
        assert (found, reason.count("\n")) == (status, 0)
        assert server.site.view.edition == 0


def test_nothing_is_posted_without_the_token() -> None:
    with serving(TOKEN) as server:
        put(server, 2.0)
        for path in ("/zones", "/hold"):
            assert post(server, path, ZONES)[0] == 403
            assert post(server, f"{path}?token={TOKEN}", ZONES)[0] == 200


def test_a_body_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT_SECONDS", 0.3)
    with serving() as server:
        head = "POST /zones HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        assert drain(raw(server, f"{head}Content-Length: 100\r\n\r\n{{")) == b""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.depth.scale import Scale
from bench_depth.live.web import connections, handler
from bench_depth.live.web.access import Access
from bench_depth.live.web.server import ViewServer
from bench_depth.live.web.view import View, ViewFrame

TOKEN = "a-token-of-the-test"


def frame(size: int = 8) -> ViewFrame:
    noise = np.random.default_rng(1).integers(0, 256, (size, size, 3)).astype(np.uint8)
    return ViewFrame(noise, np.ones((size, size), np.float32), Scale(), {})


@contextlib.contextmanager
def serving(token: str | None = None, host: str = "127.0.0.1") -> Iterator[ViewServer]:
    server = ViewServer(host, 0, View())
    server.site.access = Access(token)
    server.site.view.describe({"model": "m"})
    server.start()
    try:
        yield server
    finally:
        server.stop()
        assert "server" not in [thread.name for thread in threading.enumerate()]


@pytest.fixture
def server() -> Iterator[ViewServer]:
    with serving() as running:
        yield running


def ask(
    server: ViewServer, path: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    answer.body = answer.read()
    connection.close()
    return answer


def raw(server: ViewServer, request: str) -> socket.socket:
    stream = socket.create_connection(("127.0.0.1", server.server_port), timeout=30)
    stream.sendall(request.encode())
    return stream


def drain(stream: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionError):
        while part := stream.recv(1 << 16):
            data += part
    stream.close()
    return data


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ---- What is there


def test_the_page_brings_all_it_needs_and_may_load_nothing_else(server: ViewServer) -> None:
    answer = ask(server, "/")
    assert answer.status == 200
    assert b"http://" not in answer.body
    assert b"https://" not in answer.body
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/x",
        "/../server.py",
        "/page.html",
        "/%2e%2e/page.html",
        "/frame/../info",
        "/etc/passwd",
    ],
)
def test_nothing_else_is_served(server: ViewServer, path: str) -> None:
    answer = ask(server, path)
    assert (answer.status, answer.body) == (404, b"there is nothing here; go to /")


def test_info_tells_the_run_and_the_colours(server: ViewServer) -> None:
    info = json.loads(ask(server, "/info").body)
    assert (info["model"], info["run"]) == ("m", server.site.view.run)
    assert info["colours"]["name"] == "plasma"


def test_a_frame_is_given_once(server: ViewServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "POLL_SECONDS", 0.1)
    server.site.view.frames.put(frame())
    first = ask(server, "/frame?after=")
    assert first.headers["X-Frame"] == f"{server.site.view.run}-1"
    again = ask(server, f"/frame?after={first.headers['X-Frame']}")
    assert (again.status, again.body, again.headers["X-Frame"]) == (200, b"", None)


@pytest.mark.parametrize("after", ["", "other-1", "-", "x", "%0d%0aX-Evil:%201", "1" * 400])
def test_the_newest_frame_is_given_to_whoever_does_not_have_it(
    server: ViewServer, after: str
) -> None:
    server.site.view.frames.put(frame())
    answer = ask(server, f"/frame?after={after}")
    assert answer.headers["X-Frame"] == f"{server.site.view.run}-1"
    assert answer.headers["X-Evil"] is None


def test_a_viewer_waits_for_the_next_frame(server: ViewServer) -> None:
    got: list[bytes] = []
    waiting = threading.Thread(target=lambda: got.append(ask(server, "/frame").body))
    waiting.start()
    time.sleep(0.1)
    assert not got
    server.site.view.frames.put(frame())
    waiting.join()
    assert got == [frame().message()]


def test_the_end_is_told_with_its_reason(server: ViewServer) -> None:
    server.site.view.frames.close(UserError("/dev/video0 stopped working"))
    answer = ask(server, "/frame")
    assert (answer.status, answer.body) == (410, b"/dev/video0 stopped working")


def test_a_viewer_that_waits_is_told_when_the_server_stops() -> None:
    got: list[int] = []
    with serving() as server:
        waiting = threading.Thread(target=lambda: got.append(ask(server, "/frame").status))
        waiting.start()
        time.sleep(0.2)
    waiting.join()
    assert got == [410]


# ---- Who may


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.0.0.1:9999", "[::1]:80", "127.9.9.9"]
)
def test_names_of_this_machine_may_ask(server: ViewServer, host: str) -> None:
    assert ask(server, "/info", {"Host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "[", "", "x@y"],
)
def test_other_names_that_lead_here_are_refused(server: ViewServer, host: str) -> None:
    assert ask(server, "/", {"Host": host}).status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Host": "localhost:80", "Origin": "http://localhost:80"}, 200),
    ],
)
def test_scripts_of_other_sites_are_refused(
    server: ViewServer, headers: dict[str, str], status: int
) -> None:
    assert ask(server, "/info", headers).status == status


def test_another_site_may_link_to_the_page(server: ViewServer) -> None:
    assert ask(server, "/", {"Sec-Fetch-Site": "cross-site"}).status == 200


@pytest.mark.parametrize("path", ["/", "/info", "/frame", "/nothing"])
@pytest.mark.parametrize(
    "query", ["", "?token=", "?token=wrong", f"?token={TOKEN[:-1]}", "?token=%ff"]
)
def test_on_the_network_nothing_is_told_without_the_token(path: str, query: str) -> None:
    with serving(TOKEN) as server:
        answer = ask(server, path + query)
        assert answer.status == 403
        assert b"token is missing or wrong" in answer.body


def test_on_the_network_the_token_opens_it_under_any_name() -> None:
    with serving(TOKEN) as server:
        assert ask(server, f"/info?token={TOKEN}", {"Host": "pi.local:8080"}).status == 200


def test_only_an_address_that_others_reach_needs_a_token() -> None:
    assert Access.for_address("127.0.0.1").token is None
    assert Access.for_address("::1").token is None
    tokens = {Access.for_address("0.0.0.0").token for _ in range(5)}
    assert len(tokens) == 5
    assert min(len(token or "") for token in tokens) >= 20


def test_the_address_of_an_open_server_is_one_that_others_can_use() -> None:
    server = ViewServer("0.0.0.0", 0, View())
    try:
        assert server.url.endswith(f":{server.server_port}/?token={server.site.access.token}")
        assert "0.0.0.0" not in server.url
    finally:
        server.stop()


# ---- What goes wrong


def test_a_port_that_is_taken(server: ViewServer) -> None:
    with pytest.raises(UserError, match=rf"port {server.server_port} of 127.0.0.1 is taken; give"):
        ViewServer("127.0.0.1", server.server_port, View())


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("192.0.2.1", 0, "cannot listen on 192.0.2.1: .*; give --host an address of this"),
        ("127.0.0.1", 65536, "there is no port 65536"),
        ("127.0.0.1", -1, "there is no port -1"),
        ("no such host", 0, "cannot listen on no such host"),
    ],
)
def test_an_address_that_cannot_be_had(host: str, port: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ViewServer(host, port, View())


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET /" + "x" * 5000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", 413),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405),
        ("PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\n" + "".join(f"A{n}: b\r\n" for n in range(200)) + "\r\n", 431),
        ("nonsense\r\n\r\n", 400),
        ("GET http://[/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        ("GET http://evil.example/info HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ],
)
def test_odd_requests_get_one_plain_line(
    server: ViewServer, request_text: str, status: int
) -> None:
    answer = drain(raw(server, request_text)).decode()
    assert f" {status} " in answer.splitlines()[0] or status == 400
    assert "<" not in answer


def test_the_seventeenth_viewer_is_refused_until_one_leaves(server: ViewServer) -> None:
    server.site.view.frames.put(frame())
    viewers = [http.client.HTTPConnection("127.0.0.1", server.server_port) for _ in range(17)]
    statuses = []
    for viewer in viewers:
        viewer.request("GET", "/frame")
        answer = viewer.getresponse()
        answer.read()
        statuses.append(answer.status)
    assert statuses == [200] * 16 + [503]
    viewers[0].close()
    wait_until(lambda: ask(server, "/frame").status != 503)
    for viewer in viewers:
        viewer.close()


def test_connections_beyond_the_limit_are_closed(
    server: ViewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)
    held = [raw(server, "") for _ in range(2)]
    wait_until(lambda: len(server.site.connections) >= 2)
    assert drain(raw(server, "GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n")) == b""
    for stream in held:
        stream.close()


def test_a_request_that_drips_in_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT_SECONDS", 0.3)
    with serving() as server:
        stream = raw(server, "GET / HTTP/1.1\r\n")
        deadline = time.monotonic() + 30
        with contextlib.suppress(ConnectionError):
            while True:  # Each line comes well within the time that a single one may take.
                assert time.monotonic() < deadline
                stream.sendall(b"A: b\r\n")
                time.sleep(0.05)
        stream.close()


def test_viewers_that_vanish_disturb_nobody(
    server: ViewServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.site.view.frames.put(frame(600))  # More than fits into a socket's buffers at once.
    for number in range(100):
        stream = raw(server, "GET /frame HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if number % 2:
            stream.recv(1000)
        if number % 3 == 0:  # A reset instead of an orderly end.
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stream.close()
    assert ask(server, "/info").status == 200
    wait_until(lambda: not server.site.connections)
    assert capfd.readouterr() == ("", "")


def test_a_viewer_that_does_not_read_delays_neither_frames_nor_others(server: ViewServer) -> None:
    slow = raw(server, "GET /frame HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
    tags = []
    for _ in range(20):
        server.site.view.frames.put(frame(600))
        tags.append(ask(server, "/frame").headers["X-Frame"])
    assert tags == [f"{server.site.view.run}-{n}" for n in range(1, 21)]
    slow.close()


def test_a_bug_in_the_server_is_shown(
    server: ViewServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server.site, "page", None)
    assert drain(raw(server, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")) == b""
    assert "AttributeError" in capfd.readouterr().err

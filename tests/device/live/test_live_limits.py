"""What strangers can make the page's server do before they have shown a token."""

from __future__ import annotations

import random
import socket
from http import HTTPStatus

import pytest
from bench_depth.live.web import connections, head
from bench_depth.live.web.connections import Connections, place_of
from bench_depth.live.web.head import Heads, HeadTooLargeError

from tests.device.live.test_live_server import drain, raw, serving


class Endless:
    """A connection that sends `data`, then `filler` without end, in pieces of at most `piece`."""

    def __init__(self, data: bytes, filler: bytes = b"", piece: int = 1 << 20) -> None:
        self._data, self._filler, self._piece = data, filler, piece
        self.received = 0

    def recv(self, size: int) -> bytes:
        size = min(size, self._piece)
        while self._filler and len(self._data) < size:
            self._data += self._filler
        part, self._data = self._data[:size], self._data[size:]
        self.received += len(part)
        return part


REQUEST = b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_heads_are_told_apart_however_they_arrive(piece: int) -> None:
    heads = Heads(Endless(REQUEST + b"GET / HTTP/1.0\n\n" + b"GET", piece=piece))
    assert [heads.next() for _ in range(3)] == [REQUEST, b"GET / HTTP/1.0\n\n", None]


@pytest.mark.parametrize(
    ("start", "filler", "status"),
    [
        (b"", b"x", HTTPStatus.REQUEST_URI_TOO_LONG),
        (b"GET / HTTP/1.1\r\nA: ", b"x", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
        (b"GET / HTTP/1.1\r\n", b"A:\r\n", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
        (b"GET / HTTP/1.1\r\n", b"A: " + b"b" * 60_000 + b"\r\n", None),
    ],
)
def test_of_a_request_without_end_a_limited_number_of_bytes_is_read(
    start: bytes, filler: bytes, status: HTTPStatus | None
) -> None:
    connection = Endless(start, filler)
    with pytest.raises(HeadTooLargeError) as error:
        Heads(connection).next()
    assert error.value.status == (status or HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    assert connection.received <= head.MAX_HEAD_BYTES + head._RECEIVE_BYTES


def test_random_streams_never_take_more_than_the_limit() -> None:
    for seed in range(300):
        draw = random.Random(seed)
        words = (b"GET ", b"/", b"\r", b"\n", b": ", b"\0", b"x" * draw.randint(1, 3000))
        stream = Endless(b"", b"".join(draw.choices(words, k=8)), draw.randint(1, 9000))
        heads, passed = Heads(stream), 0
        try:
            for _ in range(20):
                found = heads.next()
                assert found is not None
                assert len(found) <= head.MAX_HEAD_BYTES
                passed += len(found)
        except HeadTooLargeError:
            pass
        assert stream.received - passed <= head.MAX_HEAD_BYTES + head._RECEIVE_BYTES


def test_a_flood_of_headers_is_refused_before_the_token_is_asked_for() -> None:
    with serving("a-token") as server:
        answer = drain(raw(server, "GET / HTTP/1.1\r\n" + f"A: {'b' * 400}\r\n" * 50 + "\r\n"))
        assert answer == b"" or b" 431 " in answer.splitlines()[0]  # Reset, or read in time.
        assert b" 403 " in drain(raw(server, "GET / HTTP/1.1\r\n\r\n")).splitlines()[0]


def test_one_address_leaves_places_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 6)
    monkeypatch.setattr(connections, "MAX_PER_ADDRESS", 3)
    places = Connections()
    sockets = [socket.socket() for _ in range(8)]
    try:
        assert [places.enter(one, "10.0.0.1") for one in sockets[:4]] == [True] * 3 + [False]
        places.leave(sockets[3])  # It had no place.
        assert [places.enter(one, "10.0.0.2") for one in sockets[4:8]] == [True] * 3 + [False]
        places.leave(sockets[0])
        assert places.enter(sockets[3], "10.0.0.1")
        for one in sockets:
            places.leave(one)
        assert len(places) == 0
        assert not places._places
    finally:
        for one in sockets:
            one.close()


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_ipv6_host_has_one_place_for_all_its_addresses(address: str, place: str) -> None:
    assert place_of(address) == place

"""Frames over MQTT, to a broker of a few lines."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.depth.scale import Scale
from bench_depth.live import mqtt
from bench_depth.live.mqtt import Broker, Publisher, parse_broker
from bench_depth.live.web.view import View

from tests.device.live.live_helpers import run, write_video

pytestmark = pytest.mark.same_everywhere
CONNECT, PUBLISH = 1, 3


class TinyBroker:
    """Answers each connection with `code` and keeps what it is sent: (type, body of the packet)."""

    def __init__(self, code: int = 0, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._code = code
        self._streams: list[socket.socket] = []
        self.port = self._listener.getsockname()[1]
        self.packets: queue.Queue[tuple[int, bytes]] = queue.Queue()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> TinyBroker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for each in (self._listener, *self._streams):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def published(self) -> tuple[str, dict[str, object]]:
        """Topic and message of the next PUBLISH."""
        while True:
            kind, body = self.packets.get(timeout=30)
            if kind == PUBLISH:
                size = int.from_bytes(body[:2], "big")
                return body[2 : 2 + size].decode(), json.loads(body[2 + size :])

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            self._streams.append(stream)
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream: socket.socket) -> None:
        with stream.makefile("rb") as received:
            while head := received.read(1):
                length = shift = 0
                more = True
                while more:
                    digit = received.read(1)[0]
                    length, shift, more = length | (digit & 127) << shift, shift + 7, digit > 127
                kind = head[0] >> 4
                self.packets.put((kind, received.read(length)))
                if kind == CONNECT:
                    stream.sendall(bytes([0x20, 2, 0, self._code]))


def put(view: View, depth: float) -> None:
    picture = np.full((4, 6), depth, np.float32)
    view.put(np.zeros((4, 6, 3), np.uint8), picture, Scale(), {"name": "n"})


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_the_command_publishes_what_depth_json_tells(tiny_tflite: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.avi", 3)
    options = ["--zone", "left=0,0,0.4,0.8", "--alarm", "2", "--mqtt-topic", "home/depth"]
    os.environ.update({mqtt.USER: "me", mqtt.PASSWORD: "secret"})
    try:
        with TinyBroker() as broker:
            done = run(
                "--model", tiny_tflite, "--source", video, "--no-server",
                "--mqtt", f"127.0.0.1:{broker.port}", *options,
            )  # fmt: skip
            assert (done.returncode, "secret" in done.stderr) == (0, False), done.stderr
            kind, login = broker.packets.get(timeout=30)
            assert kind == CONNECT
            assert login.endswith(b"\0\2me\0\6secret")
            topic, message = broker.published()
    finally:
        del os.environ[mqtt.USER], os.environ[mqtt.PASSWORD]
    assert (topic, message["alarm"]) == ("home/depth", True)
    assert message["zones"][0]["name"] == "left"
    assert message["zones"][0]["nearest"] == pytest.approx(1.5, abs=0.05)


def test_frames_are_dropped_while_the_broker_is_away_and_that_is_said_once() -> None:
    view, said = View(), []
    broker = TinyBroker()
    publisher = Publisher(Broker("127.0.0.1", broker.port, "t"), view.frames, said.append)
    try:
        put(view, 1.0)
        assert broker.published()[1]["nearest"] == 1.0
        broker.close()
        deadline = time.monotonic() + 30
        while not said:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for depth in (2.0, 3.0, 4.0):
            put(view, depth)
        with TinyBroker(port=broker.port) as again:
            assert again.packets.get(timeout=30)[0] == CONNECT
            while again.packets.empty():
                put(view, 5.0)
                time.sleep(0.02)
                assert time.monotonic() < deadline
            assert again.published()[1]["nearest"] == 5.0
    finally:
        publisher.close()
    assert said == [
        f"lost the MQTT host 127.0.0.1:{broker.port}; frames are not published until it is back"
    ]
    assert "mqtt" not in [thread.name for thread in threading.enumerate()]


def test_a_broker_that_is_down_or_refuses_is_one_line() -> None:
    port = closed_port()
    with pytest.raises(UserError, match=rf"cannot reach the MQTT host 127.0.0.1:{port}: Conn"):
        Publisher(Broker("127.0.0.1", port, "t"), View().frames, print)
    with TinyBroker(code=5) as broker, pytest.raises(UserError, match="refuses: Not authorized"):
        Publisher(Broker("127.0.0.1", broker.port, "t"), View().frames, print)


def test_a_host_that_is_no_broker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(UserError, match=r"no answer within 0\.3 s"):
            Publisher(Broker("127.0.0.1", port, "t"), View().frames, print)


@pytest.mark.parametrize("name", [mqtt.USER, mqtt.PASSWORD])
@pytest.mark.parametrize("text", ["\udcff", "x" * 65536, "\u00fc" * 32768])
def test_a_user_or_password_that_mqtt_cannot_send_is_one_line(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mqtt.USER, "user")
    monkeypatch.setenv(name, text)
    with pytest.raises(UserError, match=f"{name} is no UTF-8 text"):
        Publisher(parse_broker("127.0.0.1:1", None), View().frames, lambda line: None)


def test_without_paho_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mqtt.importlib.sys.modules, "paho.mqtt.client", None)
    with pytest.raises(UserError, match=r"pip install 'bench-depth\[mqtt\]'"):
        Publisher(Broker("127.0.0.1", 1, "t"), View().frames, print)


@pytest.mark.parametrize(
    ("text", "host", "port", "name"),
    [
        ("pi", "pi", 1883, "pi:1883"),
        ("192.168.1.5:99", "192.168.1.5", 99, "192.168.1.5:99"),
        ("[::1]", "::1", 1883, "[::1]:1883"),
        ("[fe80::1%eth0]:5", "fe80::1%eth0", 5, "[fe80::1%eth0]:5"),
    ],
)
def test_a_host_is_parsed(text: str, host: str, port: int, name: str) -> None:
    broker = parse_broker(text)
    assert (broker.host, broker.port, broker.name) == (host, port, name)
    assert broker.topic == f"bench-depth/{socket.gethostname()}"


@pytest.mark.parametrize(
    ("text", "topic", "message"),
    [
        ("", None, "is not HOST or HOST:PORT"),
        ("pi:", None, "is not HOST or HOST:PORT"),
        ("pi:0", None, "is not HOST or HOST:PORT"),
        ("pi:65536", None, "is not HOST or HOST:PORT"),
        ("pi:x", None, "is not HOST or HOST:PORT"),
        ("::1", None, "is not HOST or HOST:PORT"),
        ("mqtt://pi", None, "is not HOST or HOST:PORT"),
        ("user@pi:1\n", None, "is not HOST or HOST:PORT"),
        ("pi", "", "cannot be published to"),
        ("pi", "a/#", "cannot be published to"),
        ("pi", "+/b", "cannot be published to"),
        ("pi", "a\0b", "cannot be published to"),
        ("pi", "x" * 70_000, "cannot be published to"),
    ],
)
def test_no_broker(text: str, topic: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_broker(text, topic)

"""Publishes the newest frame in numbers to an MQTT broker (MQTT 3.1.1)."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

from bench_depth.core.errors import UserError
from bench_depth.core.screen import printable
from bench_depth.live.frames.latest import EndedError, Latest
from bench_depth.live.web.view import ViewFrame

PORT = 1883
USER, PASSWORD = "BENCH_DEPTH_MQTT_USER", "BENCH_DEPTH_MQTT_PASSWORD"
# Seconds in which a broker has to answer; less than a run has for its end.
CONNECT_SECONDS = 4.0
_KEEPALIVE_SECONDS = 30
_MAX_PORT = 65535
_MAX_TEXT_BYTES = 65535
# Seconds between two checks whether the run ended.
_TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Broker:
    """Where frames are published.

    Attributes:
        host: Name or address of the broker.
        port: TCP port.
        topic: Topic that every frame is published under.
    """

    host: str
    port: int
    topic: str

    @property
    def name(self) -> str:
        """The broker as the command line takes it, for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_broker(text: str, topic: Optional[str] = None) -> Broker:
    """Parses HOST, HOST:PORT or [IPv6]:PORT.

    Args:
        text: The broker, as `--mqtt` takes it.
        topic: Topic to publish under; None for `bench-depth/` and the name of this machine.

    Raises:
        UserError: It has another form, or a broker would refuse the topic.
    """
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:/\[\]]+))(?::(\d{1,5}))?", text)
    port = int(found[3] or PORT) if found else 0
    if found is None or not 0 < port <= _MAX_PORT:
        raise UserError(
            f"--mqtt {text} is not HOST or HOST:PORT, like 192.168.1.5:1883 or [fe80::1]:1883"
        )
    topic = f"bench-depth/{socket.gethostname()}" if topic is None else topic
    size = len(topic.encode("utf-8", "replace"))
    if not 0 < size <= _MAX_TEXT_BYTES or re.search("[+#]", topic) or printable(topic) != topic:
        raise UserError(
            f"--mqtt-topic {topic!r} cannot be published to; give a name like home/depth, "
            "without + and #"
        )
    return Broker(found[1] or found[2], port, topic)


class Publisher:
    """Publishes each newest frame as `/depth.json` gives it; frames are dropped, never queued.

    A connection that is lost later is made again in the background.

    Args:
        broker: The broker to publish to. User and password are taken out of the environment.
        frames: Slot with the newest frame.
        log: Called with one line when the connection is lost for the first time.

    Raises:
        UserError: paho-mqtt is not installed, or the broker cannot be reached or refuses.
    """

    def __init__(
        self, broker: Broker, frames: Latest[ViewFrame], log: Callable[[str], None]
    ) -> None:
        self._broker, self._frames, self._log = broker, frames, log
        self._answered = threading.Event()
        self._refusal: Optional[str] = None
        self._ended = threading.Event()
        self._told = False
        self._client = self._connect()
        self._thread = threading.Thread(target=self._publish_all, name="mqtt", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Publishes the last frame, if the broker takes it, then ends the connection."""
        self._frames.close()
        self._thread.join(_TICK_SECONDS)
        self._ended.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _connect(self) -> Any:
        paho = _paho()
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        user, password = (_credential(name) for name in (USER, PASSWORD))
        if user:
            client.username_pw_set(user, password)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.connect_timeout = CONNECT_SECONDS
        client.reconnect_delay_set(1, 30)
        try:
            client.connect(self._broker.host, self._broker.port, _KEEPALIVE_SECONDS)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(
                f"cannot reach the MQTT host {self._broker.name}: {reason}; check that a broker "
                "runs there"
            ) from error
        client.loop_start()
        answered = self._answered.wait(CONNECT_SECONDS)
        refusal = self._refusal if answered else f"no answer within {CONNECT_SECONDS:g} s"
        if refusal is not None:
            client.disconnect()
            client.loop_stop()
            raise UserError(
                f"the MQTT host {self._broker.name} refuses: {refusal}; user and password are "
                f"taken from {USER} and {PASSWORD}"
            )
        return client

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, rest: Any) -> None:
        if not self._answered.is_set():
            self._refusal = str(reason) if reason.is_failure else None
            self._answered.set()

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, rest: Any) -> None:
        if not self._answered.is_set():
            self._refusal = "it closed the connection"
            self._answered.set()
        elif not (self._ended.is_set() or self._refusal or self._told):
            self._told = True
            self._log(
                f"lost the MQTT host {self._broker.name}; frames are not published until it is back"
            )

    def _publish_all(self) -> None:
        number = 0
        while not self._ended.is_set():
            try:
                found = self._frames.newer(number, _TICK_SECONDS)
            except EndedError:
                return
            if found is None:
                continue
            number, frame = found
            if self._client.is_connected():
                self._publish(frame.distances())

    def _publish(self, payload: bytes) -> None:
        """Returns when the message has been sent or dropped, so that none waits behind another."""
        message = self._client.publish(self._broker.topic, payload)
        with contextlib.suppress(RuntimeError):  # The connection is lost, and so is the message.
            while not message.is_published() and not self._ended.is_set():
                message.wait_for_publish(_TICK_SECONDS)


def _credential(name: str) -> Optional[str]:
    """Takes a user or a password out of the environment; None where it is not set."""
    text = os.environ.pop(name, None)
    try:
        fits = text is None or len(text.encode()) <= _MAX_TEXT_BYTES
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise UserError(f"{name} is no UTF-8 text of at most {_MAX_TEXT_BYTES} bytes; set it anew")
    return text


def _paho() -> Any:
    try:
        return importlib.import_module("paho.mqtt.client")
    except ImportError as error:
        raise UserError(
            "--mqtt needs the package paho-mqtt; run: pip install 'bench-depth[mqtt]'"
        ) from error

"""Runs of `bench-depth live` with viewers that vanish and are slow, and a camera that goes away."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from corpus import RELEASED, Corpus
from damage import Rng, pick
from processes import Command, bench

FPS = 15.0
# Growth of the resident memory from the end of the first quarter to the end, bytes.
GROWTH = 24 << 20
# Frames of the last quarter over those of the first.
STEADY = 0.5
TERM_S = 15.0


class Camera:
    """Images at a steady rate, until it is pulled out.

    Args:
        frames: Number of images; None for no end.
    """

    name = "a camera"
    interval = None

    def __init__(self, frames: int | None = None) -> None:
        self._left = frames
        self._number = 0

    def grab(self) -> str:
        """As `ImageSource.grab`."""
        from bench_depth.core.errors import UserError

        if self._number == self._left:
            raise UserError("a camera stopped working: no photo came; check its cable")
        time.sleep(1 / FPS)
        self._number += 1
        return f"{self._number:06}"

    def take(self) -> np.ndarray:
        """As `ImageSource.take`."""
        return np.full((48, 64, 3), self._number % 256, np.uint8)

    def close(self) -> None:
        """As `ImageSource.close`."""


def live(corpus: Corpus, seed: int, folder: Path) -> str:
    """Half a minute with viewers; in every fourth attempt the camera goes away, and returns."""
    rng = np.random.default_rng(seed)
    gone = seed % 4 == 0
    frames = int(rng.integers(1, 60)) if gone else None
    with Command(_command(lambda: Camera(frames))) as command:
        port, path = _address(command)
        if port is None:
            return f"no page\n{command.text()}"
        if not gone:
            fault = _watched(command, port, path, float(rng.uniform(20, 40)), rng)
            os.kill(command.pid, signal.SIGTERM)
            outcome = command.wait(TERM_S)
            bad = fault or outcome.fault or ("" if outcome.code == 0 else f"code {outcome.code}")
            return f"{bad}\n{outcome.text}" if bad else ""
        with contextlib.suppress(OSError, http.client.HTTPException):
            _view(port, path, rng, time.monotonic() + 2)
        outcome = command.wait(TERM_S)
        if outcome.fault or outcome.code != 2:
            return outcome.fault or f"code {outcome.code} without a camera\n{outcome.text}"
    return _returned(port)


def _returned(port: int) -> str:
    """The camera is back, and a service manager starts the command again, at the same port."""
    with Command(_command(Camera, port)) as command:
        address = _address(command)
        seen = address[0] == port and _frame(port, address[1])
        os.kill(command.pid, signal.SIGTERM)
        outcome = command.wait(TERM_S)
        return outcome.fault or ("" if seen else f"no frame from the camera\n{outcome.text}")


def _command(make: Callable[[], Camera], port: int = 0) -> Callable[[], int]:
    def work() -> int:
        from bench_depth.live import session

        session.open_source = lambda *_, **__: make()  # type: ignore[assignment]
        return bench("live", "--model", RELEASED, "--source", "0", "--port", port, "--threads", 1)()

    return work


def _address(command: Command) -> tuple[int | None, str]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.search(r"open http://[\d.]+:(\d+)(/\S*)", command.text())
        if found:
            return int(found[1]), found[2]
        time.sleep(0.05)
    return None, ""


def _watched(command: Command, port: int, path: str, seconds: float, rng: Rng) -> str:
    """Has viewers come and go for some seconds; checks memory and frames per second."""
    time.sleep(2)
    end = time.monotonic() + seconds
    kinds = (_view, _vanish, _slow, _flood)
    viewers = [
        threading.Thread(target=_repeat, args=(kind, port, path, int(rng.integers(2**31)), end))
        for kind in (kinds * 2)
    ]
    for viewer in viewers:
        viewer.start()
    marks = []
    for _ in range(5):
        marks.append((_frame(port, path), _resident(command.pid)))
        time.sleep(seconds / 4)
    for viewer in viewers:
        viewer.join()
    frames = [mark[0] for mark in marks]
    ratio = (frames[4] - frames[3]) / max(1, frames[1] - frames[0])
    growth = marks[4][1] - marks[1][1]
    if ratio < STEADY:
        return f"frames per quarter {np.diff(frames).tolist()}"
    return f"memory grew by {growth / 2**20:.0f} MiB" if growth > GROWTH else ""


def _repeat(kind: Callable[..., None], port: int, path: str, seed: int, end: float) -> None:
    rng = np.random.default_rng(seed)
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            kind(port, path, rng, end)
        time.sleep(0.05)


def _query(path: str) -> str:
    return path.partition("?")[2]


def _view(port: int, path: str, rng: Rng, end: float) -> None:
    """A page that shows every frame."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    tag = ""
    with contextlib.closing(connection):
        while time.monotonic() < end and rng.random() > 0.01:
            connection.request("GET", f"/frame?after={tag}&{_query(path)}")
            answer = connection.getresponse()
            answer.read()
            tag = answer.headers.get("X-Frame", "")


def _vanish(port: int, path: str, rng: Rng, end: float) -> None:
    """Asks, reads some bytes or none, and is gone with a reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        what = pick(rng, ("/frame", "/events", "/depth.png", "/"))
        connection.sendall(
            f"GET {what}?{_query(path)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        connection.recv(int(rng.integers(1, 2000)))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def _slow(port: int, path: str, rng: Rng, end: float) -> None:
    """Reads a few bytes at a time."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.sendall(
            f"GET /events?{_query(path)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        stop = min(end, time.monotonic() + float(rng.uniform(1, 10)))
        while time.monotonic() < stop and connection.recv(16):
            time.sleep(0.2)


def _flood(port: int, path: str, rng: Rng, end: float) -> None:
    """Sends headers without an end."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        for _ in range(200):
            connection.sendall(b"X: " + rng.bytes(1000).hex().encode() + b"\r\n")


def _frame(port: int, path: str) -> int:
    """The number of the newest frame."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            connection.request("GET", f"/depth.json?{_query(path)}")
            return int(connection.getresponse().headers.get("X-Frame", "").rpartition("-")[2])
        time.sleep(0.1)
    return 0


def _resident(pid: int) -> int:
    """Memory of a process and its children, bytes."""
    total = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    children: Any = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return total + sum(_resident(int(child)) for child in children)

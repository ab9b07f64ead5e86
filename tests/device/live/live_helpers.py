"""Videos whose depth is known, a source that tests control, and `bench-depth live` as a process."""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

LEFT, RIGHT = 100, 200  # Grey levels, 1.5 m and 2.5 m to the tiny models.


def moving_picture(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """Left and right half of one grey each; along the bottom a white bar moves."""
    picture = np.full((height, width, 3), LEFT, np.uint8)
    picture[:, width // 2 :] = RIGHT
    start = number * 4 % width
    picture[-height // 6 :, start : start + 8] = 255
    return picture


def write_video(path: Path, frames: int, fps: float = 10.0, numbered: bool = False) -> Path:
    """A Motion JPEG video; with `numbered`, every pixel of frame n is 5 n."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    assert writer.isOpened()
    for number in range(frames):
        grey = np.full((48, 64, 3), 5 * number % 256, np.uint8)
        writer.write(grey if numbered else moving_picture(number))
    writer.release()
    return path


def write_pictures(folder: Path, greys: list[int]) -> Path:
    folder.mkdir()
    for number, grey in enumerate(greys):
        cv2.imwrite(str(folder / f"p{number}.png"), np.full((48, 64, 3), grey, np.uint8))
    return folder


class FakeSource:
    """Gives `count` photos; every pixel of photo n is n. With `endless` it then blocks until
    `let_go` is set."""

    def __init__(
        self,
        count: int,
        interval: float | None = None,
        fails: Exception | None = None,
        endless: bool = False,
    ) -> None:
        self.name = "fake"
        self.interval = interval
        self.grabbed = self.taken = 0
        self.closed = threading.Event()
        self.finished = threading.Event()
        self.let_go = threading.Event()
        self._count = count
        self._fails = fails
        self._endless = endless

    def grab(self) -> str | None:
        if self.grabbed == self._count:
            self.finished.set()
            if self._fails is not None:
                raise self._fails
            if self._endless:
                self.let_go.wait(30)
            return None
        self.grabbed += 1
        return str(self.grabbed - 1)

    def take(self) -> np.ndarray:
        self.taken += 1
        return np.full((4, 6, 3), self.grabbed - 1, np.uint8)

    def close(self) -> None:
        self.closed.set()


def command(*arguments: object) -> list[str]:
    code = "import sys; from bench_depth.commands.live import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, *map(str, arguments)]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), check=False, capture_output=True, text=True)


@contextlib.contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, and so their children, are started with Ctrl-C switched off.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def address_of(process: subprocess.Popen[str]) -> str:
    """Waits until the page can be opened."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("open http"), (line, process.stderr and process.stderr.read())
    return line.removeprefix("open ").strip()


def get(url: str, path: str) -> bytes:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body

"""A headless Chromium, driven through the DevTools protocol over a pair of pipes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_DEADLINE = 60.0


class Browser:
    def __init__(self, send: int, receive: int) -> None:
        self._send = send
        self._receive = receive
        self._numbers = itertools.count(1)
        self._rest = b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self.events.append(answer)

    def open(self, url: str, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self, attached["sessionId"], target["targetId"])
        for domain in ("Runtime", "Log", "Page"):
            page.call(f"{domain}.enable")
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        page.call("Emulation.setEmulatedMedia", features=features)
        page.call("Page.navigate", url=url)
        page.wait("location.href != 'about:blank' && document.readyState == 'complete'")
        return page

    def complaints(self) -> list[str]:
        """Everything that pages wrote to the console as an error or threw."""
        found = []
        for event in self.events:
            params = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(json.dumps(params["exceptionDetails"]))
            entry = params.get("entry", {})
            if event.get("method") == "Log.entryAdded" and entry["level"] == "error":
                found.append(entry["text"])
        return found

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._receive], [], [], _DEADLINE)
            data = os.read(self._receive, 1 << 20) if ready else b""
            if not data:
                raise RuntimeError("Chromium does not answer")
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))


class Page:
    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def evaluate(self, script: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self, element: str) -> str:
        return str(self.evaluate(f"document.getElementById({element!r}).textContent"))

    def wait(self, script: str, holds: Callable[[Any], bool] = bool) -> Any:
        """The script's value once it holds."""
        deadline = time.monotonic() + _DEADLINE
        while True:
            value = self.evaluate(script)
            if holds(value):
                return value
            assert time.monotonic() < deadline, f"{script} stays {value!r}"
            time.sleep(0.05)

    def place(self, element: str, x: float, y: float) -> tuple[float, float]:
        """Where on the page a point of an element lies that is told in parts of its size."""
        left, top, width, height = self.evaluate(
            f"(b => [b.left, b.top, b.width, b.height])"
            f"(document.getElementById({element!r}).getBoundingClientRect())"
        )
        return left + x * width, top + y * height

    def mouse(self, element: str, x: float, y: float) -> None:
        left, top = self.place(element, x, y)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=left, y=top)

    def drag(self, element: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        for kind, point in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            left, top = self.place(element, *point)
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=left, y=top, button="left", clickCount=1
            )

    def touch(self, element: str, x: float, y: float) -> None:
        left, top = self.place(element, x, y)
        self.call(
            "Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": left, "y": top}]
        )
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)


@contextlib.contextmanager
def chromium(program: Path, profile: Path) -> Iterator[Browser]:
    to_read, to_send = os.pipe()
    to_receive, to_write = os.pipe()
    # Chromium takes the pipes at these two numbers. Other shells know only one-digit ones.
    script = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
    process = subprocess.Popen(
        ["bash", "-c", script, str(program), *_SWITCHES, f"--user-data-dir={profile}"],
        pass_fds=(to_read, to_write),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(to_write)
    browser = Browser(to_send, to_receive)
    try:
        yield browser
        browser.call("Browser.close")
        process.wait(timeout=30)
    finally:
        process.kill()
        process.wait()
        os.close(to_send)
        os.close(to_receive)

"""The page of `bench-depth live` in a real browser, fed with a video whose depth is known."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from bench_depth.model.contract import ModelContract

from tests.device.conftest import TfliteMaker
from tests.device.live.browser import Browser, Page, chromium
from tests.device.live.live_helpers import (
    LEFT,
    RIGHT,
    address_of,
    get,
    started,
    write_video,
)

pytestmark = pytest.mark.slow
# The grey levels that the video's compression leaves, and the two decimals that are shown.
TOLERANCE = 0.03
PICTURE = "document.getElementById('{}').toDataURL()"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        reason = "chromium is not installed: apt install chromium"
        if os.environ.get("CI"):
            pytest.fail(f"{reason} (in CI this test must run)")
        pytest.skip(reason)
    with chromium(Path(program), tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def words(make_tflite: TfliteMaker, contract: ModelContract, tmp_path: Path) -> tuple[object, ...]:
    model = make_tflite(tmp_path / "tiny.tflite", contract)
    video = write_video(tmp_path / "v.avi", 16)
    return ("--model", model, "--source", video, "--loop", "--port")


def live_page(browser: Browser, url: str, width: int = 1280) -> Page:
    """A page that shows frames."""
    page = browser.open(url, width)
    page.wait("document.body.className", lambda name: name == "live")
    return page


def metres(text: str) -> float:
    number, unit = text.split()
    assert unit == "m"
    return float(number)


def depth_of(grey: int) -> float:
    return grey / 100 + 0.5


@pytest.mark.parametrize("width", [1280, 390])
def test_both_pictures_move_and_the_mark_tells_the_distance(
    browser: Browser, words: tuple[object, ...], width: int
) -> None:
    with started(*words, 0) as process:
        page = live_page(browser, address_of(process), width)
        for picture in ("photo", "depth"):
            first = page.evaluate(PICTURE.format(picture))
            page.wait(PICTURE.format(picture), lambda now, first=first: now != first)
        for picture in ("depth", "photo"):
            for x, grey in ((0.25, LEFT), (0.75, RIGHT)):
                page.mouse(picture, x, 0.4)
                assert metres(page.text("distance")) == pytest.approx(depth_of(grey), abs=TOLERANCE)
        page.touch("depth", 0.25, 0.2)
        assert metres(page.text("distance")) == pytest.approx(depth_of(LEFT), abs=TOLERANCE)
        assert "tiny.tflite" in page.text("context")
        assert "fps" in page.wait(
            "document.getElementById('fps').textContent", lambda t: "fps" in t
        )
        assert "invoke" in page.text("stages")
        # Nothing lies beyond the screen's edge.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()
    assert browser.complaints() == []


def test_the_colours_are_spread_over_the_picture_or_the_models_range(
    browser: Browser, words: tuple[object, ...]
) -> None:
    with started(*words, 0) as process:
        page = live_page(browser, address_of(process))
        near = page.wait("document.getElementById('near').textContent", lambda t: "m" in t)
        assert metres(near.removeprefix("near: ")) == pytest.approx(depth_of(LEFT), abs=0.1)
        page.evaluate("document.querySelector('input[value=fixed]').click()")
        assert (page.text("near"), page.text("far")) == ("near: 0.5 m", "far: 3.0 m")
        page.close()


def test_a_zone_is_drawn_and_raises_the_alarm(browser: Browser, words: tuple[object, ...]) -> None:
    nearest = "document.querySelector('#zones td:nth-child(2)')?.textContent ?? ''"
    with started(*words, 0) as process:
        address = address_of(process)
        page = live_page(browser, address)
        page.evaluate("document.getElementById('draw').click()")
        page.drag("depth", (0.6, 0.2), (0.9, 0.6))
        found = metres(page.wait(nearest, lambda text: text.endswith("m")))
        assert found == pytest.approx(depth_of(RIGHT), abs=TOLERANCE)
        page.evaluate("$('below').value = 2.8; $('below').dispatchEvent(new Event('change'))")
        assert "zone 1" in page.wait("document.title", lambda title: "Alarm" in title)
        (zone,) = json.loads(get(address, "/depth.json"))["zones"]
        assert (zone["name"], zone["alarm"]) == ("zone 1", True)
        # With the keyboard, from another page, which has the zone too.
        other = browser.open(address)
        other.call("Page.bringToFront")
        other.wait(nearest)
        other.evaluate("$('draw').click(); document.querySelector('.pane').focus()")
        for key in ("Enter", "ArrowLeft", "ArrowUp", "Enter"):
            other.call("Input.dispatchKeyEvent", type="keyDown", key=key)
        other.wait("document.querySelectorAll('#zones tbody tr').length", lambda rows: rows == 2)
        other.evaluate("document.querySelector('#zones tbody button').click()")
        other.wait("document.querySelectorAll('.zone').length", lambda boxes: boxes == 2)
        for each in (page, other):
            each.close()
    assert browser.complaints() == []


def test_a_paused_page_keeps_its_frame_and_saves_it(
    browser: Browser, words: tuple[object, ...]
) -> None:
    with started(*words, 0) as process:
        address = address_of(process)
        page = live_page(browser, address)
        page.evaluate("document.getElementById('pause').click()")
        page.wait("document.getElementById('state').textContent", lambda text: text == "paused")
        held = page.evaluate("held")
        get(address, f"/frame?after={held}")  # A newer one is there.
        assert page.evaluate("tag") == held
        links = page.evaluate("[...document.querySelectorAll('.save a')].map((a) => a.href)")
        assert len(links) == 4
        for link in links:
            assert f"frame={held}" in link
            assert len(get(address, link.removeprefix(address.rstrip("/")))) > 100
        page.evaluate("$('opacity').value = 50; $('opacity').dispatchEvent(new Event('input'))")
        assert page.evaluate("getComputedStyle($('overlay')).opacity") == "0.5"
        page.evaluate("$('from').value = 1; $('to').value = 2;")
        page.evaluate("$('to').dispatchEvent(new Event('change', { bubbles: true }))")
        assert (page.text("near"), page.text("far")) == ("near: 1.0 m", "far: 2.0 m")
        page.evaluate("document.getElementById('pause').click()")
        page.wait("tag", lambda now: now != held)
        page.close()
    assert browser.complaints() == []


def test_a_second_viewer_sees_it_too(browser: Browser, words: tuple[object, ...]) -> None:
    with started(*words, 0) as process:
        address = address_of(process)
        pages = [browser.open(address), browser.open(address)]
        for page in pages:
            page.call("Page.bringToFront")
            page.wait("document.body.className", lambda name: name == "live")
            page.mouse("depth", 0.75, 0.4)
            assert metres(page.text("distance")) == pytest.approx(depth_of(RIGHT), abs=TOLERANCE)
        for page in pages:
            page.close()


def test_a_page_goes_on_while_others_vanish(browser: Browser, words: tuple[object, ...]) -> None:
    with started(*words, 0) as process:
        address = address_of(process)
        page = live_page(browser, address)
        target = (urlsplit(address).hostname, urlsplit(address).port)
        for number in range(100):
            with socket.create_connection(target, timeout=30) as stream:
                stream.sendall(b"GET /frame HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if number % 2:
                    stream.recv(100)
        before = page.evaluate("tag")
        page.wait("tag", lambda now: now != before)
        assert page.evaluate("document.body.className") == "live"
        page.close()


def test_the_page_says_that_it_stalled_and_takes_up_again(
    browser: Browser, words: tuple[object, ...]
) -> None:
    with started(*words, 0) as process:
        address = address_of(process)
        page = live_page(browser, address)
        first = page.evaluate("run")
        process.kill()
        page.wait("document.getElementById('state').textContent", lambda t: "no connection" in t)
        assert page.evaluate("document.body.className") == ""
        process.wait()
        with started(*words, urlsplit(address).port) as again:
            address_of(again)
            page.wait("document.body.className", lambda name: name == "live")
            assert page.evaluate("run") != first
            page.close()


def test_a_page_without_frames_says_stalled(browser: Browser, words: tuple[object, ...]) -> None:
    with started(*words, 0) as process:
        page = live_page(browser, address_of(process))
        process.send_signal(signal.SIGTSTP)  # The connection stays.
        page.wait("document.getElementById('state').textContent", lambda t: "stalled for" in t)
        process.send_signal(signal.SIGCONT)
        page.wait("document.body.className", lambda name: name == "live")
        page.close()


def test_on_the_network_the_page_needs_the_token(
    browser: Browser, words: tuple[object, ...]
) -> None:
    with started(*words, 0, "--host", "0.0.0.0") as process:
        address = urlsplit(address_of(process))
        local = f"http://127.0.0.1:{address.port}/"
        refused = browser.open(local)
        assert "token is missing or wrong" in refused.evaluate("document.body.textContent")
        refused.close()
        browser.events.clear()  # The refusal is an error to the browser.
        page = live_page(browser, f"{local}?{address.query}")
        page.close()

"""The page of `bench-depth depth --html`: what it holds, keeps and refuses."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import cv2
import numpy as np
import pytest
from bench_depth.commands import depth as depth_command
from bench_depth.core.errors import UserError
from bench_depth.depth.gallery import PAGE, Gallery
from bench_depth.depth.inputs import Input, find_inputs
from bench_depth.depth.outputs import OutputOptions
from bench_depth.depth.scale import Scale

from tests.device.conftest import HEIGHT, WIDTH

pytestmark = pytest.mark.same_everywhere
OPTIONS = OutputOptions()
PHOTO = np.zeros((6, 8, 3), np.uint8)
DEPTH = np.linspace(1, 2, 48, dtype=np.float32).reshape(6, 8)
HOSTILE = ("<img src=x onerror=alert(1)>", "\"'&amp;", "javascript:alert(1)", "../up", "a b#c?%20")


def names() -> list[str]:
    """Hostile names, and some of any characters that a file name may hold on Linux."""
    random = np.random.default_rng(0)
    ranges = ((1, 0x80), (0x80, 0x300), (0x2000, 0x2100), (0xDC80, 0xDD00), (0x1F300, 0x1F700))
    drawn = ["".join(chr(random.integers(*part)) for part in ranges * 3) for _ in range(5)]
    return [f"{name.replace('/', '-')}.jpg" for name in (*HOSTILE, *drawn)]


class Tags(HTMLParser):
    """The tags of a page, the text of its headings, and its links."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for key, value in attrs if key == "href"]


def one(name: str) -> Input:
    return Input(f"/photos/{name}", "image", Path(name).with_suffix(""))


def add(gallery: Gallery, source: Input, folder: Path) -> None:
    gallery.show(source, Scale(), PHOTO, DEPTH)
    gallery.add(source, {"colour": folder / f"{source.name}-depth.png"}, (1.0, 1.5, 2.0))


@pytest.mark.parametrize("name", names(), ids=ascii)
def test_any_file_name_is_text_alone_and_survives_a_second_run(tmp_path: Path, name: str) -> None:
    source = one(name)
    page = tmp_path / PAGE
    first = Gallery(tmp_path, "<b>", OPTIONS)
    add(first, source, tmp_path)
    first.fail(f"{name} <script>")
    assert first.write() == page
    tags = Tags(page)
    assert (tags.tags.count("script"), tags.tags.count("img")) == (1, 2)
    (link,) = tags.links
    assert unquote_to_bytes(link) == f"{source.name}-depth.png".encode("utf-8", "surrogateescape")
    assert re.fullmatch(r"[\w.~%/-]+", link, re.ASCII)
    again = Gallery(tmp_path, "<b>", OPTIONS)
    assert source in again
    assert one(f"other{name}") not in again
    again.fail(f"{name} <script>")
    before = page.read_bytes()
    again.write()
    assert page.read_bytes() == before


def test_a_page_of_somebody_else_is_kept(tmp_path: Path) -> None:
    (tmp_path / PAGE).write_text("<h1>mine</h1>")
    with pytest.raises(UserError, match="was not written by this command"):
        Gallery(tmp_path, "m", OPTIONS)


def test_what_was_not_completed_is_not_on_the_page(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path, "m", OPTIONS)
    add(gallery, one("a.jpg"), tmp_path)
    gallery.show(one("b.jpg"), Scale(), PHOTO, DEPTH)
    assert Tags(gallery.write()).tags.count("article") == 1


def test_the_command_adds_to_its_page_what_that_lacks(
    tiny_tflite: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    words = [str(photos), "--model", str(tiny_tflite), "--out", str(out)]
    for number, more in enumerate(([], ["--html"], ["--html"])):
        (photos / f"{number}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
        assert depth_command.main([*words, *more]) == 0
        lines = capfd.readouterr().out.splitlines()
        made = [line for line in lines if "nearest" in line]
        # The picture of the first run was on no page.
        assert len(made) == (1, 2, 1)[number]
    assert lines[-1] == f"page: {out / PAGE}"
    tags = Tags(out / PAGE)
    assert tags.tags.count("article") == 3
    assert all((out / link).is_file() for link in tags.links)
    assert depth_command.main([str(photos), "--html"]) == 2
    assert "give --out as well" in capfd.readouterr().err


def test_a_title_is_the_name_of_the_file_whatever_its_results_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/b/x.jpg", "a/b/x.mp4", "a/y.JPG", "z.tar.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    found = find_inputs(["a", "z.tar.png", "0"])
    assert [each.title for each in found] == [
        "y.JPG",
        "b/x.jpg",
        "b/x.mp4",
        "z.tar.png",
        "camera-0",
    ]

"""The page of `bench-depth depth --html`: photos beside their depth, to be sorted by distance.

The page is also the memory of a later run into the same folder, whose results are there already.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Optional
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import UserError
from bench_depth.core.files import read_regular, write_bytes
from bench_depth.core.json_text import dumps, loads
from bench_depth.core.jsonable import build
from bench_depth.core.screen import printable
from bench_depth.depth import colours
from bench_depth.depth.inputs import Input
from bench_depth.depth.outputs import OutputOptions
from bench_depth.depth.scale import Distances, Scale
from bench_depth.model.postprocess import resize_depth
from bench_depth.report.html.pictures import gradient, photo_picture
from bench_depth.report.html.templating import PACKAGE, render_page, require_jinja

PAGE = "index.html"
_WIDTH = 360
# Beyond this a page is not read again, and a browser is slow with it.
_LARGEST = 2**28


@dataclass(frozen=True)
class Card:
    """One input on the page.

    Attributes:
        name: Name of the input, as it is shown.
        nearest: Smallest depth, in metres or in the model's own numbers; None without any.
        median: Median depth, likewise.
        farthest: Largest depth, likewise.
        metric: Whether depth is in metres.
        near: Depth of the first colour.
        far: Depth of the last colour.
        colours: The colours from near to far, as a CSS gradient.
        files: Path of each result relative to the page, quoted, by its format.
        photo: The photo as a data URI; of a video its first frame.
        depth: The coloured depth map likewise.
    """

    name: str
    nearest: Optional[float]
    median: Optional[float]
    farthest: Optional[float]
    metric: bool
    near: float
    far: float
    colours: str
    files: dict[str, str]
    photo: str = ""
    depth: str = ""

    def to_json(self) -> str:
        """Everything but the pictures, which the page has already."""
        return dumps({**asdict(self), "photo": "", "depth": ""})


class Gallery:
    """Collects the cards of a run, and those of earlier runs into the same folder.

    Args:
        folder: Output folder, which gets the page.
        model: Name of the model, for the title.
        options: Formats of the result files and how they are drawn.

    Raises:
        UserError: Jinja2 is not installed, or the folder has another `index.html`.
    """

    def __init__(self, folder: Path, model: str, options: OutputOptions) -> None:
        require_jinja()
        self._folder, self._model, self._options = folder, model, options
        self._cards = _read(folder / PAGE)
        self._failed: list[str] = []

    def __contains__(self, one: Input) -> bool:
        """Whether the page of an earlier run has this input."""
        return _key(one) in self._cards

    def show(
        self, one: Input, scale: Scale, photo: NDArray[np.uint8], depth: NDArray[np.float32]
    ) -> None:
        """Adds the pictures of an input.

        Args:
            one: The input.
            scale: The meaning of its depth.
            photo: HxWx3 uint8 RGB.
            depth: HxW float32 of the same size.
        """
        options = self._options
        near, far = options.range or scale.ends(depth)
        height, width = photo.shape[:2]
        narrow = min(width, _WIDTH)
        small = resize_depth(depth, max(1, round(height * narrow / width)), narrow)
        painted = colours.paint(small, scale.known(small), near, far, options.colour_map)
        self._cards[_key(one)] = Card(
            name=printable(one.title),
            nearest=None,
            median=None,
            farthest=None,
            metric=not scale.relative,
            near=near,
            far=far,
            colours=gradient(colours.table(options.colour_map)),
            files={},
            photo=photo_picture(photo, _WIDTH),
            depth=photo_picture(painted, _WIDTH),
        )

    def add(self, one: Input, found: dict[str, Path], distances: Distances) -> None:
        """Completes the card of an input.

        Args:
            one: The input.
            found: The files of its results, by format.
            distances: Nearest, median and farthest depth of the image.
        """
        key = _key(one)
        links = {kind: self._link(path) for kind, path in found.items()}
        nearest, median, farthest = distances
        self._cards[key] = replace(
            self._cards[key], nearest=nearest, median=median, farthest=farthest, files=links
        )

    def fail(self, error: str) -> None:
        """Adds what the page says about an input that could not be read."""
        self._failed.append(printable(error))

    def write(self) -> Path:
        """Writes the page and returns its path.

        Raises:
            UserError: It cannot be written.
        """
        # An input whose results were not completed has no files.
        done = [item for item in self._cards.items() if item[1].files]
        cards = dict(sorted(done, key=lambda item: item[1].name))
        text = render_page(
            PACKAGE,
            "depth.html.j2",
            cards=cards,
            failed=self._failed,
            model=printable(self._model),
            metric=all(card.metric for card in cards.values()),
        )
        target = self._folder / PAGE
        write_bytes(target, text.encode("utf-8", "backslashreplace"))
        return target

    def _link(self, path: Path) -> str:
        # Bytes, as a file name need not be text; a colon is quoted, so that no name is a scheme.
        return quote(os.fsencode(path.relative_to(self._folder)))


def _key(one: Input) -> str:
    return quote(os.fsencode(one.name))


def show_nothing(photo: NDArray[np.uint8], depth: NDArray[np.float32]) -> None:
    """Stands for `Gallery.show` where there is no page."""


Show = Callable[[NDArray[np.uint8], NDArray[np.float32]], None]


def _read(page: Path) -> dict[str, Card]:
    """The cards of the page of an earlier run; none without one."""
    if not os.path.lexists(page):
        return {}
    reader = _Reader()
    try:
        reader.feed(read_regular(page, _LARGEST).decode())
        cards = {key: build(Card, value) for key, value in reader.cards.items()}
    except ValueError:
        cards = {}
    if not reader.ours:
        raise UserError(
            f"{page} was not written by this command; move it, or name another folder with --out"
        )
    return cards


class _Reader(HTMLParser):
    """Reads the cards back from the page."""

    def __init__(self) -> None:
        super().__init__()
        self.ours = False
        self.cards: dict[str, dict[str, object]] = {}
        self._missing: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.ours = self.ours or values.get("content") == "bench-depth depth"
        if "data-card" in values:
            self.cards[values["data-key"]] = loads(values["data-card"])
            self._missing = ["photo", "depth"]
        elif tag == "img" and self._missing:
            self.cards[next(reversed(self.cards))][self._missing.pop(0)] = values["src"]

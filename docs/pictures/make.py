"""Makes depth.jpg, screen.svg, page.jpg, worst.jpg and live.jpg: what bench-depth gives and shows.

From the root of the repository, with Chromium installed and nothing else running; the first model
is the reference:

    python -m docs.pictures.make ghostdepth-s ghostdepth-nano

depth.jpg is by the default model. With `--live` only live.jpg is made, of the first model, with
`--depth` only depth.jpg.
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from bench_depth.core.dataset import read_rgb
from bench_depth.depth.model import DepthModel
from bench_depth.depth.outputs import OutputOptions, draw, encode
from bench_depth.model.released import default_model
from bench_depth.report.table import WIDTH, render
from bench_depth.results.records import load
from rich.console import Console
from rich.text import Text

from tests.device.live.browser import Browser, Page, chromium
from tests.device.live.live_helpers import address_of, started

HERE = Path(__file__).parent
PIXELS = 1000
_QUALITY = 65
_DEPTH_PHOTOS = ("living_05", "office_05")
# A photo of the samples that the zones were drawn in.
_LIVE_PHOTO = "bedroom_01"
# From the heading above an element to the element's end, with a margin.
_CUT = """(() => {
  const top = %s, end = %s, scroll = document.documentElement.scrollTop;
  const from = top.getBoundingClientRect().top, to = end.getBoundingClientRect().bottom;
  return [from + scroll - 12, to - from + 28];
})()"""


def main() -> None:
    """Measures, then takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--depth", action="store_true")
    arguments = parser.parse_args()
    if not arguments.live:
        _depth()
    if arguments.depth:
        return
    program = shutil.which("chromium")
    if program is None:
        sys.exit("chromium is not installed: apt install chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with chromium(Path(program), folder / "live") as browser:
            _live(browser, arguments.models[0])
        if arguments.live:
            return
        _measure(arguments.models, folder)
        with chromium(Path(program), folder / "profile") as browser:
            _page(browser, folder)
        _screen(folder)


def _depth() -> None:
    """Photos beside their depth, a row for each."""
    model = DepthModel(default_model(), sharpen=True)
    options = OutputOptions(side_by_side=True)
    rows = []
    for name in _DEPTH_PHOTOS:
        photo = read_rgb(Path(f"samples/rgb/{name}.jpg"))
        depth = model(photo)
        rows.append(draw(photo, depth, model.scale, model.scale.ends(depth), options))
    picture = np.vstack(rows)
    height = round(picture.shape[0] * PIXELS / picture.shape[1])
    picture = cv2.resize(picture, (PIXELS, height), interpolation=cv2.INTER_AREA)
    (HERE / "depth.jpg").write_bytes(encode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80]))


def _live(browser: Browser, model: str) -> None:
    zones = ("--zone", "bed=0.45,0.62,0.53,0.36", "--zone", "chair=0.44,0.26,0.2,0.28")
    options = (
        "--model",
        model,
        "--source",
        "samples",
        "--loop",
        "--port",
        0,
        "--alarm",
        1.2,
        "--sharpen",
    )
    with started(*options, *zones) as process:
        page = browser.open(address_of(process), 1280)
        page.wait("frame?.frames", lambda frames: frames and frames > 3)
        page.wait("frame.name", lambda name: name.startswith(_LIVE_PHOTO))
        page.evaluate("document.getElementById('pause').click()")
        page.wait("held")
        page.mouse("depth", 0.3, 0.6)
        height = page.evaluate("document.documentElement.scrollHeight")
        _save(page, HERE / "live.jpg", 0, height, width=1280, scale=PIXELS / 1280)
        page.close()


def _measure(models: list[str], folder: Path) -> None:
    outputs = ["--json", str(folder / "results.json"), "--html", str(folder / "page.html")]
    command = [sys.executable, "-m", "bench_depth", *models, "--data", "samples", *outputs]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _screen(folder: Path) -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text.from_ansi(render(load(folder / "results.json"), terminal=True)))
    svg = console.export_svg(title="bench-depth", unique_id="screen")
    # Rich names a font to be fetched from elsewhere; the viewer's own will do.
    (HERE / "screen.svg").write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))


def _page(browser: Browser, folder: Path) -> None:
    page = browser.open((folder / "page.html").as_uri(), PIXELS)
    # Of the first model every run is the first chart, the errors by distance the second.
    bands = ".model h3:has(+ .plot) ~ h3:has(+ .plot)"
    parts = (
        ("page.jpg", "h1", ".box"),
        ("worst.jpg", bands, ".scenes article:nth-child(3)"),
    )
    for target, top, end in parts:
        first, last = (f"document.querySelector('{selector}')" for selector in (top, end))
        y, height = page.evaluate(_CUT % (first, last))
        _save(page, HERE / target, y, height)
    page.close()


def _save(
    page: Page, target: Path, y: float, height: float, width: int = PIXELS, scale: float = 1
) -> None:
    clip = {"x": 0, "y": max(y, 0), "width": width, "height": height, "scale": scale}
    answer = page.call(
        "Page.captureScreenshot",
        format="jpeg",
        quality=_QUALITY,
        clip=clip,
        captureBeyondViewport=True,
    )
    target.write_bytes(base64.b64decode(answer["data"]))


if __name__ == "__main__":
    main()

"""The page in a real browser: it fits its window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench_depth.model.released import read_catalogue
from bench_depth.report.html import pictures
from bench_depth.report.html.page import write_page
from bench_depth.report.html.pictures import Picture, Scene
from bench_depth.results.records import Results

from tests.device.live.browser import Browser
from tests.device.live.test_live_browser import browser  # noqa: F401


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_window_and_shows_the_plot_of_that_size(
    browser: Browser,  # noqa: F811
    measured: Results,
    tmp_path: Path,
    width: int,
) -> None:
    file = tmp_path / "page.html"
    uri = pictures.photo_picture(np.zeros((300, 400, 3), np.uint8))
    scene = Scene("a", [Picture("photo", uri, "a photo")] * 5, 1.0, 3.0, "si-RMSE 0.200")
    write_page(measured, {0: [scene]}, file, scenes=[scene], released=read_catalogue())
    page = browser.open(file.as_uri(), width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    shown = "document.querySelector('.{}').getBoundingClientRect().height > 0"
    assert page.evaluate(shown.format("wide")) == (width == 1280)
    assert page.evaluate(shown.format("narrow")) == (width == 390)
    page.close()
    assert browser.complaints() == []

from __future__ import annotations

import base64
import dataclasses
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from bench_depth.board import Health
from bench_depth.comparison import Comparison
from bench_depth.measure import Timing, summarize
from bench_depth.metrics import DepthMetrics, depth_metrics
from bench_depth.report import charts, render, worst_pictures
from bench_depth.results import Accuracy, ImageAccuracy, Results
from bench_depth.sustained import Point, Sustained

VOID = {"meta", "br", "img", "line", "circle", "polyline"}


class Page(HTMLParser):
    """Fails where tags do not close in order; collects text and what is loaded from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.loads: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.loads += [str(v) for k, v in attrs if k in ("src", "href", "srcset", "action")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_holds_what_the_table_holds(measured: Results) -> None:
    page = Page(render(measured, {}))
    for text in (
        measured.models[0].file,
        "Raspberry Pi 4 Model B Rev 1.4",
        "tflite_runtime 2.5.0.post1, XNNPACK off, 4 threads",
        "48 -> 61 C",
        "0.2199",
        "0.450 .. 0.550",
        "no alignment",
        "cool it",
    ):
        assert text in page.text


def test_nothing_is_loaded_from_elsewhere(measured: Results) -> None:
    text = render(measured, {})
    assert Page(text).loads == []
    assert not re.search(r"https?://|@import|url\(", text)


def test_what_comes_from_outside_is_escaped(measured: Results) -> None:
    evil = '<script>alert("1")</script>&'
    board = dataclasses.replace(measured.context.board, model=evil)
    records = [dataclasses.replace(record, file=evil) for record in measured.models]
    context = dataclasses.replace(measured.context, board=board)
    text = render(dataclasses.replace(measured, context=context, models=records), {})
    assert "<script" not in text
    assert evil in Page(text).text


def test_a_measurement_that_was_interrupted_has_a_page_too(measured: Results) -> None:
    bare = dataclasses.replace(
        measured.models[0], preprocess=None, postprocess=None, total=None, accuracy=None
    )
    assert "invoke" in Page(render(dataclasses.replace(measured, models=[bare]), {})).text


def test_the_slowest_run_is_among_the_dots_however_many_there_are() -> None:
    times = [10_000_000] * 50_000
    times[31_234] = 90_000_000
    svg = charts.timeline(Timing(times, summarize(times)))
    assert svg.count("<circle") <= 600
    assert svg.count("beyond") == 1


def test_intervals_are_drawn_where_they_are_known() -> None:
    known, unknown = Comparison("a", 0.5, 0.4, 0.6, 20), Comparison("a", 0.5, None, None, 2)
    svg = charts.intervals(["a", "b", "c"], [None, known, unknown])
    assert svg.count('class="mean"') == 3
    assert svg.count('class="interval"') == 1
    Page(f"<p>{svg}</p>")


@pytest.mark.parametrize("temperature", [None, 61.0])
def test_a_long_run_is_drawn_with_and_without_a_sensor(temperature: float | None) -> None:
    health = Health(None, temperature, None)
    points = [Point(i, 10 + i, health.temperature_c, None) for i in range(1, 61)]
    svg = charts.curve(Sustained(1, 600, 11, 69, points))
    assert svg.count("<polyline") == (1 if temperature is None else 2)
    Page(f"<p>{svg}</p>")


def test_the_worst_images_come_first_and_are_at_most_ten() -> None:
    rng = np.random.default_rng(0)
    photos = {f"{i}": rng.integers(0, 256, (48, 64, 3), np.uint8) for i in range(12)}
    truth = np.full((48, 64), 2000, np.uint16)
    truth[:, 40:] = 4000
    truth[0] = 0

    def predict(photo: np.ndarray) -> np.ndarray:
        spread = next(int(name) for name, other in photos.items() if other is photo) / 20
        return (truth / 1000 * np.where(np.arange(64) < 32, 1 + spread, 1)).astype(np.float32)

    images = []
    for name, photo in photos.items():
        metrics = depth_metrics(predict(photo) * 1000, truth)
        assert metrics is not None
        images.append(ImageAccuracy(name, metrics))
    mean = DepthMetrics(*[0.0] * 7)
    accuracy = Accuracy("data", "none", mean, 1.0, images, [])
    pictures = worst_pictures(accuracy, lambda name: (photos[name], truth), predict)
    assert [picture.name for picture in pictures] == [str(i) for i in range(11, 1, -1)]
    data = base64.b64decode(pictures[0].jpeg.partition(",")[2])
    strip = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert strip.shape == (120, 640, 3)
    # Too far on the left half of the error picture: red; right on the right half: white.
    blue, green, red = strip[60, 490].astype(int)
    assert red > 180 and red > blue + 50 and red > green + 50
    assert strip[60, 620].min() > 230


def test_pictures_stand_in_the_page_with_their_figures(measured: Results) -> None:
    from bench_depth.report import Picture

    metrics = DepthMetrics(0.5, 0.321, 0.1, 0.2, 0.6, 0.8, 0.9)
    picture = Picture("a <b>", metrics, "data:image/jpeg;base64,AA==")
    page = Page(render(measured, {1: [picture]}))
    assert page.loads == ["data:image/jpeg;base64,AA=="]
    assert "a <b>: si-RMSE 0.321, RMSE 0.50 m, delta_1 0.60" in page.text

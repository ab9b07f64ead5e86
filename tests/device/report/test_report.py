from __future__ import annotations

import base64
import dataclasses
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from bench_depth.accuracy.bands import Band
from bench_depth.accuracy.evaluation import EvaluatedImage
from bench_depth.core.metrics import DepthMetrics, depth_metrics
from bench_depth.machine.board import Health
from bench_depth.report import charts, pictures, table
from bench_depth.report.page import render
from bench_depth.report.pictures import Picture, WorstPictures
from bench_depth.results.predicted_latency import PredictedLatency
from bench_depth.results.records import Results
from bench_depth.timing.comparison import Comparison
from bench_depth.timing.measure import Timing, summarize
from bench_depth.timing.sustained import Point, Sustained

VOID = {"meta", "br", "img", "line", "circle", "polyline", "rect"}


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


def test_a_predicted_time_is_told_apart_in_table_and_page(measured: Results) -> None:
    time = PredictedLatency("Board 4", "Lite 2.5", 1, 1500.0, 123.4, 111.0, 145.0, "counts")
    records = [dataclasses.replace(record, predicted=time) for record in measured.models]
    results = dataclasses.replace(measured, models=records)
    note = "predicted, not measured, for Board 4, Lite 2.5, 1 thread, 1500 MHz, from counts: "
    times = ", ".join(f"{record.file} 123.4 ms (111.0 to 145.0)" for record in records)
    for text in (Page(render(results, {})).text, " ".join(table.render(results).split())):
        assert text.count("123.4") == len(records)
        assert note + times in text


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


def test_no_picture_is_shown_of_accuracy_that_was_interrupted(measured: Results) -> None:
    picture = Picture("a", DepthMetrics(*[0.5] * 7), "data:image/jpeg;base64,AA==")
    bare = dataclasses.replace(measured.models[0], accuracy=None)
    assert Page(render(dataclasses.replace(measured, models=[bare]), {0: [picture]})).loads == []


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


def judged(name: str, spread: float, align: str = "none") -> EvaluatedImage:
    """Too far by `spread` on the left half; 2 m, 4 m on the right, unknown at the top."""
    truth = np.full((48, 64), 2000, np.uint16)
    truth[:, 40:] = 4000
    truth[0] = 0
    depth = np.where(np.arange(64) < 32, 1 + spread, 1) * np.where(truth == 0, 900, truth)
    metrics = depth_metrics(depth, truth, align)
    assert metrics is not None
    photo = np.full((48, 64, 3), (200, 40, 20), np.uint8)
    return EvaluatedImage(name, photo, truth, depth, align, metrics)


def pixels(picture: Picture) -> np.ndarray:
    data = base64.b64decode(picture.jpeg.partition("base64,")[2])
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found[:, :, ::-1].astype(int)


def test_the_worst_images_come_first_and_are_at_most_ten() -> None:
    worst = WorstPictures()
    for i in np.random.default_rng(0).permutation(30):
        worst.add(judged(str(i), i / 20))
    assert [picture.name for picture in worst.pictures()] == [str(i) for i in range(29, 19, -1)]


def test_of_equally_bad_images_the_first_are_kept_in_their_order() -> None:
    worst = WorstPictures()
    for i in range(12):
        worst.add(judged(str(i), 0.5))
    assert [picture.name for picture in worst.pictures()] == [str(i) for i in range(10)]


def test_a_picture_is_made_only_for_what_is_among_the_worst(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[object] = []
    real = pictures._data_url
    monkeypatch.setattr(pictures, "_data_url", lambda image: made.append(0) or real(image))
    worst = WorstPictures()
    for i in range(40, 0, -1):
        worst.add(judged(str(i), i / 20))
    assert len(made) == 10


def test_photo_truth_prediction_and_error_stand_in_their_places() -> None:
    worst = WorstPictures()
    worst.add(judged("a", 0.6))
    image = pixels(worst.pictures()[0])
    assert image.shape == (240, 320, 3)
    assert np.abs(image[60, 80] - (200, 40, 20)).max() < 12
    # Truth: near is brighter than far, the unknown row is grey.
    assert image[60, 180].sum() > image[60, 300].sum() + 200
    # Error: red on the left, where it is too far; white on the right, where it is right.
    red, green, blue = image[180, 170]
    assert red > 180 and red > blue + 50 and red > green + 50
    assert image[180, 300].min() > 230


def test_an_aligned_prediction_is_shown_aligned() -> None:
    image = judged("a", 0.0, "median")
    worst = WorstPictures()
    worst.add(dataclasses.replace(image, depth_mm=3 * image.depth_mm))
    error = pixels(worst.pictures()[0])[130:, 160:]
    assert error.min() > 230


def test_bands_stand_in_the_page_as_bars_on_one_scale(measured: Results) -> None:
    near = Band(1.0, 2.0, 3, 0.25, 0.5, 0.2, 0.6, 0.1)
    far = Band(10.0, None, 1, 0.75, 2.0, 0.3, 0.5, -0.2)
    records = []
    for place, record in enumerate(measured.models):
        bands = [near, far][: place + 1]
        assert record.accuracy is not None
        accuracy = dataclasses.replace(record.accuracy, bands=bands)
        records.append(dataclasses.replace(record, accuracy=accuracy))
    text = render(dataclasses.replace(measured, models=records), {})
    page = Page(text)
    for words in ("1-2 m 25 % of pixels", "10+ m 75 % of pixels", "+0.100", "-0.200"):
        assert words in page.text
    first, second, third = re.findall(r'class="bar"[^>]* height="([0-9.]+)"', text)
    assert first == second and float(third) == pytest.approx(4 * float(first), abs=0.5)


def test_pictures_stand_in_the_page_with_their_figures(measured: Results) -> None:
    metrics = DepthMetrics(0.5, 0.321, 0.1, 0.2, 0.6, 0.8, 0.9)
    picture = Picture("a <b>", metrics, "data:image/jpeg;base64,AA==")
    page = Page(render(measured, {1: [picture]}))
    assert page.loads == ["data:image/jpeg;base64,AA=="]
    assert "a <b>: si-RMSE 0.321, RMSE 0.50 m, delta_1 0.60" in page.text

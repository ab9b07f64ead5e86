"""The scatter plot: well-formed, in the page's colours, with labels that cover nothing."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from bench_depth.report.html.labels import Box, place_labels
from bench_depth.report.html.plot import SIZES, Mark, ModelPoint, accuracy_plot, scatter
from bench_depth.report.html.svg import ChartAxis


def test_the_plot_is_well_formed_and_takes_the_pages_colours() -> None:
    points = [
        ModelPoint("a<.tflite", ".tflite", 10, 12, 0.2, 3.0),
        ModelPoint("b.onnx", ".onnx", 8, 9, 0.21, 9),
    ]
    for width, height in SIZES:
        svg = accuracy_plot(points, width, height)
        texts = [element.text for element in ElementTree.fromstring(svg).iter("text")]
        size = ", {} MB" if width > 450 else ""
        assert "a<.tflite" + size.format("3.0") in texts
        assert "b.onnx" + size.format("9.0") in texts
        assert not re.search(r"(?:fill|stroke|style|id)=", svg)
        assert svg.count('class="mark series-1"') == svg.count('class="mark series-2"') == 1


def test_points_are_where_the_axes_say_and_areas_are_sizes() -> None:
    points = [
        ModelPoint("a", ".tflite", 10, 20, 0.2, 2.0),
        ModelPoint("b", ".tflite", 5, 5, 0.3, 8.0),
    ]
    root = ElementTree.fromstring(accuracy_plot(points, 760, 340))
    large, small = sorted(root.iter("circle"), key=lambda circle: -float(circle.attrib["r"]))
    assert float(large.attrib["r"]) == pytest.approx(2 * float(small.attrib["r"]))
    ticks = {t.text: t.attrib for t in root.iter("text") if t.attrib["class"].startswith("tick")}
    assert float(small.attrib["cx"]) == pytest.approx(float(ticks["10"]["x"]), abs=0.2)
    # A tick's text is written 4 pixels below its line.
    assert float(small.attrib["cy"]) == pytest.approx(float(ticks["0.2"]["y"]) - 4, abs=0.2)
    assert float(large.attrib["cy"]) < float(small.attrib["cy"])
    (whisker,) = (line for line in root.iter("line") if "whisker" in line.attrib["class"])
    assert float(whisker.attrib["x2"]) == pytest.approx(float(ticks["20"]["x"]), abs=0.2)


def test_a_staircase_and_a_limit_are_drawn() -> None:
    marks = [Mark(1, 3, "1"), Mark(2, 1, "2"), Mark(2.5, 2.5, kind="faint")]
    svg = scatter(marks, (0, 4), (0, 4), ("x", "y"), (400, 300), steps=[(1, 3), (2, 1)], limit=3)
    (corners,) = re.findall(r'class="curve" points="([^"]*)"', svg)
    (x0, y0), (x1, y1), (x2, y2) = (map(float, each.split(",")) for each in corners.split())
    assert y0 == y1 < y2 and x0 < x1 == x2
    assert svg.count('class="level"') == 1 and svg.count('class="name mid"') == 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(30))
def test_a_label_lies_on_no_line_of_a_mark(seed: int, size: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    points = [
        ModelPoint("model-int8", ".tflite", ms, ms * tail, error, 2.0, (error - half, error + half))
        for ms, tail, error, half in random.uniform(
            (1, 1, 0.15, 0), (40, 3, 0.3, 0.05), (1 + seed % 3, 4)
        )
    ]
    root = ElementTree.fromstring(accuracy_plot(points, *size))
    lines = [line.attrib for line in root.iter("line") if "whisker" in line.attrib["class"]]
    for text in (each for each in root.iter("text") if "name" in each.attrib["class"]):
        x, y = float(text.attrib["x"]), float(text.attrib["y"])
        half = 3.4 * len(text.text or "")
        for line in lines:
            x1, y1, x2, y2 = (float(line[end]) for end in ("x1", "y1", "x2", "y2"))
            beside = max(x1, x2) < x - half or min(x1, x2) > x + half
            assert beside or max(y1, y2) < y - 10 or min(y1, y2) > y + 3


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.19, 0.2), (-3, 12_345), (0, 1e-4)])
def test_ticks_are_few_and_within_the_axis(low: float, high: float) -> None:
    ticks = ChartAxis(low, high, 0, 100).ticks()
    assert 3 <= len(ticks) <= 8
    assert all(low <= tick <= high for tick in ticks)


def test_labels_of_crowded_points_cover_nothing() -> None:
    frame = Box(0, 0, 400, 300)
    points = [(200.0, 150.0), (206.0, 150.0), (212.0, 152.0), (212.0, 148.0), (390.0, 150.0)]
    marks = [Box(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    places = place_labels(points, [(90.0, 12.0)] * 5, marks, frame)
    boxes = [place.box for place in places]
    for first, second in itertools.combinations(boxes, 2):
        assert not first.overlaps(second)
    for box, mark in itertools.product(boxes, marks):
        assert not box.overlaps(mark)
    assert all(b.x0 >= 0 and b.x1 <= 400 and b.y0 >= 0 and b.y1 <= 300 for b in boxes)
    assert all(b.x1 - b.x0 == pytest.approx(90) for b in boxes)

"""The page of `ghostdepth check`: pairs to look at, distances, and what looks implausible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench_depth.accuracy.readers import Dataset
from bench_depth.core.dataset import Frame
from bench_depth.core.files import write_bytes
from bench_depth.core.screen import printable
from bench_depth.plausibility.survey import DataSurvey
from bench_depth.report.html import svg
from bench_depth.report.html.pictures import (
    depth_colours,
    depth_picture,
    depth_range,
    gradient,
    photo_picture,
)
from bench_depth.report.html.templating import render_page
from ghostdepth_export.convert.source import evenly

PAIRS = 16
_PICTURE_WIDTH = 240
# Widths of the histogram in pixels: for a screen, and for a phone.
_WIDTHS, _HEIGHT = (1100, 340), 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 14, 40
_BARS = 40


@dataclass(frozen=True)
class ShownPair:
    """A pair as the page shows it.

    Attributes:
        name: Name of the pair.
        photo: The photo as a data URI.
        depth: The coloured depth map as a data URI; unknown pixels are transparent.
        near_m: Depth of the first colour, metres.
        far_m: Depth of the last colour, metres.
        unknown: Fraction of the pixels whose depth is unknown.
    """

    name: str
    photo: str
    depth: str
    near_m: float
    far_m: float
    unknown: float


def write_page(target: Path, name: str, sets: Sequence[tuple[Dataset, DataSurvey]]) -> None:
    """Writes the page.

    Args:
        target: The HTML file.
        name: Name of the data.
        sets: One dataset, or its training and validation sets, each with its complete survey.

    Raises:
        UserError: A pair cannot be read, Jinja2 is not installed, or the file cannot be written.
    """
    findings = [(data.label, found) for data, survey in sets for found in survey.findings()]
    page = render_page(
        "ghostdepth_export.pages",
        "check.html.j2",
        name=printable(name),
        sets=[
            {
                "label": printable(data.label),
                "survey": survey,
                "histograms": [histogram(survey, width) for width in _WIDTHS],
                "pairs": [_shown(frame) for frame in evenly(data.frames, PAIRS)],
            }
            for data, survey in sets
        ],
        found=[
            (found.code, [printable(f"{label}: {found.text}" if len(sets) > 1 else found.text)])
            for label, found in findings
        ],
        colours=gradient(depth_colours()),
    )
    write_bytes(target, page.encode())


def _shown(frame: Frame) -> ShownPair:
    photo, depth_mm = frame.read()
    depth = np.asarray(depth_mm / 1000, np.float32)
    near, far = depth_range(depth)
    return ShownPair(
        name=printable(frame.name),
        photo=photo_picture(photo, _PICTURE_WIDTH),
        depth=depth_picture(depth, near, far, _PICTURE_WIDTH),
        near_m=near,
        far_m=far,
        unknown=float((depth_mm == 0).mean()),
    )


def histogram(survey: DataSurvey, width: int) -> str:
    """The known distances in bars of equal width, up to nearly the farthest, as SVG.

    Args:
        survey: The survey of a dataset.
        width: Width of the picture, pixels.
    """
    right = width - _RIGHT
    end = max(survey.quantile(0.999), 1)
    edges = np.linspace(0, end / 1000, _BARS + 1)
    counts = survey.histogram[1 : end + 1]
    heights, _ = np.histogram(np.arange(1, end + 1) / 1000, edges, weights=counts)
    percent = 100 * heights / max(int(survey.histogram[1:].sum()), 1)
    x = svg.ChartAxis(0, end / 1000, _LEFT, right)
    y = svg.ChartAxis(0, max(float(percent.max()), 1e-3) * 1.1, _HEIGHT - _BOTTOM, _TOP)
    parts = []
    for value in y.ticks():
        parts.append(svg.line((_LEFT, y(value)), (right, y(value)), "grid"))
        parts.append(svg.text(_LEFT - 6, y(value) + 4, f"{value:g}", "tick end"))
    for start, stop, value in zip(edges, edges[1:], percent, strict=False):
        size = {"width": x(stop) - x(start) - 1, "height": y(0) - y(float(value))}
        parts.append(svg.tag("rect", class_="bar", x=x(start), y=y(float(value)), **size))
    for value in x.ticks():
        parts.append(svg.text(x(value), y(0) + 16, f"{value:g}", "tick mid"))
    title = "distance, metres; height: % of the known pixels"
    parts.append(svg.text((_LEFT + right) / 2, _HEIGHT - 6, title, "tick mid"))
    return svg.picture(parts, width, _HEIGHT, "histogram of the known distances")

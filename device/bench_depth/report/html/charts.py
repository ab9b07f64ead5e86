"""The charts of a model's results, as SVG text that takes the page's colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Optional

from bench_depth.accuracy.bands import Band
from bench_depth.core.screen import counted
from bench_depth.report.accuracy_wording import band_text
from bench_depth.report.html import svg
from bench_depth.report.wording import figure
from bench_depth.timing.comparison import Comparison
from bench_depth.timing.measure import Timing, percentile
from bench_depth.timing.sustained import Sustained

# Widths in pixels: for a screen, and for a phone.
WIDTHS = (1120, 340)
_HEIGHT = 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 52, 10, 26
_FLOOR = _HEIGHT - _BOTTOM
# More dots than this would merge into a band.
_MOST_DOTS = 300
_DOT, _LARGE_DOT = 2.6, 4.5
_ROW = 44
_TEXT = 13
# Pixels of a bar from which on its texts are written in full.
_ROOMY = 90
# The axis of ratios reaches at least so far on both sides of 1: a difference without meaning must
# not look large.
_REACH = 0.05


def timeline(timing: Timing, width: int) -> str:
    """Every run in its order: noise, drift and outliers at a glance.

    Where there are very many runs, the slowest of each group is drawn, so that no outlier is lost.
    All charts are drawn for a width in pixels, so that letters have the same size everywhere.
    """
    ms = [ns / 1e6 for ns in timing.times_ns]
    median = timing.statistics.median
    size = math.ceil(len(ms) / _MOST_DOTS)
    dots = [(i + size / 2, max(ms[i : i + size])) for i in range(0, len(ms), size)]
    top = max(percentile(sorted(ms), 99.5) * 1.15, median * 1.3)
    x = svg.ChartAxis(0, len(ms), _LEFT, width - _RIGHT)
    y = svg.ChartAxis(0, top, _FLOOR, _TOP)
    parts = [_grid(y, "ms", width)]
    # As large as the room of one dot, within limits.
    radius = min(max(width / (2 * len(dots)), _DOT), _LARGE_DOT)
    for run, value in dots:
        kind = "dot beyond" if value > top else "dot"
        parts.append(svg.tag("circle", class_=kind, cx=x(run), cy=y(min(value, top)), r=radius))
    middle, high = y(median), y(min(timing.statistics.p95, top))
    parts.append(_level(middle, middle, "median", width))
    parts.append(_level(high, min(high, middle - _TEXT), "p95", width))
    parts.append(_caption(f"{counted(len(ms), 'run')} in their order", width))
    title = f"time of each of {counted(len(ms), 'run')}, median {figure(median)} ms"
    return svg.picture(parts, width, _HEIGHT, title)


def curve(sustained: Sustained, width: int) -> str:
    """A long run: time of a run and, where it is known, the temperature."""
    ms = [(point.seconds / 60, point.median_ms) for point in sustained.curve]
    heat = [
        (point.seconds / 60, point.temperature_c)
        for point in sustained.curve
        if point.temperature_c is not None
    ]
    x = svg.ChartAxis(0, max(minute for minute, _ in ms), _LEFT, width - _RIGHT)
    y = svg.ChartAxis(0, max(value for _, value in ms) * 1.15, _FLOOR, _TOP)
    parts = [_grid(y, "ms", width), svg.polyline([(x(a), y(b)) for a, b in ms], "curve series-1")]
    if heat:
        degrees = [value for _, value in heat]
        celsius = svg.ChartAxis(min(30.0, *degrees), max(90.0, *degrees), _FLOOR, _TOP)
        parts.append(svg.polyline([(x(a), celsius(b)) for a, b in heat], "curve series-2"))
        parts += [
            svg.text(width - _RIGHT + 6, celsius(value) + 4, f"{value:g} C", "tick heat")
            for value in celsius.ticks()
        ]
    parts.append(_caption(f"minutes, {sustained.minutes:g} in all", width))
    title = "time of a run and temperature over a long run"
    return svg.picture(parts, width, _HEIGHT, title)


def intervals(
    labels: Sequence[str], comparisons: Sequence[Optional[Comparison]], width: int
) -> str:
    """Ratios with their confidence intervals, one row per model; 1 is the reference."""
    known = [c for c in comparisons if c is not None]
    ends = [end for c in known for end in (c.low or c.ratio, c.high or c.ratio)]
    low, high = min([1.0 - _REACH, *ends]), max([1.0 + _REACH, *ends])
    margin = 0.08 * (high - low)
    x = svg.ChartAxis(low - margin, high + margin, 8, width - 8)
    height = _ROW * len(labels) + _BOTTOM
    parts = []
    for row, (label, found) in enumerate(zip(labels, comparisons)):
        y = _ROW * row + 32
        parts.append(svg.text(8, y - 14, label, "name"))
        # In the rows alone, or it would strike the labels through.
        parts.append(svg.line((x(1), y - 9), (x(1), y + 9), "level"))
        if found is not None and found.low is not None and found.high is not None:
            parts.append(svg.line((x(found.low), y), (x(found.high), y), "interval"))
        ratio = 1.0 if found is None else found.ratio
        parts.append(svg.tag("circle", class_="mean", cx=x(ratio), cy=y, r=5))
    parts += [svg.text(x(value), height - 8, f"{value:g}", "tick mid") for value in x.ticks()]
    title = "latency over that of the reference, with 95 % intervals"
    return svg.picture(parts, width, height, title)


def distances(bands: Sequence[Band], top: float, width: int) -> str:
    """RMSE at each distance, one bar per band, with the fraction of the pixels under it.

    Args:
        bands: The bands of one model.
        top: The highest RMSE in metres that must fit, so that models can share a scale.
        width: Width of the picture, pixels.
    """
    y = svg.ChartAxis(0, max(top, 1e-3) * 1.15, _FLOOR - _TEXT, _TOP)
    room = (width - _RIGHT - _LEFT) / len(bands)
    of = " of pixels" if room > _ROOMY else ""
    parts = [_grid(y, "RMSE, m", width)]
    for number, band in enumerate(bands):
        middle, height = _LEFT + room * (number + 0.5), y(band.rmse)
        size = {"width": room * 0.6, "height": y(0) - height}
        parts += [
            svg.tag("rect", class_="bar", x=middle - room * 0.3, y=height, **size, rx=3),
            svg.text(middle, height - 5, f"{band.rmse:.2f}", "name mid"),
            svg.text(middle, y(0) + 16, f"{band_text(band)} m", "name mid"),
            svg.text(middle, y(0) + 31, f"{100 * band.share:.0f} %{of}", "tick mid"),
        ]
    title = "RMSE at each distance, with the fraction of pixels"
    return svg.picture(parts, width, _HEIGHT, title)


def _grid(y: svg.ChartAxis, unit: str, width: int) -> str:
    parts = []
    for value in y.ticks():
        parts.append(svg.line((_LEFT, y(value)), (width - _RIGHT, y(value)), "grid"))
        parts.append(svg.text(_LEFT - 6, y(value) + 4, f"{value:g}", "tick end"))
    return "".join([*parts, svg.text(_LEFT + 4, _TOP + 10, unit, "tick")])


def _level(y: float, text_y: float, name: str, width: int) -> str:
    line = svg.line((_LEFT, y), (width - _RIGHT, y), "level")
    return line + svg.text(width - _RIGHT + 6, text_y + 4, name, "tick")


def _caption(text: str, width: int) -> str:
    return svg.text(width / 2, _HEIGHT - 6, text, "tick mid")

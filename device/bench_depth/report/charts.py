"""Charts as SVG text that takes the page's colours; no library, so that a Pi can draw them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Optional

from bench_depth.accuracy.bands import Band
from bench_depth.report.wording import band_text, figure
from bench_depth.timing.comparison import Comparison
from bench_depth.timing.measure import Timing, percentile
from bench_depth.timing.sustained import Sustained

_WIDTH, _HEIGHT = 640, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 52, 10, 26
# More dots than this are one grey band.
_MOST_DOTS = 600
_ROW = 44
_TEXT = 13


@dataclass(frozen=True)
class _Axis:
    """Maps values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def timeline(timing: Timing) -> str:
    """Every run in its order: noise, drift and outliers at a glance.

    Of very many runs the slowest of each group is drawn, so that no outlier is lost.
    """
    ms = [ns / 1e6 for ns in timing.times_ns]
    size = math.ceil(len(ms) / _MOST_DOTS)
    dots = [(i + size / 2, max(ms[i : i + size])) for i in range(0, len(ms), size)]
    top = max(percentile(sorted(ms), 99.5) * 1.15, timing.statistics.median * 1.3)
    x = _Axis(0, len(ms), _LEFT, _WIDTH - _RIGHT)
    y = _Axis(0, top, _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(y, _ticks(0, top), "ms")]
    for place, value in dots:
        beyond = value > top
        kind = "dot beyond" if beyond else "dot"
        parts.append(f'<circle class="{kind}" cx="{x(place)}" cy="{y(min(value, top))}" r="1.8"/>')
    middle, high = y(timing.statistics.median), y(min(timing.statistics.p95, top))
    parts.append(_level(middle, middle, "median"))
    parts.append(_level(high, min(high, middle - _TEXT), "p95"))
    parts.append(_caption(f"{len(ms)} runs in their order"))
    return _svg(
        parts,
        _HEIGHT,
        f"time of each of {len(ms)} runs, median {figure(timing.statistics.median)} ms",
    )


def curve(sustained: Sustained) -> str:
    """A long run: time of a run and, where it is known, the temperature."""
    minutes = [point.seconds / 60 for point in sustained.curve]
    ms = [point.median_ms for point in sustained.curve]
    heat = [point.temperature_c for point in sustained.curve if point.temperature_c is not None]
    x = _Axis(0, max(minutes), _LEFT, _WIDTH - _RIGHT)
    y = _Axis(0, max(ms) * 1.15, _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(y, _ticks(0, y.high), "ms"), _line(list(zip(minutes, ms)), x, y, "series-1")]
    if heat:
        celsius = _Axis(min(30.0, *heat), max(90.0, *heat), _HEIGHT - _BOTTOM, _TOP)
        known = [
            (point.seconds / 60, point.temperature_c)
            for point in sustained.curve
            if point.temperature_c is not None
        ]
        parts.append(_line(known, x, celsius, "series-2"))
        for value in _ticks(celsius.low, celsius.high):
            parts.append(
                f'<text class="tick heat" x="{_WIDTH - _RIGHT + 6}" y="{celsius(value) + 4}">'
                f"{value:g} C</text>"
            )
    parts.append(_caption(f"minutes, {sustained.minutes:g} in all"))
    return _svg(parts, _HEIGHT, "time of a run and temperature over a long run")


def intervals(labels: Sequence[str], comparisons: Sequence[Optional[Comparison]]) -> str:
    """Ratios with their confidence intervals, one row a model; 1 is the reference."""
    known = [c for c in comparisons if c is not None]
    ends = [end for c in known for end in (c.low or c.ratio, c.high or c.ratio)]
    low, high = min([1.0, *ends]), max([1.0, *ends])
    margin = 0.08 * (high - low) or 0.1
    x = _Axis(low - margin, high + margin, 8, _WIDTH - 8)
    height = _ROW * len(labels) + _BOTTOM
    parts = [f'<line class="one" x1="{x(1)}" x2="{x(1)}" y1="0" y2="{height - _BOTTOM}"/>']
    for row, (label, found) in enumerate(zip(labels, comparisons)):
        y = _ROW * row + 32
        parts.append(f'<text class="name" x="8" y="{y - 14}">{escape(label)}</text>')
        if found is None:
            parts.append(f'<circle class="mean" cx="{x(1)}" cy="{y}" r="5"/>')
            continue
        if found.low is not None and found.high is not None:
            ends_x = f'x1="{x(found.low)}" x2="{x(found.high)}"'
            parts.append(f'<line class="interval" {ends_x} y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="mean" cx="{x(found.ratio)}" cy="{y}" r="5"/>')
    for value in _ticks(x.low, x.high):
        parts.append(f'<text class="tick mid" x="{x(value)}" y="{height - 8}">{value:g}</text>')
    return _svg(parts, height, "time over that of the reference, with 95 % intervals")


def distances(bands: Sequence[Band], top: float) -> str:
    """RMSE at each true distance, one bar a band; under it which share of the pixels that is.

    Args:
        bands: Of one model.
        top: The highest RMSE in metres that must fit, so that models can share a scale.
    """
    y = _Axis(0, max(top, 1e-3) * 1.15, _HEIGHT - _BOTTOM - _TEXT, _TOP)
    room = (_WIDTH - _LEFT - _RIGHT) / len(bands)
    parts = [_grid(y, _ticks(0, y.high), "RMSE, m")]
    for place, band in enumerate(bands):
        middle, height = round(_LEFT + room * (place + 0.5), 1), y(band.rmse)
        left, width = round(middle - room * 0.3, 1), round(room * 0.6, 1)
        share = f"{100 * band.share:.0f} % of pixels"
        parts.append(
            f'<rect class="bar" x="{left}" y="{height}" width="{width}" '
            f'height="{round(y(0) - height, 1)}" rx="3"/>'
            f'<text class="name mid" x="{middle}" y="{height - 5}">{band.rmse:.2f}</text>'
            f'<text class="name mid" x="{middle}" y="{y(0) + 16}">{band_text(band)} m</text>'
            f'<text class="tick mid" x="{middle}" y="{y(0) + 31}">{share}</text>'
        )
    return _svg(parts, _HEIGHT, "RMSE at each true distance, with the share of pixels")


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers between two values."""
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 2.5, 5, 10) if power * k >= rough)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, math.floor(high / step) + 1)]


def _grid(y: Callable[[float], float], ticks: Sequence[float], unit: str) -> str:
    lines = []
    for value in ticks:
        lines.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value)}" '
            f'y2="{y(value)}"/><text class="tick end" x="{_LEFT - 6}" y="{y(value) + 4}">'
            f"{value:g}</text>"
        )
    lines.append(f'<text class="tick" x="{_LEFT + 4}" y="{_TOP + 10}">{unit}</text>')
    return "".join(lines)


def _line(
    points: Sequence[tuple[float, float]],
    x: Callable[[float], float],
    y: Callable[[float], float],
    kind: str,
) -> str:
    path = " ".join(f"{x(a)},{y(b)}" for a, b in points)
    return f'<polyline class="curve {kind}" points="{path}"/>'


def _level(y: float, text_y: float, name: str) -> str:
    return (
        f'<line class="level" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        f'<text class="tick" x="{_WIDTH - _RIGHT + 6}" y="{text_y + 4}">{name}</text>'
    )


def _caption(text: str) -> str:
    return f'<text class="tick mid" x="{_WIDTH / 2:g}" y="{_HEIGHT - 6}">{escape(text)}</text>'


def _svg(parts: Sequence[str], height: int, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )

"""A scatter plot with labelled points, as SVG: accuracy against latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from bench_depth.report.html import svg
from bench_depth.report.html.labels import Box, place_labels

# Width and height in pixels: for a screen, and for a phone.
SIZES = ((1120, 420), (340, 340))
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 18, 44
# Pixels of a letter and a line of a label; generous, as the reader's font is not known.
_LETTER, _LINE = 6.9, 15.0
# From this width on, labels give the size in figures too.
_ROOMY = 450
_LONGEST = 34
_HINT = "faster, more accurate"


@dataclass(frozen=True)
class Mark:
    """One point of a plot.

    Attributes:
        x: Horizontal value.
        y: Vertical value.
        label: Text beside the point; empty for none.
        radius: Half of the mark's width, pixels.
        square: Whether the mark is a square; a disc otherwise.
        kind: CSS class of the mark: `series-1`, `series-2` or `faint`.
        to_x: A line is drawn from the point to here; None for no line.
        y_ends: Ends of a vertical line through the point, an interval; None for no line.
    """

    x: float
    y: float
    label: str = ""
    radius: float = 4.0
    square: bool = False
    kind: str = "series-1"
    to_x: Optional[float] = None
    y_ends: Optional[tuple[float, float]] = None


@dataclass(frozen=True)
class ModelPoint:
    """A model file in the accuracy-latency plot.

    Attributes:
        label: Name of the model.
        suffix: `.tflite` or `.onnx`.
        median_ms: Median latency, milliseconds.
        p90_ms: 90th percentile of the latency, milliseconds.
        si_rmse: Scale-invariant RMSE; lower is better.
        megabytes: Size of the file.
        si_rmse_ends: 95 % interval of the error; None where it is not known.
    """

    label: str
    suffix: str
    median_ms: float
    p90_ms: float
    si_rmse: float
    megabytes: float
    si_rmse_ends: Optional[tuple[float, float]] = None


def accuracy_plot(points: Sequence[ModelPoint], width: int, height: int) -> str:
    """Error against latency; the area of a mark is the size of its file.

    Args:
        points: The points, at least one.
        width: Pixels.
        height: Pixels.
    """
    roomy = width > _ROOMY
    largest = max(point.megabytes for point in points)
    marks = [
        Mark(
            point.median_ms,
            point.si_rmse,
            f"{_shorten(point.label)}, {point.megabytes:.1f} MB" if roomy else point.label,
            radius=max(14 * math.sqrt(point.megabytes / largest), 5),
            square=point.suffix == ".onnx",
            kind="series-2" if point.suffix == ".onnx" else "series-1",
            to_x=max(point.p90_ms, point.median_ms),
            y_ends=point.si_rmse_ends,
        )
        for point in points
    ]
    errors = [end for p in points for end in (p.si_rmse, *(p.si_rmse_ends or ()))]
    middle = (min(errors) + max(errors)) / 2
    # At least +-3 %: a difference without meaning must not look large.
    reach = max((max(errors) - min(errors)) * 0.75, middle * 0.03, 1e-3)
    return scatter(
        marks,
        (0, 1.22 * max(mark.to_x or mark.x for mark in marks)),
        (middle - reach, middle + reach),
        ("median latency, ms (line: up to p90)", "si-RMSE"),
        (width, height),
        hint=roomy,
    )


def scatter(
    marks: Sequence[Mark],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    names: tuple[str, str],
    size: tuple[int, int],
    *,
    steps: Sequence[svg.Point] = (),
    limit: Optional[float] = None,
    hint: bool = False,
) -> str:
    """Draws points with their labels.

    Args:
        marks: The points.
        x_range: First and last value of the horizontal axis.
        y_range: First and last value of the vertical axis.
        names: Names of the two axes.
        size: Width and height in pixels.
        steps: Points of a staircase, from left to right, in units of the axes.
        limit: Value at which a vertical dashed line is drawn; None for none.
        hint: Whether an arrow says that the lower left is best.
    """
    width, height = size
    x = svg.ChartAxis(*x_range, _LEFT, width - _RIGHT)
    y = svg.ChartAxis(*y_range, height - _BOTTOM, _TOP)
    frame = Box(_LEFT, _TOP, width - _RIGHT, height - _BOTTOM)
    parts = _axes(x, y, frame, names)
    corners = [(x(a), y(b)) for a, b in steps]
    stairs: list[svg.Point] = []
    for corner in corners:
        stairs += [(corner[0], stairs[-1][1]), corner] if stairs else [corner]
    obstacles = [_box(*pair) for pair in zip(stairs, stairs[1:])]
    if stairs:
        parts.append(svg.polyline(stairs, "curve"))
    if limit is not None:
        parts.append(svg.line((x(limit), frame.y0), (x(limit), frame.y1), "level"))
        obstacles.append(Box(x(limit), frame.y0, x(limit), frame.y1))
    if hint:
        parts.append(_hint(frame))
        obstacles.append(Box(frame.x0, frame.y1 - 40, frame.x0 + 170, frame.y1))
    labelled = sorted(marks, key=lambda mark: not mark.label)
    parts += [_draw(mark, x, y) for mark in reversed(labelled)]
    boxes = [_square(mark, x, y) for mark in labelled]
    obstacles += [_box(*ends) for mark in labelled for ends in _whiskers(mark, x, y)]
    parts += _labels([mark for mark in labelled if mark.label], x, y, [*boxes, *obstacles], frame)
    return svg.picture(parts, width, height)


def _axes(x: svg.ChartAxis, y: svg.ChartAxis, frame: Box, names: tuple[str, str]) -> list[str]:
    parts = []
    for value in y.ticks():
        parts.append(svg.line((frame.x0, y(value)), (frame.x1, y(value)), "grid"))
        parts.append(svg.text(frame.x0 - 6, y(value) + 4, f"{value:g}", "tick end"))
    for value in x.ticks():
        parts.append(svg.line((x(value), frame.y0), (x(value), frame.y1), "grid"))
        parts.append(svg.text(x(value), frame.y1 + 16, f"{value:g}", "tick mid"))
    middle = (frame.x0 + frame.x1) / 2
    parts.append(svg.text(middle, frame.y1 + 36, names[0], "tick mid"))
    return [*parts, svg.text(frame.x0 - 6, frame.y0 - 6, names[1], "tick")]


def _draw(mark: Mark, x: svg.ChartAxis, y: svg.ChartAxis) -> str:
    cx, cy, r = x(mark.x), y(mark.y), mark.radius
    if mark.square:
        # As large as the disc of that radius.
        r *= math.sqrt(math.pi) / 2
        shape = svg.tag(
            "rect", class_=f"mark {mark.kind}", x=cx - r, y=cy - r, width=2 * r, height=2 * r
        )
    else:
        shape = svg.tag("circle", class_=f"mark {mark.kind}", cx=cx, cy=cy, r=r)
    ends = "".join(svg.line(*line, f"whisker {mark.kind}") for line in _whiskers(mark, x, y))
    return ends + shape


def _square(mark: Mark, x: svg.ChartAxis, y: svg.ChartAxis) -> Box:
    cx, cy, r = x(mark.x), y(mark.y), mark.radius
    return Box(cx - r, cy - r, cx + r, cy + r)


def _whiskers(mark: Mark, x: svg.ChartAxis, y: svg.ChartAxis) -> list[tuple[svg.Point, svg.Point]]:
    """Both ends of the lines of a mark, pixels."""
    cx, cy = x(mark.x), y(mark.y)
    lines = []
    if mark.to_x is not None and mark.to_x > mark.x:
        lines.append(((cx, cy), (x(mark.to_x), cy)))
    if mark.y_ends is not None:
        low, high = (y(end) for end in mark.y_ends)
        lines.append(((cx, low), (cx, high)))
    return lines


def _labels(
    marks: Sequence[Mark], x: svg.ChartAxis, y: svg.ChartAxis, obstacles: Sequence[Box], frame: Box
) -> list[str]:
    points = [(x(mark.x), y(mark.y)) for mark in marks]
    sizes = [(_LETTER * len(mark.label), _LINE) for mark in marks]
    parts = []
    for mark, place in zip(marks, place_labels(points, sizes, obstacles, frame)):
        parts.append(svg.line(place.point, place.end, "leader"))
        middle = (place.box.x0 + place.box.x1) / 2
        parts.append(svg.text(middle, place.box.y1 - 4, mark.label, "name mid"))
    return parts


def _hint(frame: Box) -> str:
    """An arrow into the lower left corner."""
    tip, end = (frame.x0 + 8, frame.y1 - 8), (frame.x0 + 26, frame.y1 - 20)
    head = [(tip[0] + 7, tip[1]), tip, (tip[0] + 3, tip[1] - 7)]
    arrow = svg.line(end, tip, "hint") + svg.polyline(head, "hint")
    return arrow + svg.text(end[0] + 6, end[1] + 2, _HINT, "tick")


def _box(a: svg.Point, b: svg.Point) -> Box:
    return Box(min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[:12]}..{name[14 - _LONGEST :]}"

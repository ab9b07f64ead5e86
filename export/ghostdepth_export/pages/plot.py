"""Accuracy against latency, as an SVG that stands inside a page and takes the page's colours."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from ghostdepth_export.pages.plot_labels import place_labels
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

# What stands in for the page's CSS colours while matplotlib draws; nothing else may use them.
INK, FAINT, PAPER = "#010203", "#020304", "#030405"
SERIES = {".tflite": "#040506", ".onnx": "#050607"}
_CSS = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    PAPER: "var(--paper)",
    SERIES[".tflite"]: "var(--series-1)",
    SERIES[".onnx"]: "var(--series-2)",
}
_MARKERS = {".tflite": "o", ".onnx": "s"}
_AREA_PER_MB = 40.0  # Square points.
_ROOMY = 450.0  # From this width on, labels give the size in figures too.
SETTINGS: Any = {
    "svg.fonttype": "none",
    "font.size": 11.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": FAINT,
}


@dataclass(frozen=True)
class Point:
    """One model file.

    Attributes:
        label: Its format, like `int8.tflite`.
        suffix: `.tflite` or `.onnx`.
        median_ms: Latency.
        p90_ms: Latency.
        si_rmse: Accuracy; lower is better.
        megabytes: Size.
    """

    label: str
    suffix: str
    median_ms: float
    p90_ms: float
    si_rmse: float
    megabytes: float


def accuracy_plot(points: Sequence[Point], width: float, height: float) -> str:
    """Draws the points.

    Args:
        points: At least one.
        width: Inches of 72 CSS pixels.
        height: Likewise.

    Returns:
        An `<svg>` element without size attributes; its colours are CSS variables of the page.
    """
    # The salt makes ids of two sizes of the same plot differ, and the same page the same bytes.
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": f"{width}x{height}"}):
        figure = Figure(figsize=(width, height), dpi=72, layout="constrained")
        FigureCanvasAgg(figure)  # SVG's canvas cannot tell how much room a text takes.
        axes = figure.add_subplot()
        _draw_axes(axes, points)
        for point in points:
            _draw_point(axes, point)
        figure.draw_without_rendering()
        _label_points(axes, points)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True)
    return for_page(text.getvalue(), f"plot-{width:g}-")


def draw_grid(axes: Axes) -> None:
    """Faint lines behind what is drawn, and no frame above and to the right."""
    axes.grid(visible=True, alpha=0.35, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_axes(axes: Axes, points: Sequence[Point]) -> None:
    slowest = max(max(p.p90_ms, p.median_ms) for p in points)
    errors = [p.si_rmse for p in points]
    middle = (min(errors) + max(errors)) / 2
    # At least +-3 %: a difference that means nothing must not look like a gulf.
    reach = max((max(errors) - min(errors)) * 0.75, middle * 0.03, 1e-3)
    axes.set_xlim(0, slowest * 1.22)
    axes.set_ylim(middle - reach, middle + reach)
    axes.set_xlabel("median time per photo, ms (line: up to p90)")
    axes.set_ylabel("si-RMSE")
    draw_grid(axes)
    axes.annotate(
        "faster, more accurate",
        xy=(0.015, 0.02),
        xytext=(0.075, 0.075),
        xycoords="axes fraction",
        textcoords="axes fraction",
        color=INK,
        style="italic",
        alpha=0.75,
        va="center",
        arrowprops={"arrowstyle": "->", "color": INK, "alpha": 0.75},
    )


def _draw_point(axes: Axes, point: Point) -> None:
    colour = SERIES[point.suffix]
    axes.plot(
        [point.median_ms, max(point.p90_ms, point.median_ms)],
        [point.si_rmse] * 2,
        color=colour,
        linewidth=1.4,
        alpha=0.6,
    )
    axes.scatter(
        [point.median_ms],
        [point.si_rmse],
        s=_AREA_PER_MB * point.megabytes,
        marker=_MARKERS[point.suffix],
        color=colour,
        edgecolor=PAPER,
        linewidth=1.2,
        alpha=0.85,
        zorder=3,
    )


def _label_points(axes: Axes, points: Sequence[Point]) -> None:
    marks = [_extent(axes, point) for point in points]
    roomy = axes.get_window_extent().width > _ROOMY
    texts = [f"{p.label}, {p.megabytes:.1f} MB" if roomy else p.label for p in points]
    places = [(p.median_ms, p.si_rmse) for p in points]
    add_labels(axes, texts, places, [*marks, axes.texts[0].get_window_extent()])


def add_labels(
    axes: Axes,
    texts: Sequence[str],
    places: Sequence[tuple[float, float]],
    marks: Sequence[Bbox],
) -> None:
    """Puts each label near its point, where it covers neither a mark nor another label.

    Args:
        axes: Of a figure that has been laid out, on a canvas of Agg.
        texts: The labels.
        places: x, y of their points, in units of the axes.
        marks: What must stay visible, pixels: first each point's own mark, then any others.
    """
    labels = [
        axes.annotate(
            text,
            xy=place,
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.8, "shrinkB": 3},
            zorder=4,
        )
        for text, place in zip(texts, places, strict=True)
    ]
    sizes = [label.get_window_extent() for label in labels]
    offsets = place_labels(
        [(float(x), float(y)) for x, y in axes.transData.transform(places)],
        [(size.width, size.height) for size in sizes],
        marks,
        axes.get_window_extent(),
    )
    for label, offset in zip(labels, offsets, strict=True):
        label.set_position(offset)


def _extent(axes: Axes, point: Point) -> Bbox:
    x0, y = axes.transData.transform((point.median_ms, point.si_rmse))
    x1, _ = axes.transData.transform((max(point.p90_ms, point.median_ms), point.si_rmse))
    radius = (_AREA_PER_MB * point.megabytes) ** 0.5 / 2  # A point is a pixel here.
    return Bbox.from_extents(x0 - radius, y - radius, max(x1, x0 + radius), y + radius)


def for_page(svg: str, prefix: str) -> str:
    """Leaves the bare element: no prologue, no metadata, no fixed size, the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'id="', f'id="{prefix}', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{prefix}", svg)
    for stand_in, variable in _CSS.items():
        svg = svg.replace(stand_in, variable)
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1).strip()
